/**
 * The idle connections of a pool, in the order in which they became idle: the most recently used is
 * used next, those that lay too long are closed.
 */
import type { Clock } from '../base/clock.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { IdleLimit } from './idle-limit.ts'
import type { PoolContext } from './pool-context.ts'
import type { PooledCodec } from './pooled-codec.ts'

export class IdleShelf implements DeadlineOwner {
  readonly limit: IdleLimit
  private readonly clock: Clock
  private readonly wheel: TimerWheel
  private readonly tooOld: (one: PooledCodec) => void
  /** Longest idle first. */
  private readonly shelf: PooledCodec[] = []
  private readonly sweep = new Timer(this)

  /** `tooOld` closes a connection that is no longer on the shelf. */
  constructor(
    { settings, clock, wheel }: Pick<PoolContext, 'settings' | 'clock' | 'wheel'>,
    tooOld: (one: PooledCodec) => void,
  ) {
    this.limit = new IdleLimit(settings.httpIdleTimeoutMs)
    this.clock = clock
    this.wheel = wheel
    this.tooOld = tooOld
  }

  get length(): number {
    return this.shelf.length
  }

  get oldest(): PooledCodec | undefined {
    return this.shelf[0]
  }

  put(one: PooledCodec): void {
    one.idleSince = this.clock.now
    this.shelf.push(one)
    if (!this.sweep.armed) this.arm(this.limit.at(this.clock.now))
  }

  /** The most recently used one, if it may still be used. */
  take(): PooledCodec | undefined {
    const one = this.shelf.pop()
    return one === undefined ? undefined : this.young(one)
  }

  /** The same among those that became idle in this turn of the pool or before. */
  takeFreedBy(turn: number): PooledCodec | undefined {
    for (let i = this.shelf.length - 1; i >= 0; i--)
      if (this.shelf[i]!.freedInTurn <= turn) return this.young(this.shelf.splice(i, 1)[0]!)
    return undefined
  }

  /** Undefined: it is too old, and with it all that lay longer. */
  private young(one: PooledCodec): PooledCodec | undefined {
    const now = this.clock.now
    if (now - one.idleSince <= this.limit.at(now)) return one
    // All the others lay even longer.
    this.tooOld(one)
    for (let next = this.shelf.pop(); next !== undefined; next = this.shelf.pop()) this.tooOld(next)
    return undefined
  }

  /** One that lay idle since then was found closed: those that have lain longer are not trusted either. */
  distrust(since: number): void {
    while (this.shelf.length > 0 && this.shelf[0]!.idleSince <= since)
      this.tooOld(this.shelf.shift()!)
  }

  takeOldest(): PooledCodec | undefined {
    return this.shelf.shift()
  }

  remove(one: PooledCodec): void {
    const at = this.shelf.indexOf(one)
    if (at >= 0) this.shelf.splice(at, 1)
  }

  onDeadline(): void {
    const now = this.clock.now
    const limit = this.limit.at(now)
    while (this.shelf.length > 0 && now - this.shelf[0]!.idleSince >= limit)
      this.tooOld(this.shelf.shift()!)
    const oldest = this.shelf[0]
    if (oldest !== undefined && !this.sweep.armed) this.arm(limit - (now - oldest.idleSince))
  }

  stop(): void {
    this.wheel.cancel(this.sweep)
  }

  private arm(ms: number): void {
    if (ms !== Number.POSITIVE_INFINITY) this.wheel.arm(this.sweep, Math.max(ms, 0))
  }
}
