/** One connection to an endpoint that carries opaque bytes: dialed, counted, given back by its user. */
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import type { Dialing, DialReceiver, DialTarget } from '../net/dialing.ts'
import type { OutlierCounts } from './outlier-counts.ts'
import { type EndpointCounts, overflowError, type PoolContext } from './pool-context.ts'

/** The endpoint, as far as a connection to it matters. */
export interface LeasedEndpoint {
  readonly counts: EndpointCounts
  readonly outlier: OutlierCounts | undefined
}

/** Exactly one of the two is called, once, unless the lease is cancelled before. */
export interface TcpWaiter {
  /** Call receiveWith before returning, and `lease.release()` when the connection is gone. */
  onConnected(connection: Connection): void
  onNoConnection(error: ProxyError): void
  /** The client's address and where it dialed, for headers that tell them; undefined: our own. */
  readonly source?: Address
  readonly destination?: Address
}

export class TcpLease implements DialReceiver {
  private readonly context: PoolContext
  private readonly endpoint: LeasedEndpoint
  private readonly counts: EndpointCounts
  private readonly waiter: TcpWaiter
  private readonly onReleased: () => void
  private readonly dialedAt: number
  private dialing: Dialing | undefined = undefined
  private connected = false
  private released = false

  constructor(
    endpoint: LeasedEndpoint,
    context: PoolContext,
    waiter: TcpWaiter,
    onReleased: () => void,
  ) {
    this.context = context
    this.endpoint = endpoint
    this.counts = endpoint.counts
    this.waiter = waiter
    this.onReleased = onReleased
    this.dialedAt = context.clock.now
  }

  /** False: refused at once (`onNoConnection` was called). */
  start(target: DialTarget): boolean {
    const { room, limits, dialer, instruments } = this.context
    if (!room.take()) {
      this.released = true
      this.waiter.onNoConnection(overflowError(this.context, limits.connections))
      return false
    }
    this.counts.active++
    this.counts.requests++
    this.counts.connections++
    instruments.active.add(1)
    this.dialing = dialer.dial(target, this)
    return true
  }

  /** The waiter is not interested any more; ends the dial, counts a connection no more. */
  cancel(): void {
    this.release()
  }

  /** The connection is gone: it counts no more. May be called twice. */
  release(): void {
    if (this.released) return
    this.released = true
    this.dialing?.cancel()
    this.dialing = undefined
    if (this.connected) this.context.instruments.closed('endpoint')
    this.counts.active--
    this.counts.connections--
    this.context.instruments.active.add(-1)
    this.context.room.give()
    this.context.room.offer()
    this.onReleased()
  }

  onConnected(connection: Connection): void {
    this.dialing = undefined
    this.connected = true
    this.endpoint.outlier?.connected()
    this.context.instruments.connections.add()
    this.context.instruments.connectMs.observe(this.context.clock.now - this.dialedAt)
    this.waiter.onConnected(connection)
  }

  onDialFailed(error: ProxyError): void {
    this.dialing = undefined
    this.counts.failures++
    this.endpoint.outlier?.broke(error)
    this.context.instruments.connectFailed(
      error.code === ErrorCode.ConnectTimeout ? 'timeout' : 'failure',
    )
    this.release()
    this.waiter.onNoConnection(error)
  }
}
