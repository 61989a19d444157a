/** One connection of a pool from the dial to its end; tells the pool what happens to it. */
import type { ProxyError } from '../base/errors.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import type { ClientCodec, ClientCodecOwner } from '../http/codec.ts'
import type { Connection } from '../net/connection.ts'
import type { Dialing, DialReceiver } from '../net/dialing.ts'
import type { CloseReason } from '../telemetry/upstream-instruments.ts'

/** The pool, as its connections see it. */
export interface CodecKeeper {
  dialed(one: PooledCodec, connection: Connection): void
  dialFailed(one: PooledCodec, error: ProxyError): void
  freed(one: PooledCodec): void
  ended(one: PooledCodec, error: ProxyError | undefined): void
  idleLimit(idleMs: number): void
  lifetimeOver(one: PooledCodec): void
}

/** A reused connection that ends within this time without a byte was being closed when it was used. */
const raceMs = 100

export class PooledCodec implements DialReceiver, ClientCodecOwner, DeadlineOwner {
  readonly keeper: CodecKeeper
  /** Number of the youngest ticket when it was dialed: whom a failed dial may fail. */
  readonly youngestTicket: number
  readonly dialedAt: number
  dialing: Dialing | undefined = undefined
  codec: ClientCodec | undefined = undefined
  /** A request is on it. */
  busy = false
  /** Counts nowhere any more; events that still come are ignored. */
  closed = false
  requests = 0
  idleSince = 0
  /** When it became idle, in the pool's turns. */
  freedInTurn = 0
  /** At the last use: the age it had lain idle, when, and the bytes received until then. */
  idleAge = 0
  usedAt = 0
  bytesBefore = 0
  /** Set when it will close after the running request. */
  leaving: CloseReason | undefined = undefined
  readonly lifetime = new Timer(this)

  constructor(keeper: CodecKeeper, youngestTicket: number, now: number) {
    this.keeper = keeper
    this.youngestTicket = youngestTicket
    this.dialedAt = now
  }

  /** For one that just ended: the request met a connection that the endpoint was closing. */
  wasClosing(now: number): boolean {
    return (
      this.requests > 1 &&
      this.codec!.connection.bytesRead === this.bytesBefore &&
      now - this.usedAt <= raceMs
    )
  }

  onConnected(connection: Connection): void {
    this.keeper.dialed(this, connection)
  }

  onDialFailed(error: ProxyError): void {
    this.keeper.dialFailed(this, error)
  }

  onCapacity(): void {
    if (!this.closed) this.keeper.freed(this)
  }

  onClosed(_codec: ClientCodec, error: ProxyError | undefined): void {
    if (!this.closed) this.keeper.ended(this, error)
  }

  onIdleLimit(_codec: ClientCodec, idleMs: number): void {
    this.keeper.idleLimit(idleMs)
  }

  onDeadline(): void {
    if (!this.closed) this.keeper.lifetimeOver(this)
  }
}
