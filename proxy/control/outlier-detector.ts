/**
 * Decides for one cluster who is ejected and for how long, as Envoy does: what is counted comes from
 * the workers' shared cells, what is decided goes to all of them.
 */
import type { OutlierDetectionSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import {
  type Consecutive,
  clearAll,
  clearConsecutive,
  lastFailures,
  OutlierCell,
  type OutlierMemory,
} from '../base/outlier-cells.ts'
import { failingTooOften, type Rate, worseThanOthers } from './outlier-rates.ts'

export type Reason =
  | 'consecutive_5xx'
  | 'consecutive_gateway_errors'
  | 'consecutive_local_origin'
  | 'failure_percentage'
  | 'success_rate'

const reasons: Record<Consecutive, Reason> = {
  [OutlierCell.FiveHundreds]: 'consecutive_5xx',
  [OutlierCell.GatewayErrors]: 'consecutive_gateway_errors',
  [OutlierCell.LocalOrigin]: 'consecutive_local_origin',
}

/** One endpoint, as long as it is part of the cluster. */
export interface Host {
  readonly key: string
  readonly cells: OutlierMemory
  /** Its first cell. */
  readonly at: number
  ejectedAt: number | undefined
  /** Ejections that still make the next one longer. */
  multiplier: number
}

export interface Verdict {
  readonly host: Host
  readonly reason: Reason
  /** The last failures: statuses, or LocalFailure. */
  readonly failures: readonly number[]
  /** In a row, or of `replies` within the interval. */
  readonly count: number
  readonly replies: number | undefined
}

export interface DetectorEvents {
  onEject(verdict: Verdict, forMs: number): void
  /** It would have been ejected, but maxEjectionPercent does not allow it. */
  onRefused(verdict: Verdict): void
  onReturn(host: Host): void
}

export class OutlierDetector {
  readonly spec: OutlierDetectionSpec
  readonly hosts = new Map<string, Host>()
  private readonly clock: Clock
  private readonly events: DetectorEvents

  constructor(spec: OutlierDetectionSpec, clock: Clock, events: DetectorEvents) {
    this.spec = spec
    this.clock = clock
    this.events = events
  }

  add(key: string, cells: OutlierMemory, at: number): Host {
    clearAll(cells, at)
    const host: Host = { key, cells, at, ejectedAt: undefined, multiplier: 0 }
    this.hosts.set(key, host)
    return host
  }

  /** It left the cluster; should it come back, it starts afresh. */
  remove(host: Host): void {
    this.hosts.delete(host.key)
  }

  get ejected(): Host[] {
    return [...this.hosts.values()].filter(({ ejectedAt }) => ejectedAt !== undefined)
  }

  /** Something is to be done at the next interval. */
  get ticks(): boolean {
    if (this.rated) return this.hosts.size > 0
    for (const { ejectedAt, multiplier } of this.hosts.values())
      if (ejectedAt !== undefined || multiplier > 0) return true
    return false
  }

  /** When the host may come back at the earliest, on the monotonic clock. */
  untilOf(host: Host): number {
    return (host.ejectedAt ?? 0) + this.lengthOf(host)
  }

  /** A worker saw a number of failures in a row reached. */
  reached(key: string, what: Consecutive): void {
    const host = this.hosts.get(key)
    if (host === undefined || host.ejectedAt !== undefined) return
    const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalOrigin } = this.spec
    const count = [consecutive5xx, consecutiveGatewayErrors, consecutiveLocalOrigin][what]!
    const failures = lastFailures(host.cells, host.at, count)
    this.judge({ host, reason: reasons[what], failures, count, replies: undefined })
    Atomics.store(host.cells, host.at + what, 0)
  }

  /** Once per interval: who may come back, whose past is forgiven, who answers worse than others. */
  tick(): void {
    const { now } = this.clock
    for (const host of this.hosts.values()) {
      if (host.ejectedAt === undefined) host.multiplier = Math.max(0, host.multiplier - 1)
      else if (now - host.ejectedAt >= this.lengthOf(host)) this.restore(host)
    }
    if (this.rated) this.compare()
  }

  private get rated(): boolean {
    return this.spec.failurePercentage > 0 || this.spec.successRateFactor > 0
  }

  private lengthOf({ multiplier }: Host): number {
    const { baseEjectionMs, maxEjectionMs } = this.spec
    return Math.min(baseEjectionMs * multiplier, maxEjectionMs)
  }

  private judge(verdict: Verdict): void {
    const { host } = verdict
    const { baseEjectionMs, maxEjectionMs } = this.spec
    if (!this.mayEject()) {
      this.events.onRefused(verdict)
      return
    }
    host.ejectedAt = this.clock.now
    if (host.multiplier * baseEjectionMs < maxEjectionMs + baseEjectionMs) host.multiplier++
    this.events.onEject(verdict, this.lengthOf(host))
  }

  /** The next one is counted as ejected already, as Envoy does since 1.31. */
  private mayEject(): boolean {
    const { maxEjectionPercent, alwaysEjectOne } = this.spec
    const total = this.hosts.size
    const ejected = this.ejected.length
    if ((100 * (ejected + 1)) / total <= maxEjectionPercent) return true
    return alwaysEjectOne && ejected === 0 && total > 1
  }

  private restore(host: Host): void {
    host.ejectedAt = undefined
    clearConsecutive(host.cells, host.at)
    this.events.onReturn(host)
  }

  private compare(): void {
    const { failurePercentage, successRateFactor } = this.spec
    const hosts = [...this.hosts.values()]
    const rates = hosts.map(takeRate)
    const found = new Map<number, Reason>()
    if (successRateFactor > 0)
      for (const i of worseThanOthers(rates, successRateFactor)) found.set(i, 'success_rate')
    if (failurePercentage > 0)
      for (const i of failingTooOften(rates, failurePercentage))
        if (!found.has(i)) found.set(i, 'failure_percentage')
    for (const [i, reason] of found) {
      const host = hosts[i]!
      if (host.ejectedAt !== undefined) continue
      const { replies, successes } = rates[i]!
      const failures = lastFailures(host.cells, host.at, 5)
      this.judge({ host, reason, failures, count: replies - successes, replies })
    }
  }
}

/** Of the interval that ends now. */
function takeRate({ cells, at }: Host): Rate {
  const replies = Atomics.exchange(cells, at + OutlierCell.Replies, 0)
  const successes = Atomics.exchange(cells, at + OutlierCell.Successes, 0)
  return { replies, successes: Math.min(successes, replies) }
}
