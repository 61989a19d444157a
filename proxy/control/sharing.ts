/** What the workers of one process must agree on: limits that count in all of them, and who is ejected. */
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import type { SharedFromWorker } from '../worker/messages.ts'
import { LimitCells } from './limit-cells.ts'
import { Outliers, type OutliersOptions } from './outliers.ts'

export class Sharing {
  readonly outliers: Outliers
  private readonly limits: LimitCells

  constructor(options: OutliersOptions) {
    this.limits = new LimitCells(options.threads, options.post)
    this.outliers = new Outliers(options)
  }

  /** The workers are about to get this snapshot. */
  follow(snapshot: Snapshot): void {
    this.limits.follow(snapshot)
    this.outliers.follow(snapshot)
  }

  /** The workers are about to get these endpoints. */
  endpointsChanged(set: string, endpoints: readonly EndpointSpec[]): void {
    this.outliers.endpointsChanged(set, endpoints)
  }

  /** A new thread starts; it has no snapshot yet. */
  welcome(worker: number): void {
    this.limits.welcome(worker)
    this.outliers.welcome(worker)
  }

  receive(worker: number, message: SharedFromWorker): void {
    switch (message.kind) {
      case 'room':
        this.limits.makeRoom(worker, message.cluster)
        break
      case 'watch':
        this.outliers.watch(worker, message.cluster, message.hash)
        break
      case 'outlier':
        this.outliers.reached(message.cluster, message.hash, message.endpoint, message.what)
        break
    }
  }

  /** The thread is dead. */
  forget(worker: number): void {
    this.limits.forget(worker)
    this.outliers.forget(worker)
  }

  close(): void {
    this.outliers.close()
  }
}
