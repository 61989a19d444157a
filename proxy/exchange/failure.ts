/**
 * The one road for failure: what every ErrorCode becomes for the client, the log and the retry
 * decision. Statuses and flags are Envoy's where it has them (Envoy response flags, response code
 * details), so that dashboards keep working.
 */
import { ErrorCode, type ProxyError, Side } from '../base/errors.ts'
import { Flag } from '../telemetry/exchange-record.ts'

export interface FailureRow {
  /** Status of the reply the proxy makes; 0: nobody is left to tell. */
  readonly status: number
  readonly flags: number
  /** First line of the body, as Envoy's users know it. */
  readonly text: string
  /** Name Envoy gives the reset reason; `` where the failure is not an upstream reset. */
  readonly reset: string
  /** The retry conditions (`retryOn`) that cover it. */
  readonly retryOn: readonly string[]
}

const noResponse = ['5xx', 'gateway-error', 'reset']
const beforeHeaders = 'upstream connect error or disconnect/reset before headers. '
const resetReason = 'reset reason: '

function row(status: number, flags: number, text: string, retryOn: string[] = []): FailureRow {
  return { status, flags, text, reset: '', retryOn }
}

function resetRow(status: number, flags: number, reset: string, retryOn: string[]): FailureRow {
  const text = beforeHeaders + resetReason + reset
  return { status, flags, text, reset: reset.replaceAll(' ', '_'), retryOn }
}

const rows: Record<ErrorCode, FailureRow> = {
  [ErrorCode.BadRequest]: row(400, Flag.DPE, 'bad request'),
  [ErrorCode.HeadersTooLarge]: row(431, Flag.DPE, 'request header fields too large'),
  [ErrorCode.TooManyHeaders]: row(431, Flag.DPE, 'too many request header fields'),
  [ErrorCode.UriTooLong]: row(414, Flag.DPE, 'request target too long'),
  [ErrorCode.UnsupportedTransferEncoding]: row(501, Flag.DPE, 'unsupported transfer encoding'),
  [ErrorCode.UnsupportedVersion]: row(505, Flag.DPE, 'HTTP version not supported'),
  [ErrorCode.ExpectationFailed]: row(417, Flag.DPE, 'expectation failed'),
  [ErrorCode.BodyTooLarge]: row(413, Flag.DPE, 'request body too large'),
  [ErrorCode.RequestHeaderTimeout]: row(408, Flag.DPE, 'request header timeout'),
  [ErrorCode.RequestTimeout]: row(408, Flag.SI, 'request timeout'),
  [ErrorCode.StreamIdle]: row(504, Flag.SI, 'stream timeout'),
  [ErrorCode.DownstreamClosed]: row(0, Flag.DC, ''),
  [ErrorCode.RouteNotFound]: row(404, Flag.NR, ''),
  [ErrorCode.UnknownDestination]: row(502, 0, ''),
  [ErrorCode.ClusterNotFound]: row(503, Flag.NC, ''),
  [ErrorCode.NoHealthyUpstream]: row(503, Flag.UH, 'no healthy upstream'),
  [ErrorCode.UpgradeRefused]: row(403, 0, ''),
  [ErrorCode.Loop]: row(508, 0, 'loop detected'),
  [ErrorCode.ConnectFailure]: resetRow(503, Flag.UF, 'remote connection failure', [
    ...noResponse,
    'connect-failure',
    'reset-before-request',
  ]),
  [ErrorCode.ConnectTimeout]: resetRow(503, Flag.UF, 'connection timeout', [
    ...noResponse,
    'connect-failure',
    'reset-before-request',
  ]),
  [ErrorCode.UpstreamClosed]: resetRow(503, Flag.UC, 'connection termination', [
    ...noResponse,
    'reset-before-request',
  ]),
  [ErrorCode.UpstreamReset]: resetRow(503, Flag.UR, 'remote reset', [
    ...noResponse,
    'refused-stream',
    'reset-before-request',
  ]),
  [ErrorCode.UpstreamProtocol]: resetRow(502, Flag.UPE, 'protocol error', noResponse),
  [ErrorCode.Overflow]: resetRow(503, Flag.UO, 'overflow', []),
  [ErrorCode.ResponseTimeout]: row(504, Flag.UT, 'upstream request timeout'),
  [ErrorCode.PerTryTimeout]: row(504, Flag.UT, 'upstream request timeout', noResponse),
  [ErrorCode.CallerDeadline]: row(504, Flag.UT, 'upstream request timeout'),
  [ErrorCode.DnsFailure]: row(503, Flag.DF, 'DNS resolution failure'),
  [ErrorCode.IdleTimeout]: row(0, 0, ''),
  [ErrorCode.DurationTimeout]: row(0, Flag.DT, ''),
  [ErrorCode.Draining]: row(503, 0, 'draining'),
  [ErrorCode.Internal]: row(500, 0, 'internal error'),
}

export function failureRow(error: ProxyError): FailureRow {
  return rows[error.code]
}

/** The first line of the body; a reset after a retry says that it is the latest. */
export function failureText(error: ProxyError, attempts: number): string {
  const { reset, text } = rows[error.code]
  if (reset === '' || attempts < 2) return text
  return `${beforeHeaders}retried and the latest ${text.slice(beforeHeaders.length)}`
}

/** Envoy's response code details for a failure; `started`: the reply head had gone out before. */
export function failureDetails(error: ProxyError, started: boolean): string {
  const { reset } = rows[error.code]
  if (reset === '') return error.detail
  const phase = started ? 'after' : 'before'
  return `upstream_reset_${phase}_response_started{${reset}}`
}

/** True if the failure is one that this request's client caused or will never hear of. */
export function isDownstream(error: ProxyError): boolean {
  return error.side === Side.Downstream
}
