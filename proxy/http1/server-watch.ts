/**
 * Every deadline of a connection to a client, on one timer of the wheel. What is waited for changes
 * with each request, so moving a deadline later costs one assignment: the timer finds out when it fires.
 */
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import type { Connection } from '../net/connection.ts'
import type { Http1ServerOptions } from './options.ts'

export interface ServerWatchOwner {
  readonly connection: Connection
  /** The client has sent its FIN: it may be gone, which only bytes sent to it would tell. */
  readonly ended: boolean
  onIdleTimeout(): void
  onHeadTimeout(): void
  onBodyTimeout(): void
  /** The client takes nothing of what is queued for it, or has ended and there is nothing to send. */
  onReplyStalled(): void
}

const Awaited = { Nothing: 0, Request: 1, Head: 2, Body: 3, Reply: 4, Close: 5 } as const
type Awaited = (typeof Awaited)[keyof typeof Awaited]

export class ServerWatch implements DeadlineOwner {
  private readonly owner: ServerWatchOwner
  private readonly options: Http1ServerOptions
  private readonly timer: Timer
  private awaited: Awaited = Awaited.Nothing
  /** When it has taken too long, on the clock. The timer may fire earlier. */
  private deadline = 0
  /** Bytes with the kernel (or queued, at the close) when last looked at, and since when no other. */
  private progress = -1
  private progressAt = 0

  constructor(owner: ServerWatchOwner, options: Http1ServerOptions) {
    this.owner = owner
    this.options = options
    this.timer = new Timer(this)
  }

  /** Between requests. */
  awaitRequest(): void {
    this.until(Awaited.Request, this.options.idleTimeoutMs)
  }

  /** From the first byte of a head on. */
  awaitHead(): void {
    this.until(Awaited.Head, this.options.headTimeoutMs)
  }

  /** From the last sign of a request body on. */
  awaitBody(): void {
    this.until(Awaited.Body, this.options.stallTimeoutMs)
  }

  /** The upstream may take its time; a client that does not read, or seems to be gone, may not. */
  awaitReply(): void {
    this.until(Awaited.Reply, this.options.stallTimeoutMs)
  }

  /** After our FIN: for the client to read what is queued, then for it to end too. */
  awaitClose(): void {
    this.progress = -1
    this.until(Awaited.Close, this.options.lingerMs)
  }

  awaitNothing(): void {
    this.awaited = Awaited.Nothing
  }

  stop(): void {
    this.awaited = Awaited.Nothing
    this.options.wheel.cancel(this.timer)
  }

  onDeadline(): void {
    if (this.awaited === Awaited.Nothing) return
    const left = this.deadline - this.options.clock.now
    if (left > 0) this.options.wheel.arm(this.timer, left)
    else this.expire()
  }

  private until(awaited: Awaited, ms: number): void {
    const deadline = this.options.clock.now + ms
    this.awaited = awaited
    this.deadline = deadline
    if (!this.timer.armed || this.timer.deadline > deadline) this.options.wheel.arm(this.timer, ms)
  }

  private expire(): void {
    const { owner } = this
    switch (this.awaited) {
      case Awaited.Request:
        owner.onIdleTimeout()
        return
      case Awaited.Head:
        owner.onHeadTimeout()
        return
      case Awaited.Body:
        owner.onBodyTimeout()
        return
      case Awaited.Reply:
        this.checkReading(owner.connection)
        return
      case Awaited.Close:
        this.checkClosing(owner.connection)
        return
      default:
        return
    }
  }

  private checkReading(connection: Connection): void {
    const queued = connection.queuedBytes
    const flushed = connection.bytesWritten - queued
    if (flushed === this.progress && (queued > 0 || this.owner.ended)) {
      this.owner.onReplyStalled()
      return
    }
    this.progress = flushed
    this.awaitReply()
  }

  /** A slow reader is given time as long as it reads. */
  private checkClosing(connection: Connection): void {
    const { clock, lingerMs, stallTimeoutMs } = this.options
    const queued = connection.queuedBytes
    if (queued !== this.progress) {
      this.progress = queued
      this.progressAt = clock.now
    }
    if (queued > 0 && clock.now - this.progressAt < stallTimeoutMs)
      this.until(Awaited.Close, lingerMs)
    else connection.destroy()
  }
}
