/** A cluster's side of outlier detection: gives its endpoints what they count with, and says who is ejected. */
import type { ClusterSpec } from '../../config/snapshot.ts'
import { type Consecutive, endpointKey } from '../base/outlier-cells.ts'
import type { Endpoint } from './endpoint.ts'
import { OutlierCounts, OutlierRules } from './outlier-counts.ts'

/** Who decides, for all threads (control/outliers.ts). */
export interface OutlierReports {
  /** The cluster is used from now on; its cells, and who is ejected, are told in return. */
  watch(cluster: ClusterSpec): void
  /** So many failures in a row as the rule allows. */
  reached(cluster: ClusterSpec, endpoint: string, what: Consecutive): void
}

export class OutlierWatch {
  private readonly spec: ClusterSpec
  private readonly reports: OutlierReports
  private readonly rules: OutlierRules
  /** By endpoint key; may be told before the endpoint is part of the cluster. */
  private readonly cells = new Map<string, { readonly cells: Int32Array; readonly at: number }>()
  private ejected: ReadonlyMap<string, string> = new Map()

  /** `spec`: with outlierDetection. Call `start`. */
  constructor(spec: ClusterSpec, reports: OutlierReports) {
    this.spec = spec
    this.reports = reports
    this.rules = new OutlierRules(spec.outlierDetection!)
  }

  start(): void {
    this.reports.watch(this.spec)
  }

  /** The cluster has these endpoints from now on. */
  follow(endpoints: ReadonlyMap<string, Endpoint>): void {
    for (const key of this.cells.keys()) if (!endpoints.has(key)) this.cells.delete(key)
    for (const [key, endpoint] of endpoints) {
      endpoint.outlier ??= new OutlierCounts(this.rules, (what) =>
        this.reports.reached(this.spec, endpointKey(endpoint.spec), what),
      )
      const shared = this.cells.get(key)
      if (shared !== undefined) endpoint.outlier.share(shared.cells, shared.at)
      this.mark(key, endpoint)
    }
  }

  share(
    cells: Int32Array,
    keys: ReadonlyArray<readonly [key: string, at: number]>,
    endpoints: ReadonlyMap<string, Endpoint>,
  ): void {
    for (const [key, at] of keys) {
      this.cells.set(key, { cells, at })
      endpoints.get(key)?.outlier?.share(cells, at)
    }
  }

  /** These are out of service, with why; all others are not. */
  eject(ejected: ReadonlyMap<string, string>, endpoints: ReadonlyMap<string, Endpoint>): void {
    this.ejected = ejected
    for (const [key, endpoint] of endpoints) this.mark(key, endpoint)
  }

  private mark(key: string, endpoint: Endpoint): void {
    endpoint.ejection = this.ejected.get(key) ?? ''
    endpoint.ejected = endpoint.ejection !== ''
  }
}
