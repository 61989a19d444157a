/** One cluster whose endpoints can be ejected: its members, their cells, and the workers that use it. */
import type { ClusterSpec, EndpointSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import {
  type Consecutive,
  endpointKey,
  type OutlierMemory,
  outlierCells,
  outlierMemory,
} from '../base/outlier-cells.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { formatAddress } from '../net/address.ts'
import type { SharedToWorker } from '../worker/messages.ts'
import {
  type DetectorEvents,
  type Host,
  OutlierDetector,
  type Verdict,
} from './outlier-detector.ts'
import { type Ejection, type OutlierJournal, whyOf } from './outlier-journal.ts'

export interface WatchedClusterParts {
  readonly post: (worker: number, message: SharedToWorker) => void
  /** To all workers: who uses the cluster later should not begin with an ejected endpoint. */
  readonly postAll: (message: SharedToWorker) => void
  readonly journal: OutlierJournal
  readonly clock: Clock
  readonly wheel: TimerWheel
}

interface Cells {
  readonly cells: OutlierMemory
  readonly at: number
  /** Whose they were left the cluster then: requests to it may still end. */
  readonly freedAt: number
}

const leastPerBlock = 8
const restMs = 60_000

export class WatchedCluster implements DetectorEvents, DeadlineOwner {
  spec: ClusterSpec
  private readonly parts: WatchedClusterParts
  private readonly detector: OutlierDetector
  private readonly workers = new Set<number>()
  private readonly free: Cells[] = []
  private readonly resting: Cells[] = []
  /** Of the hosts that are ejected now. */
  private readonly ejections = new Map<Host, Ejection>()
  private readonly interval = new Timer(this)

  /** `spec`: with outlierDetection. */
  constructor(spec: ClusterSpec, parts: WatchedClusterParts) {
    this.spec = spec
    this.parts = parts
    this.detector = new OutlierDetector(spec.outlierDetection!, parts.clock, this)
  }

  /** The same policy, written elsewhere. */
  describe(spec: ClusterSpec): void {
    this.spec = spec
  }

  /** What the endpoint set has now. */
  update(endpoints: readonly EndpointSpec[]): void {
    const { hosts } = this.detector
    const members = membersOf(this.spec, endpoints)
    let changed = false
    for (const host of [...hosts.values()])
      if (!members.has(host.key)) {
        this.detector.remove(host)
        this.resting.push({ cells: host.cells, at: host.at, freedAt: this.parts.clock.now })
        changed = this.ejections.delete(host) || changed
      }
    const fresh = [...members].filter((key) => !hosts.has(key))
    this.reserve(fresh.length)
    for (const key of fresh) {
      const { cells, at } = this.free.pop()!
      this.detector.add(key, cells, at)
    }
    if (fresh.length > 0) for (const worker of this.workers) this.tellCells(worker, fresh)
    if (changed) this.tellEjected()
    this.settle()
  }

  welcome(worker: number): void {
    this.workers.add(worker)
    this.tellCells(worker, [...this.detector.hosts.keys()])
  }

  /** A new thread: it may use the cluster later. */
  introduce(worker: number): void {
    if (this.ejections.size > 0) this.parts.post(worker, this.ejectedMessage())
  }

  forget(worker: number): void {
    this.workers.delete(worker)
  }

  reached(key: string, what: Consecutive): void {
    this.detector.reached(key, what)
    this.settle()
  }

  onDeadline(): void {
    this.detector.tick()
    this.settle()
  }

  status(): Array<{ readonly cluster: string; readonly endpoint: string; readonly why: string }> {
    return [...this.ejections.values()].map((ejection) => ({
      cluster: this.spec.name,
      endpoint: ejection.endpoint,
      why: whyOf(ejection),
    }))
  }

  close(): void {
    this.parts.wheel.cancel(this.interval)
    if (this.ejections.size > 0) {
      this.ejections.clear()
      this.tellEjected()
    }
    this.parts.journal.forget(this.spec.name)
  }

  // --- what the detector decides
  onEject(verdict: Verdict, forMs: number): void {
    const { host } = verdict
    const ejection = this.parts.journal.ejected(this.spec, {
      ...this.told(verdict),
      forMs,
      times: host.multiplier,
      left: this.left(),
    })
    this.ejections.set(host, ejection)
    this.tellEjected()
  }

  onRefused(verdict: Verdict): void {
    const { size } = this.detector.hosts
    this.parts.journal.refused(this.spec, this.told(verdict), this.ejections.size, size)
  }

  onReturn(host: Host): void {
    const ejection = this.ejections.get(host)
    this.ejections.delete(host)
    if (ejection !== undefined) this.parts.journal.returned(this.spec, ejection, this.left())
    this.tellEjected()
  }

  // --- the inside
  private told({ host, reason, failures, count, replies }: Verdict) {
    return { endpoint: textOf(host.key), reason, failures, count, replies }
  }

  private left(): string[] {
    const { hosts } = this.detector
    return [...hosts.values()]
      .filter(({ ejectedAt }) => ejectedAt === undefined)
      .map(({ key }) => textOf(key))
  }

  /** Ticks only while something may change by itself. */
  private settle(): void {
    const { wheel } = this.parts
    if (!this.detector.ticks) wheel.cancel(this.interval)
    else if (!this.interval.armed) wheel.arm(this.interval, this.detector.spec.intervalMs)
  }

  private tellEjected(): void {
    this.parts.journal.active(this.spec.name, this.ejections.size)
    this.parts.postAll(this.ejectedMessage())
  }

  private ejectedMessage(): SharedToWorker {
    const { name, hash } = this.spec
    const endpoints = [...this.ejections].map(
      ([{ key }, ejection]) => [key, whyOf(ejection)] as const,
    )
    return { kind: 'ejected', cluster: name, hash, endpoints }
  }

  private tellCells(worker: number, keys: readonly string[]): void {
    const byMemory = new Map<SharedArrayBuffer, Array<readonly [string, number]>>()
    for (const key of keys) {
      const { cells, at } = this.detector.hosts.get(key)!
      const list = byMemory.get(cells.buffer)
      if (list === undefined) byMemory.set(cells.buffer, [[key, at]])
      else list.push([key, at])
    }
    const { name, hash } = this.spec
    for (const [memory, endpoints] of byMemory)
      this.parts.post(worker, { kind: 'outliers', cluster: name, hash, memory, endpoints })
  }

  private reserve(count: number): void {
    const rested = this.parts.clock.now - restMs
    while (this.resting.length > 0 && this.resting[0]!.freedAt <= rested)
      this.free.push(this.resting.shift()!)
    const missing = count - this.free.length
    if (missing <= 0) return
    const size = Math.max(missing, leastPerBlock)
    const cells = outlierMemory(size)
    for (let i = size - 1; i >= 0; i--) this.free.push({ cells, at: i * outlierCells, freedAt: 0 })
  }
}

/** As Istio hands them on: those that are ready, of the subset. */
function membersOf(spec: ClusterSpec, endpoints: readonly EndpointSpec[]): Set<string> {
  const wanted = Object.entries(spec.subsetLabels)
  const members = new Set<string>()
  for (const endpoint of endpoints) {
    if (!endpoint.healthy) continue
    if (wanted.every(([name, value]) => endpoint.labels[name] === value))
      members.add(endpointKey(endpoint))
  }
  return members
}

function textOf(key: string): string {
  const [address = '', port] = key.split('\n')
  if (address.startsWith('unix://')) return address
  return formatAddress({ address, port: Number(port) })
}
