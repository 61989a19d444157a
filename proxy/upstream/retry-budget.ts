/**
 * How many retries a cluster may see, so that they help while something works and do not bury what is
 * down (config/snapshot.ts RetryBudgetSpec). One per cluster and thread; hot: `asked`.
 */
import type { RetryBudgetSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import { unreachable } from '../base/invariant.ts'
import type { Limits } from './limits.ts'

export interface RetryBudget {
  /** A request that is no retry goes to the cluster. */
  asked(): void
  /** A retry is wanted: a ticket, or -1. */
  take(): number
  /** What came of the retry, once: `helped` when it got an answer that needs no other. */
  settle(ticket: number, helped: boolean): void
  /** Gives back what `take` holds; the exchange is over. */
  release(ticket: number): void
  /** Why not, for people. */
  describe(): string
}

const slots = 10

/** A count of the last `intervalMs`, forgotten by tenths of it. */
class Recent {
  private readonly counts = new Float64Array(slots)
  private readonly clock: Clock
  private readonly slotMs: number
  private sum = 0
  /** Number of the slot being filled, and the end of it. */
  private slot = 0
  private slotEnd = Number.NEGATIVE_INFINITY

  constructor(intervalMs: number, clock: Clock) {
    this.slotMs = intervalMs / slots
    this.clock = clock
  }

  /** In the slot of now, or in an earlier one that is not forgotten; gives the slot. */
  add(slot = Number.POSITIVE_INFINITY): number {
    if (this.clock.now >= this.slotEnd) this.turn()
    const at = Math.min(slot, this.slot)
    this.counts[at % slots]!++
    this.sum++
    return at
  }

  /** Takes one back; false if it is forgotten already. */
  undo(slot: number): boolean {
    if (this.clock.now >= this.slotEnd) this.turn()
    if (slot <= this.slot - slots) return false
    this.counts[slot % slots]!--
    this.sum--
    return true
  }

  get count(): number {
    if (this.clock.now >= this.slotEnd) this.turn()
    return this.sum
  }

  private turn(): void {
    const now = Math.floor(this.clock.now / this.slotMs)
    for (let slot = Math.max(this.slot + 1, now - slots + 1); slot <= now; slot++) {
      this.sum -= this.counts[slot % slots]!
      this.counts[slot % slots] = 0
    }
    this.slot = now
    this.slotEnd = (now + 1) * this.slotMs
  }
}

/** Of every outcome of a retry this part goes into what is expected of the next ones. */
const hope = 1 / 16
const doubt = 1 / 4
/** Without outcomes for so long nothing is known any more. */
const forgetMs = 10_000

/**
 * A retry that helps costs nothing: where one endpoint of several fails, all its requests are tried
 * elsewhere. Retries that fail are bounded by the requests of the same second; those whose end is not
 * known yet count by how the last ones ended.
 */
class FailingBudget implements RetryBudget {
  private readonly requests: Recent
  private readonly failed: Recent
  private readonly running: Recent
  private readonly clock: Clock
  private readonly share: number
  private readonly base: number
  /** Part of the retries under way that is expected to fail. */
  private failing = 1
  private heardAt = Number.NEGATIVE_INFINITY

  constructor(percent: number, base: number, clock: Clock) {
    this.share = percent / 100
    this.base = base
    this.clock = clock
    this.requests = new Recent(1000, clock)
    this.failed = new Recent(1000, clock)
    this.running = new Recent(1000, clock)
  }

  asked(): void {
    this.requests.add()
  }

  take(): number {
    if (this.clock.now - this.heardAt > forgetMs) this.failing = 1
    const expected = this.failed.count + (this.running.count + 1) * this.failing
    if (expected > this.requests.count * this.share + this.base) return -1
    return this.running.add()
  }

  settle(ticket: number, helped: boolean): void {
    this.heardAt = this.clock.now
    this.failing += helped ? -this.failing * hope : (1 - this.failing) * doubt
    if (this.running.undo(ticket) && !helped) this.failed.add(ticket)
  }

  release(): void {
    // What was tried was tried.
  }

  describe(): string {
    const percent = Math.round(this.share * 100)
    const spent = this.failed.count + this.running.count
    return `${percent} % of the last second's ${this.requests.count} requests and ${this.base} more may be repeated in vain, and ${spent} were`
  }
}

/** Istio's retryBudget: a share of what is under way, in all threads where the counts are shared. */
class ConcurrentBudget implements RetryBudget {
  private readonly share: number
  private readonly least: number
  private readonly limits: Limits
  private readonly recent: Recent | undefined
  private readonly threads: number

  constructor(
    spec: Extract<RetryBudgetSpec, { readonly kind: 'concurrent' }>,
    limits: Limits,
    clock: Clock,
    threads: number,
  ) {
    this.threads = threads
    this.share = spec.percent / 100
    this.least = spec.minConcurrency
    this.limits = limits
    this.recent = spec.intervalMs === 0 ? undefined : new Recent(spec.intervalMs, clock)
  }

  asked(): void {
    this.recent?.add()
  }

  take(): number {
    return this.limits.retries.takeBelow(this.most) ? 0 : -1
  }

  settle(): void {
    // Held until the exchange is over.
  }

  release(): void {
    this.limits.retries.give()
  }

  describe(): string {
    return `retryBudget allows ${Math.floor(this.most)} retries at once, and ${this.limits.retries.used} are under way`
  }

  private get most(): number {
    // Connections are spread evenly: the other threads have begun as many.
    const recent = this.recent === undefined ? 0 : this.recent.count * this.threads
    const requests = Math.max(this.limits.requests.used, recent)
    return Math.max(this.least, this.share * requests)
  }
}

const unlimited: RetryBudget = {
  asked: () => undefined,
  take: () => 0,
  settle: () => undefined,
  release: () => undefined,
  describe: () => '',
}

/** A lone request may be repeated by any thread, however many there are. */
const leastPerThread = 3

/** `threads` share what is allowed beside the share of requests. */
export function retryBudget(
  spec: RetryBudgetSpec,
  limits: Limits,
  clock: Clock,
  threads: number,
): RetryBudget {
  switch (spec.kind) {
    case 'off':
      return unlimited
    case 'concurrent':
      return new ConcurrentBudget(spec, limits, clock, threads)
    case 'failing': {
      const part = Math.ceil(spec.perSecond / threads)
      const base = Math.min(spec.perSecond, Math.max(leastPerThread, part))
      return new FailingBudget(spec.percent, base, clock)
    }
    default:
      return unreachable(spec)
  }
}
