/** What the workers of one process must agree on: limits that count in all of them. */
import type { Snapshot } from '../../config/snapshot.ts'
import type { SharedFromWorker, SharedToWorker } from '../worker/messages.ts'
import { LimitCells } from './limit-cells.ts'

export interface SharingOptions {
  readonly threads: number
  readonly post: (worker: number, message: SharedToWorker) => void
}

export class Sharing {
  private readonly limits: LimitCells

  constructor({ threads, post }: SharingOptions) {
    this.limits = new LimitCells(threads, post)
  }

  /** The workers are about to get this snapshot. */
  follow(snapshot: Snapshot): void {
    this.limits.follow(snapshot)
  }

  /** A new thread starts; it has no snapshot yet. */
  welcome(worker: number): void {
    this.limits.welcome(worker)
  }

  receive(worker: number, message: SharedFromWorker): void {
    switch (message.kind) {
      case 'room':
        this.limits.makeRoom(worker, message.cluster)
        break
    }
  }

  /** The thread is dead. */
  forget(worker: number): void {
    this.limits.forget(worker)
  }
}
