/**
 * Gives every cluster with connectionPool limits its cells of shared memory, the same over reloads,
 * and passes on the wish for room between workers.
 */
import type { ClusterSpec, Snapshot } from '../../config/snapshot.ts'
import {
  forgetThread,
  heldBy,
  isUnused,
  LimitPlace,
  type SharedLimitCells,
  sharedLimitCells,
  sharedLimitMemory,
  unlimited,
} from '../base/shared-limits.ts'
import type { SharedToWorker } from '../worker/messages.ts'

interface Cells {
  readonly memory: SharedArrayBuffer
  readonly index: number
  /** Not part of the configuration since; undefined: it is. */
  goneAt: number | undefined
}

const clustersPerBlock = 64
/** Exchanges of a former configuration may still count for a cluster that is gone. */
const reuseAfterMs = 60_000

export class LimitCells {
  private readonly threads: number
  private readonly post: (worker: number, message: SharedToWorker) => void
  private readonly now: () => number
  private readonly known = new Map<string, Cells>()
  private readonly blocks: SharedArrayBuffer[] = []
  private free: Cells[] = []
  /** Whose turn it is to make room. */
  private turn = 0

  constructor(
    threads: number,
    post: (worker: number, message: SharedToWorker) => void,
    now: () => number = () => performance.now(),
  ) {
    this.threads = threads
    this.post = post
    this.now = now
  }

  /** Before the workers get the snapshot: what is new in it. */
  follow(snapshot: Snapshot): void {
    if (this.threads < 2) return
    const wanted = new Set<string>()
    for (const { name, connectionPool, retryBudget } of snapshot.clusters.values())
      if (hasLimits(connectionPool) || retryBudget.kind === 'concurrent') wanted.add(name)
    for (const { cluster, connectionPool } of snapshot.inbound.ports)
      if (hasLimits(connectionPool)) wanted.add(cluster)
    const gone = this.retire(wanted)
    const fresh: string[] = []
    for (const name of wanted) {
      const cells = this.known.get(name)
      if (cells === undefined) fresh.push(name)
      else cells.goneAt = undefined
    }
    for (const name of fresh) this.known.set(name, this.obtain())
    if (fresh.length === 0 && gone.length === 0) return
    for (let worker = 0; worker < this.threads; worker++) this.tell(worker, fresh, gone)
  }

  /** A new thread has this number: everything. */
  welcome(worker: number): void {
    this.tell(worker, [...this.known.keys()], [])
  }

  /** The thread of that number is dead: what it held is given back. */
  forget(worker: number): void {
    for (const block of this.blocks) forgetThread(block, this.threads, worker)
  }

  /** Somebody in worker `asking` waits for a connection that another thread holds. */
  makeRoom(asking: number, cluster: string): void {
    const cells = this.known.get(cluster)
    if (cells === undefined) return
    for (let i = 0; i < this.threads; i++) {
      this.turn = (this.turn + 1) % this.threads
      const worker = this.turn
      if (worker === asking || heldBy(this.cellsOf(cells, worker), LimitPlace.Connections) === 0)
        continue
      this.post(worker, { kind: 'make-room', cluster })
      return
    }
  }

  private tell(worker: number, names: readonly string[], gone: readonly string[]): void {
    const byBlock = new Map<SharedArrayBuffer, Array<[string, number]>>()
    for (const name of names) {
      const { memory, index } = this.known.get(name)!
      const list = byBlock.get(memory) ?? []
      byBlock.set(memory, list)
      list.push([name, index])
    }
    if (gone.length > 0) this.post(worker, { kind: 'limits-gone', clusters: gone })
    for (const [memory, clusters] of byBlock)
      this.post(worker, { kind: 'limits', memory, clusters })
  }

  /** Names that lost their cells. */
  private retire(wanted: ReadonlySet<string>): string[] {
    const now = this.now()
    const gone: string[] = []
    for (const [name, cells] of this.known) {
      if (wanted.has(name)) continue
      cells.goneAt ??= now
      if (now - cells.goneAt < reuseAfterMs || !isUnused(this.cellsOf(cells, 0))) continue
      this.known.delete(name)
      this.free.push(cells)
      gone.push(name)
    }
    return gone
  }

  private obtain(): Cells {
    const free = this.free.pop()
    if (free !== undefined) return { ...free, goneAt: undefined }
    const memory = sharedLimitMemory(clustersPerBlock, this.threads)
    this.blocks.push(memory)
    for (let index = clustersPerBlock - 1; index > 0; index--)
      this.free.push({ memory, index, goneAt: undefined })
    return { memory, index: 0, goneAt: undefined }
  }

  private cellsOf({ memory, index }: Cells, worker: number): SharedLimitCells {
    return sharedLimitCells(memory, this.threads, index, worker)
  }
}

function hasLimits(pool: ClusterSpec['connectionPool']): boolean {
  return (
    pool.maxConnections < unlimited ||
    pool.maxPendingRequests < unlimited ||
    pool.maxRequests < unlimited ||
    pool.maxRetries < unlimited
  )
}
