/**
 * What a sidecar says about a request to the next hop: request id, protocol, Envoy's own fields
 * (istio-observed 6, 8, 46). x-forwarded-for is left as it came: only edges append to it.
 */
import type { RequestHead } from './head.ts'
import type { Headers } from './headers.ts'
import { requestId } from './request-id.ts'

/** Sets x-request-id and x-forwarded-proto where absent; returns the request id. */
export function setForwarded(head: RequestHead): string {
  const { headers } = head
  if (!headers.has('x-forwarded-proto')) appendScheme(headers, head.scheme)
  const known = headers.get('x-request-id')
  if (known !== undefined && known !== '') return known
  const id = requestId()
  lastGiven = id
  if (known === undefined) headers.appendLine('x-request-id', id, `x-request-id: ${id}\r\n`)
  else headers.set('x-request-id', id)
  return id
}

function appendScheme(headers: Headers, scheme: string): void {
  if (scheme === 'http') headers.appendLine('x-forwarded-proto', 'http', httpLine)
  else if (scheme === 'https') headers.appendLine('x-forwarded-proto', 'https', httpsLine)
  else headers.append('x-forwarded-proto', scheme)
}

/** What x-forwarded-proto says, when it is one of the two schemes there are. */
export function forwardedScheme(headers: Headers): 'http' | 'https' | undefined {
  const forwarded = headers.get('x-forwarded-proto')
  if (forwarded === 'http' || forwarded === 'https') return forwarded
  const scheme = forwarded?.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? scheme : undefined
}

const httpLine = 'x-forwarded-proto: http\r\n'
const httpsLine = 'x-forwarded-proto: https\r\n'

let lastGiven = ''

/** True if `setForwarded` made it up in its last call. */
export function isOwnRequestId(id: string): boolean {
  return id === lastGiven
}

const expectedTimeout = 'x-envoy-expected-rq-timeout-ms'

/** Fields by which a client could steer retries, timeouts and traces, or pass for another: never believed, never passed on. */
const clientControls: ReadonlySet<string> = new Set([
  'x-envoy-internal',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  expectedTimeout,
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
  'x-forwarded-client-cert',
])

/**
 * Removes them; one look at the list when there are none. `keepTime`: how long the caller waits is passed on,
 * as the application has use for it.
 */
export function stripClientControls(headers: Headers, keepTime: boolean): void {
  for (let i = headers.length - 1; i >= 0; i--) {
    const name = headers.names[i]!
    if (!mayBeControl(name)) continue
    const lower = name.toLowerCase()
    if (keepTime && lower === expectedTimeout) continue
    if (clientControls.has(lower) && headers.remove(lower)) i = Math.min(i, headers.length)
  }
}

const certificateLength = 'x-forwarded-client-cert'.length

/** `x-e` in any case, or as long as the one that begins with `x-f`: cheap enough to ask of every field. */
function mayBeControl(name: string): boolean {
  if (name.length <= 8 || (name.charCodeAt(0) | 32) !== 120 || name.charCodeAt(1) !== 45)
    return false
  const third = name.charCodeAt(2) | 32
  return third === 101 || (third === 102 && name.length === certificateLength)
}

/** Which attempt this is, from 1; overwrites the client's. */
export function setAttemptCount(headers: Headers, attempt: number): void {
  if (attempt > 1 || headers.has('x-envoy-attempt-count'))
    headers.set('x-envoy-attempt-count', String(attempt))
  else headers.appendLine('x-envoy-attempt-count', '1', 'x-envoy-attempt-count: 1\r\n')
}

/** grpc-timeout: up to 8 digits and a unit (the gRPC protocol over HTTP/2, "Requests"), in ms. */
export function grpcTimeoutMs(headers: Headers): number | undefined {
  const value = headers.get('grpc-timeout')
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value ?? '') ?? []
  return digits === undefined ? undefined : Number(digits) * unitMs[unit as keyof typeof unitMs]
}

const unitMs = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 } as const

/** What is left of it; at least one ms, as 0 would be no time at all. */
export function setGrpcTimeout(headers: Headers, ms: number): void {
  const whole = Math.max(1, Math.floor(ms))
  headers.set('grpc-timeout', whole < 1e8 ? `${whole}m` : `${Math.floor(whole / 1000)}S`)
}

const serviceTimeLine = (ms: number): string => `x-envoy-upstream-service-time: ${ms}\r\n`
/** For the times that are common. */
const serviceTimeLines = Array.from({ length: 128 }, (_, ms) => serviceTimeLine(ms))

/** How long the upstream took, whole ms; overwrites the upstream's own. */
export function setServiceTime(headers: Headers, ms: number): void {
  const name = 'x-envoy-upstream-service-time'
  if (headers.has(name)) headers.set(name, String(ms))
  else headers.appendLine(name, String(ms), serviceTimeLines[ms] ?? serviceTimeLine(ms))
}

/** How long the upstream has, whole ms. */
export function setExpectedTimeout(headers: Headers, ms: number): void {
  headers.set('x-envoy-expected-rq-timeout-ms', String(Math.max(1, Math.floor(ms))))
}
