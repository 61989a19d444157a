/**
 * One coarse wheel per worker for every deadline: arming and cancelling cost a few pointer writes and
 * no allocation. Deadlines fire up to one tick late, never early. Hot: bench/micro/timer-wheel.bench.ts.
 */
import { type Clock, clock as threadClock } from './clock.ts'
import { invariant } from './invariant.ts'

export interface DeadlineOwner {
  /** `timer` expired; it is disarmed and may be armed again. */
  onDeadline(timer: Timer): void
}

/** A deadline that can be armed again and again; `kind` tells the owner which one it is. */
export class Timer {
  readonly owner: DeadlineOwner
  readonly kind: number
  /** Monotonic ms; meaningful while armed. */
  deadline = 0
  next: Timer | undefined = undefined
  previous: Timer | undefined = undefined
  slot = -1

  constructor(owner: DeadlineOwner, kind = 0) {
    this.owner = owner
    this.kind = kind
  }

  get armed(): boolean {
    return this.slot >= 0
  }
}

const slotCount = 512

export class TimerWheel {
  private readonly slots: Array<Timer | undefined> = new Array(slotCount).fill(undefined)
  private readonly tickMs: number
  private readonly clock: Clock
  /** Number of the last tick whose slot was swept. */
  private swept: number
  private count = 0
  private ticking: NodeJS.Timeout | undefined = undefined
  private readonly onTick = (): void => {
    this.clock.refresh()
    this.sweep()
  }

  constructor(clock: Clock = threadClock, tickMs = 10) {
    this.clock = clock
    this.tickMs = tickMs
    this.swept = Math.floor(clock.now / tickMs)
  }

  /** Armed timers: a leak counter. */
  get size(): number {
    return this.count
  }

  /** Fires `timer` once `ms` have passed; an armed timer is moved. */
  arm(timer: Timer, ms: number): void {
    if (timer.slot >= 0) this.unlink(timer)
    else this.count++
    if (this.ticking === undefined) this.start()
    timer.deadline = this.clock.now + ms
    const tick = Math.max(Math.ceil(timer.deadline / this.tickMs), this.swept + 1)
    this.link(timer, tick % slotCount)
  }

  cancel(timer: Timer): void {
    if (timer.slot < 0) return
    this.unlink(timer)
    this.count--
  }

  /** Fires everything due now; called by the tick, and by tests that move their clock. */
  sweep(): void {
    const due = Math.floor(this.clock.now / this.tickMs)
    const last = Math.min(due, this.swept + slotCount)
    for (let tick = this.swept + 1; tick <= last; tick++) {
      this.swept = tick
      this.fireSlot(tick % slotCount)
    }
    this.swept = Math.max(this.swept, due)
    if (this.count === 0) this.stop()
  }

  /** Stops ticking; armed timers stay armed but nothing fires. */
  stop(): void {
    clearInterval(this.ticking)
    this.ticking = undefined
  }

  private start(): void {
    this.clock.refresh()
    this.swept = Math.floor(this.clock.now / this.tickMs)
    this.ticking = setInterval(this.onTick, this.tickMs)
    this.ticking.unref()
  }

  private fireSlot(slot: number): void {
    let timer = this.slots[slot]
    while (timer !== undefined) {
      const next: Timer | undefined = timer.next
      if (timer.deadline <= this.clock.now) {
        this.unlink(timer)
        this.count--
        timer.owner.onDeadline(timer)
        // The owner may have changed this slot's list: start over, fired timers are gone from it.
        timer = this.slots[slot]
        continue
      }
      timer = next
    }
  }

  private link(timer: Timer, slot: number): void {
    const first = this.slots[slot]
    timer.slot = slot
    timer.next = first
    timer.previous = undefined
    if (first !== undefined) first.previous = timer
    this.slots[slot] = timer
  }

  private unlink(timer: Timer): void {
    invariant(timer.slot >= 0, 'an unarmed timer cannot be unlinked')
    if (timer.previous !== undefined) timer.previous.next = timer.next
    else this.slots[timer.slot] = timer.next
    if (timer.next !== undefined) timer.next.previous = timer.previous
    timer.next = undefined
    timer.previous = undefined
    timer.slot = -1
  }
}

/** The wheel of this thread. */
export const wheel = new TimerWheel()
