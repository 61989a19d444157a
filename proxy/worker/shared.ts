/** What one worker has in common with the others: its end of control/sharing.ts. */
import type { ClusterSpec } from '../../config/snapshot.ts'
import type { Consecutive } from '../base/outlier-cells.ts'
import { type SharedLimitCells, sharedLimitCells } from '../base/shared-limits.ts'
import type { Clusters } from '../upstream/clusters.ts'
import type { OutlierReports } from '../upstream/outlier-watch.ts'
import type { SharedFromWorker, SharedToWorker, WorkerSettings } from './messages.ts'

type Ejections = Extract<SharedToWorker, { readonly kind: 'ejected' }>

export class Shared implements OutlierReports {
  private readonly settings: Pick<WorkerSettings, 'id' | 'workers'>
  private readonly tell: (message: SharedFromWorker) => void
  private readonly clusters: () => Clusters | undefined
  private readonly limits = new Map<string, SharedLimitCells>()
  /** By cluster, for those that are not used yet. */
  private readonly ejections = new Map<string, Ejections>()

  /** `clusters`: undefined before the first snapshot. */
  constructor(
    settings: Pick<WorkerSettings, 'id' | 'workers'>,
    tell: (message: SharedFromWorker) => void,
    clusters: () => Clusters | undefined,
  ) {
    this.settings = settings
    this.tell = tell
    this.clusters = clusters
  }

  /** Undefined: the cluster has no limits, or this is the only worker. */
  limitsOf(cluster: string): SharedLimitCells | undefined {
    return this.limits.get(cluster)
  }

  watch({ name, hash }: ClusterSpec): void {
    this.tell({ kind: 'watch', cluster: name, hash })
    const known = this.ejections.get(name)
    if (known?.hash === hash) this.eject(known)
  }

  reached({ name, hash }: ClusterSpec, endpoint: string, what: Consecutive): void {
    this.tell({ kind: 'outlier', cluster: name, hash, endpoint, what })
  }

  askForRoom(cluster: string): void {
    this.tell({ kind: 'room', cluster })
  }

  receive(message: SharedToWorker): void {
    switch (message.kind) {
      case 'limits': {
        const { id, workers } = this.settings
        for (const [name, index] of message.clusters)
          this.limits.set(name, sharedLimitCells(message.memory, workers, index, id))
        break
      }
      case 'limits-gone':
        for (const name of message.clusters) this.limits.delete(name)
        break
      case 'make-room':
        this.clusters()?.makeRoom(message.cluster)
        break
      case 'outliers': {
        const cluster = this.clusters()?.current(message.cluster, message.hash)
        cluster?.shareOutliers(new Int32Array(message.memory), message.endpoints)
        break
      }
      case 'ejected':
        if (message.endpoints.length > 0) this.ejections.set(message.cluster, message)
        else if (this.ejections.get(message.cluster)?.hash === message.hash)
          this.ejections.delete(message.cluster)
        this.eject(message)
        break
    }
  }

  private eject({ cluster, hash, endpoints }: Ejections): void {
    this.clusters()?.current(cluster, hash)?.eject(new Map(endpoints))
  }
}
