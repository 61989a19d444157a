/** Envoy's `%OPERATORS%` in header values: those the proxy carries out (proxy/filters/value-template.ts). */
import { headerValue } from './formats.ts'
import type { Verdict } from './reading.ts'

/** A copy of the proxy's list, which this side may not import; a test compares them. */
export const headerOperators: readonly string[] = [
  'REQ',
  'RESP',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'PROTOCOL',
  'START_TIME',
  'UPSTREAM_HOST',
  'HOSTNAME',
  'RESPONSE_CODE',
  'REQUESTED_SERVER_NAME',
]

/** A header value that may hold operators: a warning where one is known to Envoy, but not carried out. */
export function headerTemplate(value: string): Verdict {
  const wrong = headerValue(value)
  if (wrong !== undefined) return wrong
  const named = value.replaceAll('%%', '').matchAll(/%([A-Z0-9_]+)(?:\([^)]*\))?(?::\d+)?%/g)
  const missing = [...named]
    .map(([, name]) => name!)
    .filter((name) => !headerOperators.includes(name))
  if (missing.length === 0) return undefined
  return {
    message: `%${missing.join('%, %')}% is known, not yet implemented: it counts as empty`,
    hint: `Carried out: ${headerOperators.join(', ')}. A value that comes out empty leaves the header out.`,
    warning: true,
  }
}
