/**
 * Two connections copied into each other: half-close is kept, a reset on one side becomes a reset on
 * the other, and a slow reader stops its writer. Hot: bench/micro/splice.bench.ts.
 */
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { type ByteReceiver, type Connection, PauseReason } from './connection.ts'

export interface SpliceOwner {
  /** Both directions are over. `error` says why, if it was not an orderly end of both. */
  onSpliceEnd(error: ProxyError | undefined): void
}

/** A read this large makes a direction bulk; this many small ones in a row end that. */
const bulkFromBytes = 32 * 1024
const smallReadBytes = 8 * 1024
const smallReads = 16

/** One direction: what `from` receives goes to `to`. */
class Half implements ByteReceiver {
  readonly from: Connection
  readonly to: Connection
  readonly splice: Splice
  ended = false
  private small = 0
  private bulk = false

  constructor(from: Connection, to: Connection, splice: Splice) {
    this.from = from
    this.to = to
    this.splice = splice
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    this.splice.lastActive = clock.now
    this.adapt(end - start)
    if (!this.to.write(buffer.subarray(start, end))) this.from.pause(PauseReason.Sink)
  }

  onWritable(): void {
    this.splice.other(this).from.resume(PauseReason.Sink)
  }

  onEnd(): void {
    this.ended = true
    this.to.end()
  }

  onClose(error: ProxyError | undefined): void {
    this.splice.closed(this, error)
  }

  private adapt(bytes: number): void {
    if (bytes >= bulkFromBytes) {
      this.small = 0
      if (!this.bulk) this.from.expectBulk(true)
      this.bulk = true
    } else if (this.bulk && bytes < smallReadBytes && ++this.small === smallReads) {
      this.small = 0
      this.bulk = false
      this.from.expectBulk(false)
    }
  }
}

export class Splice implements DeadlineOwner {
  lastActive = clock.now
  private readonly down: Half
  private readonly up: Half
  private readonly owner: SpliceOwner
  private readonly wheel: TimerWheel
  private readonly idleMs: number
  private readonly idle = new Timer(this)
  private open = 2
  private error: ProxyError | undefined = undefined

  /** `idleMs` 0: no limit. Call `start` with what was already read from each side. */
  constructor(
    downstream: Connection,
    upstream: Connection,
    owner: SpliceOwner,
    wheel: TimerWheel,
    idleMs: number,
  ) {
    this.owner = owner
    this.wheel = wheel
    this.idleMs = idleMs
    this.down = new Half(downstream, upstream, this)
    this.up = new Half(upstream, downstream, this)
  }

  start(fromDownstream?: Buffer, fromUpstream?: Buffer, downstreamEnded = false): void {
    if (this.idleMs > 0) this.wheel.arm(this.idle, this.idleMs)
    this.down.from.receiveWith(this.down, fromDownstream)
    this.up.from.receiveWith(this.up, fromUpstream)
    if (downstreamEnded) this.down.onEnd()
  }

  other(half: Half): Half {
    return half === this.down ? this.up : this.down
  }

  /** Ends both at once: a policy no longer allows it, or the drain time is over. */
  cut(error: ProxyError): void {
    this.error ??= error
    this.down.from.reset(error)
    this.up.from.reset(error)
  }

  closed(half: Half, error: ProxyError | undefined): void {
    this.open--
    this.error ??= error
    const peer = this.other(half).from
    if (error !== undefined || !half.ended) peer.reset(error)
    else if (!this.other(half).ended) peer.end()
    if (this.open > 0) return
    this.wheel.cancel(this.idle)
    this.owner.onSpliceEnd(this.error)
  }

  onDeadline(): void {
    const quietMs = clock.now - this.lastActive
    if (quietMs < this.idleMs) {
      this.wheel.arm(this.idle, this.idleMs - quietMs)
      return
    }
    const message = `no byte in either direction for ${this.idleMs} ms`
    const detail = 'tcp_session_idle_timeout'
    this.error ??= new ProxyError(ErrorCode.IdleTimeout, Side.Proxy, { message, detail })
    // Nothing is lost by silence: both see an end, as with Envoy, and no reset.
    this.down.from.destroy(this.error)
    this.up.from.destroy(this.error)
  }
}
