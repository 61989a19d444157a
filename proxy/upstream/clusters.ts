/**
 * The clusters of one worker: linked when first asked for, kept over reloads as long as their spec
 * stays the same, so that pools and connections survive.
 */
import type { ClusterSpec, EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { Cluster, type ClusterContext } from './cluster.ts'

const none: readonly EndpointSpec[] = []
/** Longer than retries of an exchange usually take. */
const lingerMs = 10_000

export class Clusters {
  private readonly context: ClusterContext
  private readonly live = new Map<string, Cluster>()
  /** Gone from the configuration, still finishing. */
  private readonly leaving = new Set<Cluster>()
  private snapshot: Snapshot | undefined = undefined
  /** Endpoint sets that changed since the snapshot (DNS answers). */
  private readonly changed = new Map<string, readonly EndpointSpec[]>()

  constructor(context: ClusterContext) {
    this.context = context
  }

  /** The live cluster of that name, or undefined if the configuration has none. */
  get(name: string): Cluster | undefined {
    const known = this.live.get(name)
    if (known !== undefined) return known
    const spec = this.snapshot?.clusters.get(name)
    return spec === undefined ? undefined : this.add(spec, this.endpointsOf(spec))
  }

  /** A cluster that is not part of the configuration: passthrough, the application. */
  fixed(spec: ClusterSpec, endpoints: readonly EndpointSpec[] = none): Cluster {
    const known = this.live.get(spec.name)
    if (known?.spec.hash === spec.hash) return known
    if (known !== undefined) this.drop(known)
    return this.add(spec, endpoints)
  }

  /** Takes over a new snapshot: clusters with the same spec stay, others are drained. */
  adopt(snapshot: Snapshot): void {
    this.snapshot = snapshot
    this.changed.clear()
    for (const cluster of [...this.live.values()]) {
      if (isFixed(cluster.spec)) continue
      const spec = snapshot.clusters.get(cluster.name)
      if (spec === undefined || spec.hash !== cluster.spec.hash) this.drop(cluster)
      else {
        cluster.describe(spec)
        cluster.update(this.endpointsOf(spec))
      }
    }
  }

  updateEndpoints(set: string, endpoints: readonly EndpointSpec[]): void {
    this.changed.set(set, endpoints)
    for (const cluster of this.live.values())
      if (cluster.spec.endpointSet === set && set !== '') cluster.update(endpoints)
  }

  /** Linked so far. */
  all(): Iterable<Cluster> {
    return this.live.values()
  }

  /** Connections, dials and waiting requests of all clusters, leaving ones included. */
  held(): { connections: number; dials: number; waiters: number } {
    const sum = { connections: 0, dials: 0, waiters: 0 }
    for (const cluster of [...this.live.values(), ...this.leaving]) {
      const { held } = cluster
      sum.connections += held.connections
      sum.dials += held.dials
      sum.waiters += held.waiters
    }
    return sum
  }

  /** The cluster as it is now, if it is the one that is meant. */
  current(name: string, hash: string): Cluster | undefined {
    const cluster = this.live.get(name)
    return cluster?.spec.hash === hash ? cluster : undefined
  }

  /** Another thread waits for room in the cluster of that name. */
  makeRoom(name: string): void {
    this.live.get(name)?.makeRoom()
  }

  close(): void {
    for (const cluster of [...this.live.values(), ...this.leaving]) cluster.close()
  }

  private add(spec: ClusterSpec, endpoints: readonly EndpointSpec[]): Cluster {
    const cluster = new Cluster(spec, endpoints, this.context)
    this.live.set(spec.name, cluster)
    cluster.watch()
    return cluster
  }

  /** Exchanges that began with the former table may still pick from it: it drains a while later. */
  private drop(cluster: Cluster): void {
    this.live.delete(cluster.name)
    this.leaving.add(cluster)
    cluster.stopKeeping()
    const { wheel } = this.context
    wheel.arm(new Timer(new Leaving(cluster, this.leaving, wheel)), lingerMs)
  }

  private endpointsOf(spec: ClusterSpec): readonly EndpointSpec[] {
    const { endpointSet } = spec
    return this.changed.get(endpointSet) ?? this.snapshot?.endpointSets.get(endpointSet) ?? none
  }
}

/** Drains a cluster when its time has come, and forgets it once nothing is open. */
class Leaving implements DeadlineOwner {
  private readonly cluster: Cluster
  private readonly among: Set<Cluster>
  private readonly wheel: TimerWheel

  constructor(cluster: Cluster, among: Set<Cluster>, wheel: TimerWheel) {
    this.cluster = cluster
    this.among = among
    this.wheel = wheel
  }

  onDeadline(timer: Timer): void {
    this.cluster.drain()
    if (this.cluster.held.connections === 0) this.among.delete(this.cluster)
    else this.wheel.arm(timer, lingerMs)
  }
}

function isFixed(spec: ClusterSpec): boolean {
  return spec.hash.startsWith('fixed:')
}
