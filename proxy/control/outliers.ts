/**
 * Outlier detection for all workers at once: keeps the state of the clusters they use, passes on who
 * is ejected, and remembers why.
 */
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { type Clock, clock as threadClock } from '../base/clock.ts'
import type { Consecutive } from '../base/outlier-cells.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { Instruments } from '../telemetry/instruments.ts'
import type { SharedToWorker } from '../worker/messages.ts'
import type { Log } from './log.ts'
import { OutlierJournal } from './outlier-journal.ts'
import { WatchedCluster } from './watched-cluster.ts'

export interface OutliersOptions {
  /** Workers, numbered from 0. */
  readonly threads: number
  readonly post: (worker: number, message: SharedToWorker) => void
  /** What the workers are to run. */
  readonly current: () => Snapshot | undefined
  /** The newest of an endpoint set. */
  readonly endpointsOf: (set: string) => readonly EndpointSpec[]
  readonly log: Log
  readonly instruments?: Instruments | undefined
  readonly clock?: Clock
  readonly wheel?: TimerWheel
}

const tickMs = 50

export class Outliers {
  readonly journal: OutlierJournal
  private readonly options: OutliersOptions
  private readonly clock: Clock
  private readonly wheel: TimerWheel
  private readonly watched = new Map<string, WatchedCluster>()

  constructor(options: OutliersOptions) {
    this.options = options
    this.clock = options.clock ?? threadClock
    this.wheel = options.wheel ?? new TimerWheel(this.clock, tickMs)
    const instruments = options.instruments ?? new Instruments(() => undefined)
    this.journal = new OutlierJournal(options.log, instruments, this.clock)
  }

  /** Before the workers get the snapshot. A cluster with another policy starts afresh, as its connections do. */
  follow(snapshot: Snapshot): void {
    this.clock.refresh()
    for (const [name, cluster] of this.watched) {
      const spec = snapshot.clusters.get(name)
      if (spec?.hash === cluster.spec.hash) {
        cluster.describe(spec)
        cluster.update(snapshot.endpointSets.get(spec.endpointSet) ?? [])
      } else {
        cluster.close()
        this.watched.delete(name)
      }
    }
  }

  /** Before the workers get these. */
  endpointsChanged(set: string, endpoints: readonly EndpointSpec[]): void {
    this.clock.refresh()
    for (const cluster of this.watched.values())
      if (cluster.spec.endpointSet === set) cluster.update(endpoints)
  }

  /** A worker uses the cluster from now on. */
  watch(worker: number, name: string, hash: string): void {
    const spec = this.options.current()?.clusters.get(name)
    if (spec?.outlierDetection === undefined || spec.hash !== hash) return
    this.clock.refresh()
    let cluster = this.watched.get(name)
    if (cluster === undefined) {
      const { clock, journal, wheel } = this
      const { post } = this.options
      const postAll = (message: SharedToWorker): void => this.postAll(message)
      cluster = new WatchedCluster(spec, { post, postAll, journal, clock, wheel })
      cluster.update(this.options.endpointsOf(spec.endpointSet))
      this.watched.set(name, cluster)
    }
    cluster.welcome(worker)
  }

  reached(name: string, hash: string, key: string, what: Consecutive): void {
    const cluster = this.watched.get(name)
    if (cluster === undefined || cluster.spec.hash !== hash) return
    this.clock.refresh()
    cluster.reached(key, what)
  }

  /** A new thread starts: it hears who is ejected before it has a snapshot. */
  welcome(worker: number): void {
    for (const cluster of this.watched.values()) cluster.introduce(worker)
  }

  /** The worker is dead. */
  forget(worker: number): void {
    for (const cluster of this.watched.values()) cluster.forget(worker)
  }

  /** Who is ejected now, for people. */
  status(): Array<{ readonly cluster: string; readonly endpoint: string; readonly why: string }> {
    return [...this.watched.values()].flatMap((cluster) => cluster.status())
  }

  close(): void {
    for (const cluster of this.watched.values()) cluster.close()
    this.watched.clear()
  }

  private postAll(message: SharedToWorker): void {
    const { post, threads } = this.options
    for (let worker = 0; worker < threads; worker++) post(worker, message)
  }
}
