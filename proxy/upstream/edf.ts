/**
 * Earliest deadline first: entries come up in proportion to their weights and evenly spread. Each
 * entry's deadline is 1/weight after its last turn; equal deadlines keep their order.
 */

/** Entries are numbers 0 to n-1, so that the caller keeps what they stand for. */
export class EdfQueue {
  /** Binary heap of entries. */
  private readonly heap: number[] = []
  private readonly deadlines: Float64Array
  private readonly orders: Float64Array
  private order = 0

  constructor(weights: readonly number[]) {
    this.deadlines = new Float64Array(weights.length)
    this.orders = new Float64Array(weights.length)
    for (let entry = 0; entry < weights.length; entry++) this.heap.push(entry)
    this.restart(weights)
  }

  /** As if nobody had had a turn. */
  restart(weights: readonly number[]): void {
    this.order = 0
    for (let entry = 0; entry < weights.length; entry++) {
      this.deadlines[entry] = 1 / weights[entry]!
      this.orders[entry] = this.order++
      this.heap[entry] = entry
    }
    for (let at = (this.heap.length >> 1) - 1; at >= 0; at--) this.sink(at)
  }

  /** Whose turn it is. */
  first(): number {
    return this.heap[0]!
  }

  /** The first had its turn; its weight may have changed. */
  turn(weight: number): void {
    const entry = this.heap[0]!
    this.deadlines[entry]! += 1 / weight
    this.orders[entry] = this.order++
    this.sink(0)
  }

  private sink(from: number): void {
    const heap = this.heap
    const entry = heap[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.before(heap[child + 1]!, heap[child]!)) child++
      if (!this.before(heap[child]!, entry)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = entry
  }

  private before(a: number, b: number): boolean {
    const difference = this.deadlines[a]! - this.deadlines[b]!
    return difference < 0 || (difference === 0 && this.orders[a]! < this.orders[b]!)
  }
}
