/**
 * The one way a failure travels: what happened (`code`), on whose side, and whether the request may
 * safely be tried again. Turned into status, flag, details and body in exchange/failure.ts only.
 */
export const ErrorCode = {
  // the client sent something we refuse (proxy/http1, protocol): the detail says what
  BadRequest: 'bad_request',
  HeadersTooLarge: 'headers_too_large',
  TooManyHeaders: 'too_many_headers',
  UriTooLong: 'uri_too_long',
  UnsupportedTransferEncoding: 'unsupported_transfer_encoding',
  UnsupportedVersion: 'unsupported_version',
  ExpectationFailed: 'expectation_failed',
  BodyTooLarge: 'body_too_large',
  RequestHeaderTimeout: 'request_header_timeout',
  RequestTimeout: 'request_overall_timeout',
  StreamIdle: 'stream_idle_timeout',
  DownstreamClosed: 'downstream_remote_disconnect',
  // routing
  RouteNotFound: 'route_not_found',
  UnknownDestination: 'unknown_destination',
  ClusterNotFound: 'cluster_not_found',
  NoHealthyUpstream: 'no_healthy_upstream',
  UpgradeRefused: 'upgrade_failed',
  Loop: 'loop_detected',
  // upstream
  ConnectFailure: 'connection_failure',
  ConnectTimeout: 'connection_timeout',
  UpstreamClosed: 'connection_termination',
  UpstreamReset: 'remote_reset',
  UpstreamProtocol: 'protocol_error',
  Overflow: 'overflow',
  ResponseTimeout: 'response_timeout',
  PerTryTimeout: 'upstream_per_try_timeout',
  /** The time that a gRPC caller gave in grpc-timeout. */
  CallerDeadline: 'max_duration_timeout',
  DnsFailure: 'dns_resolution_failure',
  IdleTimeout: 'idle_timeout',
  DurationTimeout: 'duration_timeout',
  // ours
  Draining: 'draining',
  Internal: 'internal',
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

export const Side = { Downstream: 'downstream', Upstream: 'upstream', Proxy: 'proxy' } as const
export type Side = (typeof Side)[keyof typeof Side]

/** A place in a file of the configuration, and the object it belongs to. */
export interface Written {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file: string
  readonly line: number
}

export interface Why {
  /** For people: names the thing and the likely cause. */
  readonly message?: string
  /** Stable, for logs: `http1.invalid_characters`; default: the code. */
  readonly detail?: string
  /** True only when it is certain that the upstream has not processed the request. */
  readonly retryable?: boolean
  readonly cause?: unknown
  /** Where the rule was written that did not let it pass. */
  readonly origin?: Written | undefined
}

export class ProxyError extends Error {
  readonly code: ErrorCode
  readonly side: Side
  readonly detail: string
  readonly retryable: boolean
  readonly origin: Written | undefined

  /** Built without a stack: failures are expected outcomes and must stay cheap. */
  constructor(code: ErrorCode, side: Side, why: Why = {}) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(why.message ?? code, why.cause === undefined ? undefined : { cause: why.cause })
    Error.stackTraceLimit = limit
    this.name = 'ProxyError'
    this.code = code
    this.side = side
    this.detail = why.detail ?? code
    this.retryable = why.retryable ?? false
    this.origin = why.origin
  }
}
