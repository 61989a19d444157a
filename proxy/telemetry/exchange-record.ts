/**
 * What is remembered of one HTTP exchange or TCP connection: filled while it lives, read once when it
 * ends by metrics, access log and (later) traces. One object per exchange, all fields set at birth.
 */
import type { Origin } from '../../config/snapshot.ts'
import type { Headers } from '../http/headers.ts'
import type { Address } from '../net/address.ts'

/** Envoy's short response flags as bits, so that several can be joined; names in flagNames. */
export const Flag = {
  UH: 1 << 0, // no healthy upstream
  UF: 1 << 1, // upstream connection failure
  UO: 1 << 2, // upstream overflow
  NR: 1 << 3, // no route
  URX: 1 << 4, // retries exhausted
  NC: 1 << 5, // no such cluster
  DT: 1 << 6, // connection duration limit
  DC: 1 << 7, // downstream went away
  UT: 1 << 8, // upstream request timeout
  LR: 1 << 9, // local reset
  UR: 1 << 10, // upstream reset
  UC: 1 << 11, // upstream closed
  DI: 1 << 12, // delay injected
  FI: 1 << 13, // fault injected
  RL: 1 << 14, // rate limited
  UAEX: 1 << 15, // refused by external authorisation
  SI: 1 << 16, // stream idle
  DPE: 1 << 17, // downstream protocol error
  UPE: 1 << 18, // upstream protocol error
  OM: 1 << 19, // overload
  DF: 1 << 20, // DNS failure
} as const

/** `UF,URX`, or `-`. */
export function flagNames(flags: number): string {
  if (flags === 0) return '-'
  let text = ''
  for (const name of Object.keys(Flag) as Array<keyof typeof Flag>)
    if ((flags & Flag[name]) !== 0) text += text === '' ? name : `,${name}`
  return text
}

export type Direction = 'inbound' | 'outbound'

/** A disturbance made on purpose, and who wanted it. */
export interface InjectedFault {
  readonly kind: string
  readonly origin: Origin
}

export class ExchangeRecord {
  readonly direction: Direction
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Monotonic ms (base/clock). */
  readonly start: number
  method = ''
  /** As the client sent it, before rewriting. */
  path = ''
  /** 10, 11, 20. */
  version = 11
  authority = ''
  /** Path and authority with which it went on, where its rule rewrites one of them; else ``. */
  sentPath = ''
  sentAuthority = ''
  /** 0 when no reply could be sent. */
  status = 0
  flags = 0
  /** Envoy's response code details: `via_upstream`, `route_not_found`, ... */
  details = ''
  /** Why the connection was closed by us, or ``. */
  terminationDetails = ''
  /** Text of the transport error of the last attempt, or ``. */
  upstreamFailure = ''
  /** Body bytes. */
  requestBytes = 0
  responseBytes = 0
  /** Bytes of the heads on the client's wire, where known: metrics count them, the log does not. */
  requestHeadBytes = 0
  responseHeadBytes = 0
  /** ms, filled at the end. */
  duration = 0
  /** ms from request complete to reply head, or -1. */
  serviceTime = -1
  attempts = 0
  forwardedFor = ''
  userAgent = ''
  requestId = ''
  /** The client sent none. */
  ownRequestId = false
  /** `10.0.0.7:9080` of the last attempt, or ``. */
  upstreamHost = ''
  upstreamLocal = ''
  /** Istio's cluster name, or ``. */
  cluster = ''
  routeName = ''
  readonly downstreamLocal: Address
  readonly downstreamRemote: Address
  serverName = ''
  /** True for gRPC requests: metrics carry the grpc status. */
  grpc = false
  grpcStatus = -1
  /** Header fields for access log formats that name them; references, nothing is copied. */
  requestHeaders: Headers | undefined = undefined
  responseHeaders: Headers | undefined = undefined
  /** What decided: the route's rule, or the object that refused. */
  origin: Origin | undefined = undefined
  /** Version of the snapshot that served it, or ``. */
  configVersion = ''
  /** The cluster's metric handles, undefined when no cluster was reached; see recorder.ts. */
  clusterMetrics: object | undefined = undefined
  /** What was done to it on purpose. */
  faults: InjectedFault[] | undefined = undefined

  constructor(
    direction: Direction,
    startedAt: number,
    start: number,
    local: Address,
    remote: Address,
  ) {
    this.direction = direction
    this.startedAt = startedAt
    this.start = start
    this.downstreamLocal = local
    this.downstreamRemote = remote
  }
}

/** One opaque TCP connection (spliced, refused, or closed before anything was known). */
export class ConnectionRecord {
  readonly direction: Direction
  readonly startedAt: number
  readonly start: number
  readonly downstreamLocal: Address
  readonly downstreamRemote: Address
  flags = 0
  details = ''
  terminationDetails = ''
  upstreamFailure = ''
  receivedBytes = 0
  sentBytes = 0
  duration = 0
  upstreamHost = ''
  upstreamLocal = ''
  cluster = ''
  routeName = ''
  serverName = ''
  origin: Origin | undefined = undefined
  configVersion = ''
  clusterMetrics: object | undefined = undefined
  /** Kept by the recorder: whether it was counted as opened, and which bytes were counted already. */
  opened = false
  receivedCounted = 0
  sentCounted = 0

  constructor(
    direction: Direction,
    startedAt: number,
    start: number,
    local: Address,
    remote: Address,
  ) {
    this.direction = direction
    this.startedAt = startedAt
    this.start = start
    this.downstreamLocal = local
    this.downstreamRemote = remote
  }
}
