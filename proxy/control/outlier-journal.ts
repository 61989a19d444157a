/** Ejections as people hear of them: the log, the metrics, and the last ones for the admin page. */
import type { ClusterSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import { type LocalFailure, localFailureNames } from '../base/outlier-cells.ts'
import type { Instruments } from '../telemetry/instruments.ts'
import type { Log } from './log.ts'
import type { Reason } from './outlier-detector.ts'

/** What was counted against an endpoint. */
export interface Charge {
  readonly endpoint: string
  readonly reason: Reason
  readonly failures: readonly number[]
  readonly count: number
  readonly replies: number | undefined
}

export interface Ejection extends Charge {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly forMs: number
  /** Which one in a row. */
  readonly times: number
  /** Endpoints that are not ejected. */
  readonly left: readonly string[]
  readonly rule: string
}

export interface JournalEntry {
  readonly at: number
  readonly cluster: string
  readonly endpoint: string
  readonly action: 'ejected' | 'returned' | 'refused'
  readonly text: string
  readonly rule: string
}

const kept = 200
const reasonTexts: Record<Reason, string> = {
  consecutive_5xx: 'errors in a row',
  consecutive_gateway_errors: 'gateway errors in a row',
  consecutive_local_origin: 'failures in a row without a reply',
  failure_percentage: 'errors',
  success_rate: 'errors, far more than the others have',
}

export class OutlierJournal {
  /** Oldest first. */
  readonly entries: JournalEntry[] = []
  private readonly log: Log
  private readonly instruments: Instruments
  private readonly clock: Clock
  /** Endpoints whose refused ejection was told, until something else happens to their cluster. */
  private readonly refusals = new Map<string, Set<string>>()

  constructor(log: Log, instruments: Instruments, clock: Clock) {
    this.log = log
    this.instruments = instruments
    this.clock = clock
  }

  ejected(spec: ClusterSpec, what: Charge & Pick<Ejection, 'forMs' | 'times' | 'left'>): Ejection {
    const ejection = { ...what, at: this.clock.wall(), rule: ruleOf(spec) }
    const left =
      what.left.length === 0 ? 'no other endpoint is left' : `left: ${what.left.join(', ')}`
    const again = what.times > 1 ? ` (the ${ordinal(what.times)} time)` : ''
    const text = `${what.endpoint} is ejected for ${seconds(what.forMs)}${again}: ${chargeOf(what)}; ${left}`
    this.instruments.counter('outlierEjections', [spec.name, what.reason]).add()
    this.refusals.delete(spec.name)
    this.add(spec, what.endpoint, 'ejected', text)
    return ejection
  }

  returned(spec: ClusterSpec, { endpoint, at }: Ejection, left: readonly string[]): void {
    const after = seconds(this.clock.wall() - at)
    const text = `${endpoint} is back after ${after}; ${left.length === 1 ? '1 endpoint is' : `${left.length} endpoints are`} in use`
    this.refusals.delete(spec.name)
    this.add(spec, endpoint, 'returned', text)
  }

  refused(spec: ClusterSpec, charge: Charge, ejected: number, total: number): void {
    this.instruments.counter('outlierRefused', [spec.name]).add()
    const told = this.refusals.get(spec.name) ?? new Set()
    this.refusals.set(spec.name, told)
    if (told.has(charge.endpoint)) return
    told.add(charge.endpoint)
    const percent = spec.outlierDetection!.maxEjectionPercent
    const most = Math.floor((percent * total) / 100)
    const text = `${charge.endpoint} stays in spite of ${chargeOf(charge)}: maxEjectionPercent ${percent} allows ${most} of ${total} endpoints to be ejected, and ${ejected} are`
    this.add(spec, charge.endpoint, 'refused', text)
  }

  /** The cluster is gone, or begins afresh. */
  forget(cluster: string): void {
    this.refusals.delete(cluster)
    this.active(cluster, 0)
  }

  /** How many are ejected now. */
  active(cluster: string, count: number): void {
    this.instruments.gauge('outlierActive', [cluster]).set(count)
  }

  private add(
    spec: ClusterSpec,
    endpoint: string,
    action: JournalEntry['action'],
    text: string,
  ): void {
    const cluster = spec.name
    const rule = ruleOf(spec)
    this.entries.push({ at: this.clock.wall(), cluster, endpoint, action, text, rule })
    if (this.entries.length > kept) this.entries.shift()
    const line = `outlier detection of ${cluster}: ${text} [${rule}]`
    if (action === 'returned') this.log.info({ cluster, endpoint, action }, line)
    else this.log.warn({ cluster, endpoint, action }, line)
  }
}

/** For a refusal that names who is missing. */
export function whyOf(ejection: Ejection): string {
  const until = new Date(ejection.at + ejection.forMs).toISOString()
  return `${chargeOf(ejection)}; ejected until ${until} at the earliest, ${ejection.rule}`
}

/** `5 errors in a row (503, 503, 503, 503, 503)` */
export function chargeOf({ reason, count, failures, replies }: Charge): string {
  const of = replies === undefined ? `${count}` : `${count} of ${replies} replies:`
  const shown = failures.map((failure) => localFailureNames[failure as LocalFailure] ?? failure)
  const more = shown.length < count ? 'last ones ' : ''
  return `${of} ${reasonTexts[reason]} (${more}${shown.join(', ')})`
}

function ruleOf({ outlierOrigin }: ClusterSpec): string {
  if (outlierOrigin === undefined) return 'no rule'
  const { kind, namespace, name, file, line } = outlierOrigin
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} (${file}:${line})`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}

function ordinal(n: number): string {
  return n === 2 ? '2nd' : n === 3 ? '3rd' : `${n}th`
}
