/**
 * maxConnections across all endpoints of a cluster: exact, and nobody starves. Who finds no room
 * takes the place of the longest idle connection, else waits in line for the next that ends.
 */
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { Limit } from './limits.ts'

export interface RoomUser {
  /** Monotonic ms since when its longest idle connection is idle; undefined: it has none. */
  readonly idleSince: number | undefined
  /** Closes that connection and gives its room back before it returns. */
  evictIdle(): void
  /** There may be room now; called once per wait(). False: it took none. */
  onRoom(): boolean
}

/** Other threads' connections end unseen: with shared limits the line asks again this often. */
const askAgainMs = 20

export class ConnectionRoom implements DeadlineOwner {
  readonly limit: Limit
  private readonly wheel: TimerWheel
  private readonly users = new Set<RoomUser>()
  private readonly line = new Set<RoomUser>()
  private readonly askAgain = new Timer(this)

  constructor(limit: Limit, wheel: TimerWheel) {
    this.limit = limit
    this.wheel = wheel
  }

  /** True while somebody waits for room: connections that become idle should be closed. */
  get wanted(): boolean {
    return this.line.size > 0
  }

  join(user: RoomUser): void {
    if (this.limit.finite) this.users.add(user)
  }

  leave(user: RoomUser): void {
    this.users.delete(user)
    this.line.delete(user)
  }

  take(): boolean {
    if (this.limit.take()) return true
    let oldest: RoomUser | undefined
    let since = Number.POSITIVE_INFINITY
    for (const user of this.users) {
      const idleSince = user.idleSince
      if (idleSince === undefined || idleSince >= since) continue
      oldest = user
      since = idleSince
    }
    if (oldest === undefined) return false
    oldest.evictIdle()
    return this.limit.take()
  }

  /** A connection ended; then call `offer` as soon as those it carried were told. */
  give(): void {
    this.limit.give()
  }

  /** Whoever waits longest gets what room there is. */
  offer(): void {
    for (let asked = this.line.size; asked > 0; asked--) {
      const user = this.line.values().next().value
      if (user === undefined) return
      this.line.delete(user)
      if (user.onRoom()) return
    }
  }

  /** Be told by onRoom when a connection ends. */
  wait(user: RoomUser): void {
    this.line.add(user)
    if (this.limit.isShared && !this.askAgain.armed) this.wheel.arm(this.askAgain, askAgainMs)
  }

  stopWaiting(user: RoomUser): void {
    this.line.delete(user)
  }

  onDeadline(): void {
    this.offer()
    if (this.line.size > 0) this.wheel.arm(this.askAgain, askAgainMs)
  }

  close(): void {
    this.wheel.cancel(this.askAgain)
    this.line.clear()
    this.users.clear()
  }
}
