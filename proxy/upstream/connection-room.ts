/**
 * maxConnections across all endpoints of a cluster: exact, and nobody starves. Who finds no room
 * takes the place of the longest idle connection, else waits in line for the next that ends; other
 * threads that share the limit are asked to close one that lies idle there.
 */
import type { Clock } from '../base/clock.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { Limit, Wanting } from './limits.ts'

export interface RoomUser {
  /** Monotonic ms since when its longest idle connection is idle; undefined: it has none. */
  readonly idleSince: number | undefined
  /** Closes that connection and gives its room back before it returns. */
  evictIdle(): void
  /** There may be room now; called once per wait(). False: it took none. */
  onRoom(): boolean
}

/** With shared limits the line asks again this often, should another thread have forgotten it. */
const askAgainMs = 20
/** While another thread waits, a connection serves this one for so long before it makes room: dialing has its price. */
const turnMs = 50
const turnRequests = 8
const longestTurnMs = 1_000
/** Longer than the others need to take the room that was made for them. */
const yieldMs = 10

export class ConnectionRoom implements DeadlineOwner {
  readonly limit: Limit
  private readonly wanting: Wanting
  private readonly wheel: TimerWheel
  private readonly clock: Clock
  private readonly askOthers: () => void
  private readonly users = new Set<RoomUser>()
  private readonly line = new Set<RoomUser>()
  private readonly askAgain = new Timer(this)
  private readonly onWake = (): void => {
    this.clock.refresh()
    // Not for somebody who is gone, nor for who has just made room itself: the next in line.
    const passes = this.line.size === 0 || this.yields()
    if (!passes) this.offer()
    else if (this.wanting.elsewhere) this.wanting.wakeOne()
    if (this.line.size > 0) this.wanting.listen(this.onWake)
  }
  /** Until then room belongs to the threads that wait. */
  private yieldsUntil = 0

  /** `askOthers`: lets another thread close a connection that lies idle there. */
  constructor(
    limit: Limit,
    wanting: Wanting,
    wheel: TimerWheel,
    clock: Clock,
    askOthers: () => void,
  ) {
    this.limit = limit
    this.wanting = wanting
    this.wheel = wheel
    this.clock = clock
    this.askOthers = askOthers
  }

  /** True while somebody of this thread waits for room: connections that become idle should be closed. */
  get wanted(): boolean {
    return this.line.size > 0
  }

  /** True when a freed connection has had its turn and another thread waits: close it. */
  owes(one: { readonly dialedAt: number; readonly requests: number }): boolean {
    if (!this.wanting.elsewhere) return false
    const ms = this.clock.now - one.dialedAt
    if (ms < turnMs || (one.requests < turnRequests && ms < longestTurnMs)) return false
    this.yieldsUntil = this.clock.now + yieldMs
    return true
  }

  /** Another thread waits: one that lies idle here is closed, and not dialed again at once. */
  yieldOne(): void {
    if (this.evictOne()) this.yieldsUntil = this.clock.now + yieldMs
  }

  join(user: RoomUser): void {
    if (this.limit.finite) this.users.add(user)
  }

  leave(user: RoomUser): void {
    this.users.delete(user)
    this.line.delete(user)
    this.wanting.set(this.line.size > 0)
  }

  take(): boolean {
    if (this.yieldsUntil > 0 && this.yields()) return false
    return this.limit.take() || (this.evictOne() && this.limit.take())
  }

  /** Closes the connection that has lain idle for longest; false: none does. */
  private evictOne(): boolean {
    let oldest: RoomUser | undefined
    let since = Number.POSITIVE_INFINITY
    for (const user of this.users) {
      const idleSince = user.idleSince
      if (idleSince === undefined || idleSince >= since) continue
      oldest = user
      since = idleSince
    }
    oldest?.evictIdle()
    return oldest !== undefined
  }

  /** A connection ended; then call `offer` as soon as those it carried were told. */
  give(): void {
    this.limit.give()
    if (this.wanting.elsewhere) this.wanting.wakeOne()
  }

  /** Whoever waits longest gets what room there is. */
  offer(): void {
    for (let asked = this.line.size; asked > 0; asked--) {
      const user = this.line.values().next().value
      if (user === undefined) break
      this.line.delete(user)
      if (user.onRoom()) break
    }
    if (this.line.size === 0) this.wanting.set(false)
  }

  /** Be told by onRoom when a connection ends. */
  wait(user: RoomUser): void {
    this.line.add(user)
    if (!this.limit.isShared) return
    this.wanting.set(true)
    this.wanting.listen(this.onWake)
    if (!this.askAgain.armed) this.ask()
  }

  stopWaiting(user: RoomUser): void {
    this.line.delete(user)
    if (this.line.size === 0) this.wanting.set(false)
  }

  onDeadline(): void {
    this.offer()
    if (this.line.size > 0 && !this.askAgain.armed) this.ask()
  }

  close(): void {
    this.wheel.cancel(this.askAgain)
    this.line.clear()
    this.users.clear()
    this.wanting.set(false)
  }

  private ask(): void {
    this.wheel.arm(this.askAgain, askAgainMs)
    if (this.limit.used > this.limit.own) this.askOthers()
  }

  private yields(): boolean {
    if (this.wanting.elsewhere && this.clock.now < this.yieldsUntil) return true
    this.yieldsUntil = 0
    return false
  }
}
