/**
 * Counters, gauges and histograms as held handles over shared memory: one thread writes, the main
 * thread adds up (instrument-reader.ts). Hot: bench/micro/instruments.bench.ts.
 */
import { invariant } from '../base/invariant.ts'
import { catalogue, histogramBounds, type MetricId } from './catalogue.ts'

/** Sent to the reader; plain data that may be posted between threads. */
export interface InstrumentMessage {
  /** Memory that later series of this message and the following ones live in, by number. */
  readonly blocks: ReadonlyArray<{ readonly id: number; readonly memory: SharedArrayBuffer }>
  readonly series: ReadonlyArray<SeriesAnnouncement>
}

export interface SeriesAnnouncement {
  readonly metric: MetricId
  readonly labels: readonly string[]
  readonly block: number
  /** First cell. A counter or gauge has one; a histogram one per bucket, then the sum. */
  readonly at: number
}

export class Counter {
  private readonly cells: Float64Array
  private readonly at: number

  constructor(cells: Float64Array, at: number) {
    this.cells = cells
    this.at = at
  }

  add(n = 1): void {
    this.cells[this.at]! += n
  }

  get value(): number {
    return this.cells[this.at]!
  }
}

export class Gauge {
  private readonly cells: Float64Array
  private readonly at: number

  constructor(cells: Float64Array, at: number) {
    this.cells = cells
    this.at = at
  }

  add(n: number): void {
    this.cells[this.at]! += n
  }

  set(value: number): void {
    this.cells[this.at] = value
  }

  get value(): number {
    return this.cells[this.at]!
  }
}

const bounds = Float64Array.from([...histogramBounds, Number.POSITIVE_INFINITY])
/** Cells of one histogram: the buckets and the sum. */
export const histogramCells = bounds.length + 1

export class Histogram {
  private readonly cells: Float64Array
  private readonly at: number

  constructor(cells: Float64Array, at: number) {
    this.cells = cells
    this.at = at
  }

  /** A value that is no number counts as 0. */
  observe(value: number): void {
    const n = value > 0 ? value : 0
    let bucket = 0
    while (n > bounds[bucket]!) bucket++
    this.cells[this.at + bucket]! += 1
    this.cells[this.at + histogramCells - 1]! += n
  }
}

const blockCells = 4096

export interface InstrumentsOptions {
  /** Series beyond this many are refused: written to a cell nobody reads, and counted. */
  readonly maxSeries?: number
}

/** Makes handles; each (metric, labels) exists once per thread. */
export class Instruments {
  private readonly announce: (message: InstrumentMessage) => void
  private readonly maxSeries: number
  private readonly made = new Map<string, Counter | Gauge | Histogram>()
  private cells: Float64Array = new Float64Array(0)
  private used = 0
  private block = -1
  private newBlocks: Array<{ id: number; memory: SharedArrayBuffer }> = []
  private newSeries: SeriesAnnouncement[] = []
  private scheduled = false
  private readonly nowhere = new Float64Array(histogramCells)
  private readonly refused: Counter

  /** `announce` is called at most once per turn, and from flush(). */
  constructor(announce: (message: InstrumentMessage) => void, options: InstrumentsOptions = {}) {
    this.announce = announce
    this.maxSeries = options.maxSeries ?? 200_000
    this.refused = this.counter('seriesRefused')
  }

  counter(metric: MetricId, labels: readonly string[] = []): Counter {
    return this.obtain(metric, labels, 1, Counter)
  }

  gauge(metric: MetricId, labels: readonly string[] = []): Gauge {
    return this.obtain(metric, labels, 1, Gauge)
  }

  histogram(metric: MetricId, labels: readonly string[] = []): Histogram {
    return this.obtain(metric, labels, histogramCells, Histogram)
  }

  /** Number of series made here: a leak counter. */
  get size(): number {
    return this.made.size
  }

  /** Tells the reader of everything new now. */
  flush(): void {
    this.scheduled = false
    if (this.newSeries.length === 0 && this.newBlocks.length === 0) return
    const message = { blocks: this.newBlocks, series: this.newSeries }
    this.newBlocks = []
    this.newSeries = []
    this.announce(message)
  }

  private obtain<T extends Counter | Gauge | Histogram>(
    metric: MetricId,
    labels: readonly string[],
    cells: number,
    make: new (cells: Float64Array, at: number) => T,
  ): T {
    const wanted = catalogue[metric].labels
    invariant(labels.length === wanted.length, `${metric} has the labels ${wanted.join(', ')}`)
    const key = `${metric}\n${labels.join('\n')}`
    const known = this.made.get(key)
    // One metric is always asked for by the same method, so the class is right.
    if (known !== undefined) return known as T
    if (this.made.size >= this.maxSeries) {
      this.refused.add()
      return new make(this.nowhere, 0)
    }
    if (this.used + cells > this.cells.length) this.addBlock()
    const created = new make(this.cells, this.used)
    this.made.set(key, created)
    this.newSeries.push({ metric, labels, block: this.block, at: this.used })
    this.used += cells
    if (!this.scheduled) {
      this.scheduled = true
      queueMicrotask(() => this.flush())
    }
    return created
  }

  private addBlock(): void {
    const memory = new SharedArrayBuffer(blockCells * Float64Array.BYTES_PER_ELEMENT)
    this.cells = new Float64Array(memory)
    this.used = 0
    this.block++
    this.newBlocks.push({ id: this.block, memory })
  }
}
