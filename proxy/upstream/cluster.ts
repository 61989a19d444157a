/**
 * A named group of endpoints, alive: keeps endpoints across updates, answers picks, holds what all of
 * its pools share. Cheap until it is used.
 */
import { isIP } from 'node:net'
import type { ClusterSpec, EndpointSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { endpointKey } from '../base/outlier-cells.ts'
import type { Random } from '../base/random.ts'
import type { SharedLimitCells } from '../base/shared-limits.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ClientCodec, ClientCodecOwner } from '../http/codec.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import type { Dialer } from '../net/dialing.ts'
import type { ClusterMetrics } from '../telemetry/cluster-metrics.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { UpstreamInstruments } from '../telemetry/upstream-instruments.ts'
import { Candidates } from './candidates.ts'
import { ConnectionRoom } from './connection-room.ts'
import { Endpoint, type EndpointOwner } from './endpoint.ts'
import { Limits } from './limits.ts'
import { OriginalDestinations } from './original-destination.ts'
import { type OutlierReports, OutlierWatch } from './outlier-watch.ts'
import type { Pick, PickRequest } from './picker.ts'
import type { PoolContext } from './pool-context.ts'
import { type RetryBudget, retryBudget } from './retry-budget.ts'
import { transportOf } from './transport.ts'

/** What every cluster of a thread is given. */
export interface ClusterContext {
  readonly dialer: Dialer
  readonly makeClientCodec: (connection: Connection, owner: ClientCodecOwner) => ClientCodec
  readonly recorder: Recorder
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly random: Random
  /** Source address for connections to `address`: deliveries to the application have their own. */
  sourceFor?(cluster: ClusterSpec, address: string): string | undefined
  /** Cells for limits that are exact over all threads; undefined: this thread counts alone. */
  /** What people should be told once: `key` tells occasions apart. */
  note?(key: string, text: string): void
  sharedLimits?(cluster: ClusterSpec): SharedLimitCells | undefined
  /** Who ejects endpoints; undefined: nobody. */
  readonly outliers?: OutlierReports
  /** Asks another thread to close an idle connection of the cluster. */
  askForRoom?(cluster: string): void
  /** How many threads share what is allowed to all of them; default 1. */
  readonly threads?: number
}

export class Cluster implements EndpointOwner {
  spec: ClusterSpec
  private readonly context: ClusterContext
  /** What the set has, before subset and readiness. */
  private specs: readonly EndpointSpec[] = []
  private live = new Map<string, Endpoint>()
  /** Left the cluster, still finishing. */
  private readonly leaving = new Map<string, Endpoint>()
  private readonly originals: OriginalDestinations | undefined
  private readonly candidates: Candidates
  private readonly outliers: OutlierWatch | undefined
  private sharedContext: PoolContext | undefined = undefined
  private ownMetrics: ClusterMetrics | undefined = undefined

  constructor(spec: ClusterSpec, endpoints: readonly EndpointSpec[], context: ClusterContext) {
    this.spec = spec
    this.context = context
    this.candidates = new Candidates(spec, context)
    this.originals =
      spec.discovery === 'original-destination' ||
      spec.discovery === 'dynamic-dns' ||
      spec.loadBalancer.kind === 'PASSTHROUGH'
        ? new OriginalDestinations(spec, this)
        : undefined
    // Where the client chose the address, leaving it out would help nobody.
    this.outliers =
      spec.outlierDetection === undefined || this.originals || context.outliers === undefined
        ? undefined
        : new OutlierWatch(spec, context.outliers)
    this.update(endpoints)
  }

  get name(): string {
    return this.spec.name
  }

  /** All that are part of it now, ready or not. */
  get endpoints(): Iterable<Endpoint> {
    return this.originals?.endpoints ?? this.live.values()
  }

  /** The same policy from another place in the files: only where it was written changes. */
  describe(spec: ClusterSpec): void {
    this.spec = spec
  }

  /** Replaces the set: unchanged addresses keep their endpoint, others finish and close. */
  update(endpoints: readonly EndpointSpec[]): void {
    if (this.originals !== undefined || endpoints === this.specs) return
    this.specs = endpoints
    const former = this.live
    this.live = new Map()
    for (const spec of endpoints) {
      if (!hasLabels(spec, this.spec.subsetLabels)) continue
      const key = endpointKey(spec)
      if (this.live.has(key)) continue
      const known = former.get(key) ?? this.leaving.get(key)
      if (known === undefined) this.live.set(key, new Endpoint(spec, this))
      else {
        known.describe(spec)
        this.live.set(key, known)
        if (this.leaving.delete(key)) known.revive()
      }
    }
    this.outliers?.follow(this.live)
    this.candidates.replace(this.live.values())
    for (const [key, endpoint] of former) {
      if (this.live.has(key)) continue
      this.leaving.set(key, endpoint)
      endpoint.retire()
    }
  }

  pick(request: PickRequest): Pick {
    if (this.originals !== undefined) return this.originals.pick(request)
    const endpoint = this.candidates.pick(request)
    return endpoint === undefined ? this.refuse() : endpoint.picked
  }

  /** It can be found by its name now: whoever ejects its endpoints is told of it. */
  watch(): void {
    this.outliers?.start()
  }

  /** Where the failures of these endpoints are counted for all threads. */
  shareOutliers(cells: Int32Array, keys: ReadonlyArray<readonly [key: string, at: number]>): void {
    this.outliers?.share(cells, keys, this.live)
  }

  /** These are ejected, by key with the reason; all others are not. */
  eject(ejected: ReadonlyMap<string, string>): void {
    this.outliers?.eject(ejected, this.live)
    this.refresh()
  }

  /** An endpoint was ejected or is back. */
  refresh(): void {
    this.candidates.refresh()
  }

  get limits(): Limits {
    return this.poolContext.limits
  }

  get retryBudget(): RetryBudget {
    return this.poolContext.retryBudget
  }

  /** Handles for what happens on its connections; retries are counted there by the exchange. */
  get instruments(): UpstreamInstruments {
    return this.poolContext.instruments
  }

  /** Handles for requests that reached the cluster but no endpoint. */
  get metrics(): ClusterMetrics {
    this.ownMetrics ??= this.context.recorder.clusterMetrics(this.spec)
    return this.ownMetrics
  }

  /** Connections, dials, waiting requests of all endpoints: zero when nothing leaks. */
  get held(): { readonly connections: number; readonly dials: number; readonly waiters: number } {
    const held = { connections: 0, dials: 0, waiters: 0 }
    for (const endpoint of [...this.endpoints, ...this.leaving.values()]) {
      held.connections += endpoint.counts.connections
      held.dials += endpoint.dials
      held.waiters += endpoint.waiters
    }
    return held
  }

  /** No part of the configuration any more: finishes what runs. */
  drain(): void {
    this.originals?.drain()
    this.update([])
  }

  /** Another thread waits for a connection of its own, and the limit is reached. */
  makeRoom(): void {
    this.sharedContext?.room.yieldOne()
  }

  /** Its successor counts against the same limits: what lies idle is closed at once. */
  stopKeeping(): void {
    for (const endpoint of this.endpoints) endpoint.stopKeeping()
  }

  /** Ends everything now. */
  close(): void {
    for (const endpoint of [...this.endpoints, ...this.leaving.values()]) endpoint.close()
    this.sharedContext?.room.close()
    this.candidates.close()
  }

  /** For /clusters: equal to worker/messages ClusterStatus. */
  status() {
    const { spec } = this
    this.candidates.settle()
    return {
      name: spec.name,
      origin: originText(spec.origin),
      policyOrigin: spec.policyOrigin === undefined ? '' : originText(spec.policyOrigin),
      loadBalancer: this.originals === undefined ? spec.loadBalancer.kind : 'PASSTHROUGH',
      endpoints: [...this.endpoints].map((endpoint) => endpoint.status()),
    }
  }

  // --- for Endpoint
  get isOneName(): boolean {
    return this.spec.discovery === 'logical-dns'
  }

  alternativesTo(endpoint: Endpoint): readonly Address[] {
    const others = [...this.live.values()].filter((one) => one !== endpoint)
    return others.map(({ address }) => address).filter(({ address }) => isIP(address) !== 0)
  }

  get namesHosts(): boolean {
    return this.spec.tls !== undefined && this.spec.tls.sni === ''
  }

  get poolContext(): PoolContext {
    this.sharedContext ??= this.makePoolContext()
    return this.sharedContext
  }

  sourceFor(address: string): string | undefined {
    return this.context.sourceFor?.(this.spec, address)
  }

  metricsFor(endpoint: EndpointSpec): ClusterMetrics {
    return this.context.recorder.clusterMetrics(this.spec, endpoint)
  }

  onQuiet(endpoint: Endpoint): void {
    if (this.originals !== undefined) this.originals.onQuiet(endpoint)
    else if (endpoint.retired) {
      const key = endpointKey(endpoint.spec)
      if (this.leaving.get(key) === endpoint) this.leaving.delete(key)
    }
  }

  // --- the inside
  private makePoolContext(): PoolContext {
    const { spec, context } = this
    const budgeted = spec.retryBudget.kind === 'concurrent'
    const limits = new Limits(spec.connectionPool, context.sharedLimits?.(spec), budgeted)
    return {
      cluster: spec.name,
      settings: spec.connectionPool,
      origin: () => this.spec.poolOrigin,
      dialer: context.dialer,
      makeClientCodec: context.makeClientCodec,
      wheel: context.wheel,
      clock: context.clock,
      limits,
      retryBudget: retryBudget(spec.retryBudget, limits, context.clock, context.threads ?? 1),
      room: new ConnectionRoom(
        limits.connections,
        limits.wanting,
        context.wheel,
        context.clock,
        () => context.askForRoom?.(spec.name),
      ),
      instruments: context.recorder.upstreamInstruments(spec.name),
      ...transportOf(() => this.spec, context),
    }
  }

  private refuse(): Pick {
    this.poolContext.instruments.unpicked()
    return {
      kind: 'refuse',
      error: new ProxyError(ErrorCode.NoHealthyUpstream, Side.Upstream, {
        message: `${this.spec.name} has no endpoint that can be used: ${this.whyNone()}`,
      }),
    }
  }

  private whyNone(): string {
    const total = this.specs.length
    if (total === 0) return 'its service has none'
    if (this.live.size === 0) {
      const labels = Object.entries(this.spec.subsetLabels).map(
        ([name, value]) => `${name}=${value}`,
      )
      return `none of the ${total} of its service carries ${labels.join(', ')}`
    }
    return this.candidates.whyNone()
  }
}

function hasLabels(spec: EndpointSpec, wanted: Readonly<Record<string, string>>): boolean {
  for (const name in wanted) if (spec.labels[name] !== wanted[name]) return false
  return true
}

function originText(origin: {
  kind: string
  namespace: string
  name: string
  file: string
  line: number
}): string {
  const { file, kind, line, name, namespace } = origin
  return file === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name} (${file}:${line})`
}
