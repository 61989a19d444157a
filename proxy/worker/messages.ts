/** What main thread and workers say to each other. Counters are not among it: they live in shared memory. */

import type {
  EndpointSpec,
  FaultLease,
  OutboundListenerSpec,
  Snapshot,
} from '../../config/snapshot.ts'
import type { Consecutive } from '../base/outlier-cells.ts'
import type { Chunk, Place } from '../base/shared-parts.ts'

/** Given to a worker at birth (workerData). */
export interface WorkerSettings {
  readonly id: number
  readonly workers: number
  /** Where to listen; `address` defaults to every address when captured, loopback in explicit mode. */
  readonly outbound: { readonly address: string; readonly port: number }
  /** Undefined in explicit mode: then `explicitInbound` says what to open. */
  readonly inbound: { readonly address: string; readonly port: number } | undefined
  /** Explicit mode: Host, absolute-form or CONNECT authority name service and port; no original destination. */
  readonly explicit: boolean
  /** Explicit mode: local ports that stand for one service. */
  readonly binds: ReadonlyArray<{
    readonly service: string
    readonly port: number
    readonly listen: { readonly address: string; readonly port: number }
  }>
  /** Explicit mode: listen on the workload's address and service ports, forward to the application here. */
  readonly app: { readonly address: string; readonly port: number } | undefined
  /** `stdout`, `off`, a file, or undefined: as MeshConfig.accessLogFile says. */
  readonly accessLog: string | undefined
  readonly logLevel: string
  /** Asked for at the admin port before this worker began. */
  readonly faults?: readonly FaultLease[]
}

/**
 * What makes a snapshot out of the one a worker has: parts that stay are not mentioned, new ones lie in
 * shared memory and are read when they are needed.
 */
export interface SnapshotChange {
  /** Version it builds on; `` for nothing at all. */
  readonly base: string
  readonly version: string
  readonly chunks: readonly Chunk[]
  /** All chunks that still hold something. */
  readonly chunksInUse: readonly number[]
  /** All that is small. */
  readonly rest: Omit<Snapshot, 'clusters' | 'endpointSets'>
  /** In order: places in the former list, or new ones. */
  readonly listeners: ReadonlyArray<number | PackedListener>
  readonly hosts: {
    readonly set: ReadonlyArray<readonly [id: number, domains: readonly string[], place: Place]>
    readonly gone: readonly number[]
  }
  readonly clusters: MapChange
  readonly endpointSets: MapChange
}
export interface PackedListener {
  readonly spec: OutboundListenerSpec
  /** In place of `spec.http`: its name, and its virtual hosts by id. */
  readonly http: { readonly name: string; readonly hosts: Int32Array } | undefined
}
export interface MapChange {
  readonly set: ReadonlyArray<readonly [key: string, place: Place]>
  readonly gone: readonly string[]
}

export type ToWorker =
  | { readonly type: 'snapshot'; readonly change: SnapshotChange }
  /** Endpoints of one set changed (DNS answers): no relinking of routes. */
  | {
      readonly type: 'endpoints'
      readonly set: string
      readonly endpoints: readonly EndpointSpec[]
    }
  /** Finish what runs, close the rest after `graceMs`. */
  | { readonly type: 'drain'; readonly direction: 'inbound' | 'all'; readonly graceMs: number }
  | { readonly type: 'log-level'; readonly level: string }
  /** All that hold now, asked for at the admin port. */
  | { readonly type: 'faults'; readonly leases: readonly FaultLease[] }
  /** The end is near: replies are the last of their connections. A drain follows. */
  | { readonly type: 'retire' }
  | { readonly type: 'query'; readonly id: number; readonly what: 'clusters' | 'stats' }
  /** What must be the same in all workers; what comes before a snapshot holds for it. */
  | { readonly type: 'shared'; readonly message: SharedToWorker }
  /** Little is going on: give back what is kept for work. */
  | { readonly type: 'rest' }
  | { readonly type: 'stop' }

export type SharedToWorker =
  /** Cells for the limits of clusters (base/shared-limits.ts): name and number within `memory`. */
  | {
      readonly kind: 'limits'
      readonly memory: SharedArrayBuffer
      readonly clusters: ReadonlyArray<readonly [name: string, index: number]>
    }
  | { readonly kind: 'limits-gone'; readonly clusters: readonly string[] }
  /** Another worker waits for a connection: close one that lies idle. */
  | { readonly kind: 'make-room'; readonly cluster: string }
  /** Where failures of these endpoints are counted (base/outlier-cells.ts): key and first cell. */
  | {
      readonly kind: 'outliers'
      readonly cluster: string
      readonly hash: string
      readonly memory: SharedArrayBuffer
      readonly endpoints: ReadonlyArray<readonly [key: string, at: number]>
    }
  /** All endpoints of the cluster that are ejected now, and why. */
  | {
      readonly kind: 'ejected'
      readonly cluster: string
      readonly hash: string
      readonly endpoints: ReadonlyArray<readonly [key: string, why: string]>
    }

export type SharedFromWorker =
  /** A request waits, maxConnections is reached, and other workers hold some of them. */
  | { readonly kind: 'room'; readonly cluster: string }
  /** The worker uses a cluster with outlierDetection from now on. */
  | { readonly kind: 'watch'; readonly cluster: string; readonly hash: string }
  /** So many failures in a row as its rule allows. */
  | {
      readonly kind: 'outlier'
      readonly cluster: string
      readonly hash: string
      readonly endpoint: string
      readonly what: Consecutive
    }

export type FromWorker =
  /** All listeners are bound. `outbound` and `inbound` are the real ports (0 was allowed). */
  | { readonly type: 'listening'; readonly outbound: number; readonly inbound: number }
  | { readonly type: 'linked'; readonly version: string; readonly ms: number }
  /** A listener could not be bound, or a snapshot not linked: told to people, not fatal by itself. */
  | { readonly type: 'failed'; readonly what: string; readonly message: string }
  /** New block of shared counters, and what its slots mean (telemetry/instruments.ts). */
  | { readonly type: 'instruments'; readonly message: unknown }
  | { readonly type: 'shared'; readonly message: SharedFromWorker }
  /** For the log, once for each key whichever worker says it. */
  | { readonly type: 'note'; readonly key: string; readonly text: string }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'drained'; readonly finished: number; readonly cut: number }

/** Live view of one cluster in one worker, for /clusters. */
export interface ClusterStatus {
  readonly name: string
  readonly origin: string
  readonly policyOrigin: string
  readonly loadBalancer: string
  readonly endpoints: ReadonlyArray<{
    readonly address: string
    readonly healthy: boolean
    /** Why outlier detection keeps it out of service; `` when it does not. */
    readonly ejected: string
    readonly weight: number
    /** `region/zone/subzone`, or ``. */
    readonly locality: string
    /** Level of nearness, 0 first; -1: not yet looked at, or in no level. */
    readonly priority: number
    readonly activeRequests: number
    readonly connections: number
    readonly idleConnections: number
    readonly requests: number
    readonly failures: number
  }>
}

/** Gauges of one worker, for /stats. */
export type WorkerStats = Readonly<Record<string, number>>
