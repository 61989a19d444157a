/**
 * Counts that all threads share, so that a limit of a cluster is exact over them: the layout of the
 * shared memory, known to those who count (upstream/limits.ts) and to who gives cells out (control/).
 */

/** Where the counts of one cluster live. */
export interface SharedLimitCells {
  readonly cells: Int32Array<SharedArrayBuffer>
  /** First of the cells with the totals over all threads, one per place. */
  readonly totals: number
  /** First of the cells with this thread's part, so that a dead thread's can be given back. */
  readonly own: number
}

/** What is counted for a cluster. */
export const LimitPlace = {
  Connections: 0,
  Pending: 1,
  Requests: 2,
  Retries: 3,
  /** Not a limit: threads in which somebody waits for a connection to end. */
  Wanting: 4,
  /** Grows each time that one of them is woken; has no thread's part. */
  Wakes: 5,
} as const
const counted = 5
const places = 6

/** What Istio writes for no limit; anything that an Int32 cannot count is no limit either. */
export const unlimited = 2 ** 31 - 1

/** Shared memory for the limits of `clusters` clusters and `threads` threads (numbered from 0). */
export function sharedLimitMemory(clusters: number, threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(clusters * places * (threads + 1) * 4)
}

export function sharedLimitCells(
  memory: SharedArrayBuffer,
  threads: number,
  cluster: number,
  thread: number,
): SharedLimitCells {
  const totals = cluster * places * (threads + 1)
  return { cells: new Int32Array(memory), totals, own: totals + places * (thread + 1) }
}

/** Gives back what a dead thread held in all clusters. */
export function forgetThread(memory: SharedArrayBuffer, threads: number, thread: number): void {
  const cells = new Int32Array(memory)
  const stride = places * (threads + 1)
  for (let totals = 0; totals < cells.length; totals += stride) {
    for (let place = 0; place < places; place++) {
      const own = totals + places * (thread + 1) + place
      Atomics.sub(cells, totals + place, Atomics.exchange(cells, own, 0))
    }
  }
}

/** Nobody counts anything for that cluster. */
export function isUnused({ cells, totals }: SharedLimitCells): boolean {
  for (let place = 0; place < counted; place++)
    if (Atomics.load(cells, totals + place) !== 0) return false
  return true
}

/** What one thread holds. */
export function heldBy({ cells, own }: SharedLimitCells, place: number): number {
  return Atomics.load(cells, own + place)
}
