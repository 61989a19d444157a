/**
 * The limits of Istio's connectionPool for one cluster. Counted in this thread; exact over all
 * threads when given cells of shared memory.
 */
import type { ConnectionPoolSpec } from '../../config/snapshot.ts'

/** What Istio writes for no limit; anything that an Int32 cannot count is no limit either. */
const unlimited = 2 ** 31 - 1

/** Where the counts of one cluster live when all threads share them. */
export interface SharedLimitCells {
  readonly cells: Int32Array<SharedArrayBuffer>
  /** First of four cells with the totals over all threads. */
  readonly totals: number
  /** First of four cells with this thread's part, so that a dead thread's can be given back. */
  readonly own: number
}

export class Limit {
  /** As written in a DestinationRule. */
  readonly name: string
  readonly max: number
  private count = 0
  private readonly shared: SharedLimitCells | undefined
  private readonly place: number

  constructor(name: string, max: number, shared: SharedLimitCells | undefined, place: number) {
    this.name = name
    this.max = max
    this.shared = max >= unlimited ? undefined : shared
    this.place = place
  }

  /** False: the limit is reached and nothing was counted. */
  take(): boolean {
    const shared = this.shared
    if (shared === undefined) {
      if (this.count >= this.max) return false
      this.count++
      return true
    }
    const before = Atomics.add(shared.cells, shared.totals + this.place, 1)
    if (before >= this.max) {
      Atomics.sub(shared.cells, shared.totals + this.place, 1)
      return false
    }
    this.countOwn(1)
    return true
  }

  /** Counts without asking: for what exists already and changes its place only. */
  takeAnyway(): void {
    if (this.shared === undefined) {
      this.count++
      return
    }
    Atomics.add(this.shared.cells, this.shared.totals + this.place, 1)
    this.countOwn(1)
  }

  give(): void {
    if (this.shared === undefined) {
      this.count--
      return
    }
    Atomics.sub(this.shared.cells, this.shared.totals + this.place, 1)
    this.countOwn(-1)
  }

  /** In use now, by all threads when shared. */
  get used(): number {
    const shared = this.shared
    return shared === undefined
      ? this.count
      : Atomics.load(shared.cells, shared.totals + this.place)
  }

  /** In use by this thread. */
  get own(): number {
    return this.count
  }

  get finite(): boolean {
    return this.max < unlimited
  }

  get isShared(): boolean {
    return this.shared !== undefined
  }

  /** `maxConnections is 2 and 2 are in use` */
  describe(): string {
    return `${this.name} is ${this.max} and ${this.used} are in use`
  }

  private countOwn(n: number): void {
    this.count += n
    Atomics.store(this.shared!.cells, this.shared!.own + this.place, this.count)
  }
}

export class Limits {
  readonly connections: Limit
  readonly pending: Limit
  readonly requests: Limit
  readonly retries: Limit

  constructor(spec: ConnectionPoolSpec, shared?: SharedLimitCells) {
    this.connections = new Limit('maxConnections', spec.maxConnections, shared, 0)
    this.pending = new Limit('http1MaxPendingRequests', spec.maxPendingRequests, shared, 1)
    this.requests = new Limit('http2MaxRequests', spec.maxRequests, shared, 2)
    this.retries = new Limit('maxRetries', spec.maxRetries, shared, 3)
  }
}

const cellsPerCluster = 4

/** Shared memory for the limits of `clusters` clusters and `threads` threads (numbered from 0). */
export function sharedLimitMemory(clusters: number, threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(clusters * cellsPerCluster * (threads + 1) * 4)
}

export function sharedLimitCells(
  memory: SharedArrayBuffer,
  threads: number,
  cluster: number,
  thread: number,
): SharedLimitCells {
  const totals = cluster * cellsPerCluster * (threads + 1)
  return { cells: new Int32Array(memory), totals, own: totals + cellsPerCluster * (thread + 1) }
}

/** Gives back what a dead thread held in all clusters. */
export function forgetThread(memory: SharedArrayBuffer, threads: number, thread: number): void {
  const cells = new Int32Array(memory)
  const stride = cellsPerCluster * (threads + 1)
  for (let totals = 0; totals < cells.length; totals += stride) {
    for (let place = 0; place < cellsPerCluster; place++) {
      const own = totals + cellsPerCluster * (thread + 1) + place
      Atomics.sub(cells, totals + place, Atomics.exchange(cells, own, 0))
    }
  }
}
