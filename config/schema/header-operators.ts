/** Envoy's `%OPERATORS%` in header values: those the proxy carries out (proxy/filters/value-template.ts). */
import { didYouMean } from '../diagnostics.ts'
import { headerValue } from './formats.ts'
import type { Verdict } from './reading.ts'

/** A copy of the proxy's list, which this side may not import; a test compares them. */
export const headerOperators: readonly string[] = [
  'BYTES_RECEIVED',
  'CONFIG_VERSION',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_LOCAL_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'ENVIRONMENT',
  'GRPC_STATUS',
  'GRPC_STATUS_NUMBER',
  'HOSTNAME',
  'OUTRIDER_FAULTS',
  'OUTRIDER_ORIGIN',
  'PATH',
  'PROTOCOL',
  'REQ',
  'REQUESTED_SERVER_NAME',
  'REQUEST_HEADER',
  'REQUEST_HEADERS_BYTES',
  'RESP',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'RESPONSE_HEADER',
  'ROUTE_NAME',
  'START_TIME',
  'UNIQUE_ID',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_HOST',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_PORT',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
]

/** Of those above, which make no sense without an argument. */
const wantArgument = ['ENVIRONMENT', 'REQ', 'REQUEST_HEADER', 'RESP', 'RESPONSE_HEADER']

/** How Envoy's other ones begin. */
const envoyOnly = [
  ...['ACCESS_LOG_TYPE', 'BYTES_', 'CEL', 'CLUSTER_METADATA', 'COALESCE', 'COMMON_DURATION'],
  ...['CONNECTION_', 'CUSTOM_FLAGS', 'DOWNSTREAM_', 'DURATION', 'DYNAMIC_METADATA', 'EMIT_TIME'],
  ...['FILTER_STATE', 'LOCAL_REPLY_BODY', 'METADATA', 'QUERY_PARAM', 'REQUEST_', 'RESPONSE_'],
  ...['ROUNDTRIP_DURATION', 'SPAN_ID', 'START_TIME_LOCAL', 'STREAM_ID', 'TLS_JA', 'TRACE_ID'],
  ...['TRAILER', 'UPSTREAM_', 'VIRTUAL_'],
]

/** A header value that may hold operators: a warning where one has no value here, or nowhere. */
export function headerTemplate(value: string): Verdict {
  const wrong = headerValue(value)
  if (wrong !== undefined) return wrong
  const found = [...value.replaceAll('%%', '').matchAll(/%([A-Z0-9_]+)(?:\(([^)]*)\))?%/g)]
  for (const [whole, name = '', argument = ''] of found) {
    if (!headerOperators.includes(name)) return unknown(whole, name)
    if (argument === '' && wantArgument.includes(name))
      return { message: `${whole} names no field: it counts as empty`, warning: true }
  }
  return undefined
}

function unknown(whole: string, name: string): Verdict {
  const empty = 'A value that comes out empty leaves the header out.'
  if (envoyOnly.some((beginning) => name.startsWith(beginning)))
    return {
      message: `${whole} has no value here: it counts as empty`,
      hint: `Carried out: ${headerOperators.join(', ')}. ${empty}`,
      warning: true,
    }
  return {
    message: `there is no operator ${whole}: it counts as empty, and Envoy refuses the whole rule`,
    hint: `${didYouMean(name, headerOperators)} ${empty}`.trim(),
    warning: true,
  }
}
