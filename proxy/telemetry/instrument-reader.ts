/** The main thread's view of all threads' instruments, added up; totals of dead threads are kept. */
import { catalogue, type MetricId } from './catalogue.ts'
import { histogramCells, type InstrumentMessage } from './instruments.ts'

/** One time series over all threads. */
export interface Series {
  readonly metric: MetricId
  readonly labels: readonly string[]
  /** One value, or for histograms the buckets (not cumulative) and, last, the sum. */
  readonly values: Float64Array
}

interface Merged {
  readonly metric: MetricId
  readonly labels: readonly string[]
  /** What dead threads left behind. */
  readonly kept: Float64Array
  readonly parts: Part[]
}

interface Part {
  readonly thread: number
  readonly cells: Float64Array
  readonly at: number
}

export class InstrumentReader {
  private readonly series = new Map<string, Merged>()
  /** Label texts repeat a lot: each is held once. */
  private readonly texts = new Map<string, { readonly text: string; readonly id: number }>()
  private readonly blocks = new Map<number, Map<number, Float64Array>>()

  /** Takes what `Instruments.announce` of one thread gave. Numbers of threads are never used twice. */
  receive(thread: number, message: InstrumentMessage): void {
    let blocks = this.blocks.get(thread)
    if (blocks === undefined) {
      blocks = new Map()
      this.blocks.set(thread, blocks)
    }
    for (const { id, memory } of message.blocks) blocks.set(id, new Float64Array(memory))
    for (const { metric, labels, block, at } of message.series) {
      const cells = blocks.get(block)
      if (cells !== undefined) this.merged(metric, labels).parts.push({ thread, cells, at })
    }
  }

  /** The thread is gone: its counts stay in the totals, its gauges do not. */
  threadGone(thread: number): void {
    this.blocks.delete(thread)
    for (const merged of this.series.values()) {
      const at = merged.parts.findIndex((part) => part.thread === thread)
      if (at < 0) continue
      const part = merged.parts[at]!
      merged.parts.splice(at, 1)
      if (catalogue[merged.metric].kind !== 'gauge') addUp(merged.kept, part)
    }
  }

  get size(): number {
    return this.series.size
  }

  /** Everything, grouped by metric in the catalogue's order. */
  collect(): Map<MetricId, Series[]> {
    const all = new Map<MetricId, Series[]>()
    for (const metric of Object.keys(catalogue) as MetricId[]) all.set(metric, [])
    for (const merged of this.series.values()) {
      const values = merged.kept.slice()
      for (const part of merged.parts) addUp(values, part)
      all.get(merged.metric)!.push({ metric: merged.metric, labels: merged.labels, values })
    }
    return all
  }

  /** Sum of one series, or 0; for tests and small views. */
  value(metric: MetricId, labels: readonly string[] = []): number {
    const merged = this.series.get(this.key(metric, labels))
    if (merged === undefined) return 0
    let sum = merged.kept[0]!
    for (const part of merged.parts) sum += part.cells[part.at]!
    return sum
  }

  private merged(metric: MetricId, labels: readonly string[]): Merged {
    const key = this.key(metric, labels)
    const known = this.series.get(key)
    if (known !== undefined) return known
    const size = catalogue[metric].kind === 'histogram' ? histogramCells : 1
    const merged: Merged = {
      metric,
      labels: labels.map((text) => this.intern(text).text),
      kept: new Float64Array(size),
      parts: [],
    }
    this.series.set(key, merged)
    return merged
  }

  /** Short: label texts by number. */
  private key(metric: MetricId, labels: readonly string[]): string {
    let key: string = metric
    for (const label of labels) key += `,${this.intern(label).id}`
    return key
  }

  private intern(text: string): { readonly text: string; readonly id: number } {
    let entry = this.texts.get(text)
    if (entry === undefined) {
      entry = { text, id: this.texts.size }
      this.texts.set(text, entry)
    }
    return entry
  }
}

function addUp(sums: Float64Array, part: Part): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += part.cells[part.at + i]!
}
