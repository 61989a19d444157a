/**
 * The operators of access log formats (`%RESPONSE_CODE%`, `%REQ(USER-AGENT)%`): each one is a function
 * from a record to a value.
 */
import { hostname } from 'node:os'
import type { Origin } from '../../config/snapshot.ts'
import { forwardedScheme } from '../http/forwarded.ts'
import { type Address, formatAddress } from '../net/address.ts'
import { type ConnectionRecord, ExchangeRecord, flagNames } from './exchange-record.ts'
import { startTime, strftime } from './log-time.ts'

export type LogRecord = ExchangeRecord | ConnectionRecord
/** Undefined and `` are missing: `-` in text, null in JSON. */
export type LogValue = string | number | undefined
export type Operator = (record: LogRecord) => LogValue

/** What a format needs beyond the record: asked with `argument` as written in parentheses. */
type MakeOperator = (argument: string) => Operator | undefined

function both(operator: Operator): MakeOperator {
  return () => operator
}

/** For what only HTTP has: missing for TCP connections. */
function http(operator: (record: ExchangeRecord) => LogValue): MakeOperator {
  return () => (record) => (record instanceof ExchangeRecord ? operator(record) : undefined)
}

const fieldNames: Record<string, (record: ExchangeRecord) => LogValue> = {
  ':method': (record) => record.method,
  ':path': (record) => record.sentPath || record.path,
  // Of every request, rewritten or not, and no client can forge it.
  'x-envoy-original-path': (record) => record.path,
  ':scheme': ({ requestHeaders }) => (requestHeaders && forwardedScheme(requestHeaders)) ?? 'http',
  ':authority': (record) => record.authority,
  host: (record) => record.authority,
  'user-agent': (record) => record.userAgent,
  'x-forwarded-for': (record) => record.forwardedFor,
  'x-request-id': (record) => record.requestId,
}

/** `NAME?OTHER`: the first of the two that has a value. */
function requestField(argument: string): Operator {
  const readers = argument
    .toLowerCase()
    .split('?')
    .map((name) => {
      const known = fieldNames[name]
      return (record: ExchangeRecord): LogValue => {
        const value = known?.(record)
        return value === undefined || value === ''
          ? (record.requestHeaders?.get(name) ?? '')
          : value
      }
    })
  return firstOf(readers)
}

function responseField(argument: string): Operator {
  const readers = argument
    .toLowerCase()
    .split('?')
    .map((name) => (record: ExchangeRecord): LogValue => {
      if (name === 'x-envoy-upstream-service-time')
        return record.serviceTime < 0 ? '' : String(Math.trunc(record.serviceTime))
      if (name === ':status') return record.status === 0 ? '' : String(record.status)
      return record.responseHeaders?.get(name) ?? ''
    })
  return firstOf(readers)
}

function firstOf(readers: ReadonlyArray<(record: ExchangeRecord) => LogValue>): Operator {
  const only = readers.length === 1 ? readers[0]! : undefined
  return (record) => {
    if (!(record instanceof ExchangeRecord)) return undefined
    if (only !== undefined) return only(record)
    for (const read of readers) {
      const value = read(record)
      if (value !== undefined && value !== '') return value
    }
    return undefined
  }
}

function addressOperators(
  prefix: string,
  read: (record: LogRecord) => Address,
): Record<string, MakeOperator> {
  return {
    [`${prefix}_ADDRESS`]: both((record) => formatAddress(read(record))),
    [`${prefix}_ADDRESS_WITHOUT_PORT`]: both((record) => read(record).address),
    [`${prefix}_PORT`]: both((record) => read(record).port),
  }
}

function textAddressOperators(
  prefix: string,
  read: (record: LogRecord) => string,
): Record<string, MakeOperator> {
  return {
    [`${prefix}_ADDRESS`]: both(read),
    [`${prefix}_ADDRESS_WITHOUT_PORT`]: both((record) => read(record).replace(/:\d+$/, '')),
    [`${prefix}_PORT`]: both((record) => /:(\d+)$/.exec(read(record))?.[1]),
  }
}

export function protocolText(record: ExchangeRecord): string {
  return record.version === 11 ? 'HTTP/1.1' : record.version === 20 ? 'HTTP/2' : 'HTTP/1.0'
}

function originText({ origin }: LogRecord): LogValue {
  if (origin === undefined) return undefined
  return placeText(origin)
}

function placeText({ file, kind, line, name, namespace }: Origin): string {
  return `${kind}/${name}.${namespace}@${file}:${line}`
}

function requestPath(argument: string): Operator | undefined {
  const [query = 'WQ'] = argument.split(':')
  if (query !== '' && query !== 'WQ' && query !== 'NQ') return undefined
  return (record) => {
    if (!(record instanceof ExchangeRecord)) return undefined
    return query === 'NQ' ? record.path.split('?')[0]! : record.path
  }
}

function grpcStatus(record: ExchangeRecord): LogValue {
  return record.grpc && record.grpcStatus >= 0 ? record.grpcStatus : undefined
}

const host = hostname()

const operators: Record<string, MakeOperator> = {
  START_TIME: (argument) =>
    argument === ''
      ? (record) => startTime(record.startedAt)
      : (record) => strftime(argument, record.startedAt),
  DURATION: both((record) => Math.trunc(record.duration)),
  PROTOCOL: http(protocolText),
  RESPONSE_CODE: both((record) => (record instanceof ExchangeRecord ? record.status : 0)),
  RESPONSE_CODE_DETAILS: both((record) => underscored(record.details)),
  RESPONSE_FLAGS: both((record) => (record.flags === 0 ? '-' : flagNames(record.flags))),
  CONNECTION_TERMINATION_DETAILS: both((record) => record.terminationDetails),
  UPSTREAM_TRANSPORT_FAILURE_REASON: both((record) => record.upstreamFailure),
  BYTES_RECEIVED: both((record) =>
    record instanceof ExchangeRecord ? record.requestBytes : record.receivedBytes,
  ),
  BYTES_SENT: both((record) =>
    record instanceof ExchangeRecord ? record.responseBytes : record.sentBytes,
  ),
  REQUEST_HEADERS_BYTES: http((record) => record.requestHeadBytes),
  RESPONSE_HEADERS_BYTES: http((record) => record.responseHeadBytes),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: http((record) => record.attempts),
  GRPC_STATUS: http(grpcStatus),
  GRPC_STATUS_NUMBER: http(grpcStatus),
  UPSTREAM_HOST: both((record) => record.upstreamHost),
  UPSTREAM_CLUSTER: both((record) => record.cluster),
  UPSTREAM_CLUSTER_RAW: both((record) => record.cluster),
  ...textAddressOperators('UPSTREAM_LOCAL', (record) => record.upstreamLocal),
  ...textAddressOperators('UPSTREAM_REMOTE', (record) => record.upstreamHost),
  ...addressOperators('DOWNSTREAM_LOCAL', (record) => record.downstreamLocal),
  ...addressOperators('DOWNSTREAM_REMOTE', (record) => record.downstreamRemote),
  ...addressOperators('DOWNSTREAM_DIRECT_LOCAL', (record) => record.downstreamLocal),
  ...addressOperators('DOWNSTREAM_DIRECT_REMOTE', (record) => record.downstreamRemote),
  REQUESTED_SERVER_NAME: both((record) => record.serverName),
  ROUTE_NAME: both((record) => record.routeName),
  REQ: (argument) => (argument === '' ? undefined : requestField(argument)),
  REQUEST_HEADER: (argument) => (argument === '' ? undefined : requestField(argument)),
  RESP: (argument) => (argument === '' ? undefined : responseField(argument)),
  RESPONSE_HEADER: (argument) => (argument === '' ? undefined : responseField(argument)),
  PATH: requestPath,
  HOSTNAME: both(() => host),
  ENVIRONMENT: (argument) => {
    const value = process.env[argument]
    return argument === '' ? undefined : () => value
  },
  CONFIG_VERSION: both((record) => record.configVersion),
  OUTRIDER_ORIGIN: both(originText),
  OUTRIDER_FAULTS: http(({ faults }) =>
    faults?.map(({ kind, origin }) => `${kind} ${placeText(origin)}`).join(','),
  ),
}

/** Undefined: there is no such operator, or it does not take this argument. */
export function findOperator(name: string, argument: string): Operator | undefined {
  return Object.hasOwn(operators, name) ? operators[name]!(argument) : undefined
}

export function operatorNames(): string[] {
  return Object.keys(operators)
}

/** Details are one word. */
export function underscored(text: string): string {
  return text.includes(' ') ? text.replaceAll(' ', '_') : text
}

/** Operators whose values others than us and the configuration choose. */
const foreign = new Set([
  'REQ',
  'REQUEST_HEADER',
  'RESP',
  'RESPONSE_HEADER',
  'PATH',
  'REQUESTED_SERVER_NAME',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
])

export function isForeign(name: string): boolean {
  return foreign.has(name)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a log
const unclean = /["\\\x00-\x1f\x7f]/

/** What others sent must not forge a line of text: quotes and control characters are escaped. */
export function clean(text: string): string {
  if (!unclean.test(text)) return text
  let out = ''
  for (const c of text) {
    const code = c.charCodeAt(0)
    if (c === '"' || c === '\\') out += `\\${c}`
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`
    else out += c
  }
  return out
}
