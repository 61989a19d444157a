/**
 * The body of a reply that is followed by a retry: read and dropped when it is short, so that its
 * connection can be used again. What takes too long is cancelled.
 */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { BodySink, BodySource } from '../http/body.ts'

/** Longer bodies cost more than a new connection. */
const mostBytes = 64 * 1024
const longestMs = 250

export function isWorthDraining({ length }: BodySource): boolean {
  return length >= 0 && length <= mostBytes
}

export class DrainedBody implements BodySink, DeadlineOwner {
  source: BodySource | undefined = undefined
  private readonly wheel: TimerWheel
  private readonly timer = new Timer(this)

  constructor(wheel: TimerWheel) {
    this.wheel = wheel
  }

  /** Begins at once. */
  drain(body: BodySource): void {
    this.wheel.arm(this.timer, longestMs)
    body.flowInto(this)
  }

  write(): boolean {
    return true
  }

  end(): void {
    this.wheel.cancel(this.timer)
  }

  fail(): void {
    this.wheel.cancel(this.timer)
  }

  onDeadline(): void {
    const message = 'the rest of a reply that nobody wants does not come'
    this.source?.cancel(new ProxyError(ErrorCode.UpstreamReset, Side.Proxy, { message }))
  }
}
