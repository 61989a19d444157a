/** What the pools of one cluster share, and what they count for one endpoint. */
import type { ConnectionPoolSpec, Origin } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ClientCodec, ClientCodecOwner } from '../http/codec.ts'
import type { Connection } from '../net/connection.ts'
import type { Dialer, DialTarget } from '../net/dialing.ts'
import type { ClientTls } from '../net/tls.ts'
import type { UpstreamInstruments } from '../telemetry/upstream-instruments.ts'
import type { ConnectionRoom } from './connection-room.ts'
import type { Limit, Limits } from './limits.ts'
import type { RetryBudget } from './retry-budget.ts'

export interface PoolContext {
  /** The cluster's name. */
  readonly cluster: string
  readonly settings: ConnectionPoolSpec
  /** Where the settings were written, if anywhere. */
  readonly origin: () => Origin | undefined
  readonly dialer: Dialer
  readonly makeClientCodec: (connection: Connection, owner: ClientCodecOwner) => ClientCodec
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly limits: Limits
  readonly retryBudget: RetryBudget
  readonly room: ConnectionRoom
  readonly instruments: UpstreamInstruments
  /** Undefined: plain text. */
  readonly tls: ClientTls | undefined
  /** The one to ask for where the request's host does not decide. */
  readonly serverName: string
  /** What opens every connection. */
  readonly preface: DialTarget['preface']
}

/** Live counts of one endpoint, HTTP and TCP together. */
export interface EndpointCounts {
  /** Requests waiting or running, and TCP connections. */
  active: number
  requests: number
  failures: number
  /** Open or being made. */
  connections: number
}

/** The refusal when `limit` is reached: which, its value, the count. */
export function overflowError(context: PoolContext, limit: Limit): ProxyError {
  const { cluster, instruments, limits } = context
  instruments.overflowed(limit.name)
  const also = limit === limits.pending ? `; ${limits.connections.describe()}` : ''
  return new ProxyError(ErrorCode.Overflow, Side.Upstream, {
    message: `${cluster} takes no more: ${limit.describe()}${also}`,
    retryable: true,
    origin: context.origin(),
  })
}

export function isEndpointFault(error: ProxyError): boolean {
  return (
    error.side === Side.Upstream &&
    (error.code === ErrorCode.UpstreamClosed ||
      error.code === ErrorCode.UpstreamReset ||
      error.code === ErrorCode.UpstreamProtocol)
  )
}
