/** What the instruments hold, as text: for Prometheus through prom-client, and plain lines for people. */
import { type Metric, type MetricObject, Registry } from 'prom-client'
import { catalogue, histogramBounds, type MetricId, type MetricSpec } from './catalogue.ts'
import type { InstrumentReader, Series } from './instrument-reader.ts'

export const prometheusContentType = Registry.PROMETHEUS_CONTENT_TYPE

interface Sample {
  readonly value: number
  readonly labels: Record<string, string>
  /** Turned to text once for all samples that have the same object. */
  readonly sharedLabels: Record<string, string>
  readonly metricName?: string
}

/** `le` texts of the buckets; the open one last. */
const bucketNames = [...histogramBounds.map(String), '+Inf']

export class Exposition {
  private readonly reader: InstrumentReader
  /** Sets gauges that are only worth reading when somebody looks. */
  private readonly refresh: () => void

  constructor(reader: InstrumentReader, refresh: () => void = () => undefined) {
    this.reader = reader
    this.refresh = refresh
  }

  /** The text format of Prometheus, for /metrics and /stats/prometheus. Series never written are absent. */
  async prometheus(): Promise<string> {
    this.refresh()
    const registry = new Registry()
    for (const [id, series] of this.reader.collect())
      if (series.length > 0) registry.registerMetric(promMetric(catalogue[id], series))
    return registry.metrics()
  }

  /** One line per series: `name{label="value"}: 12`; labels that say nothing are left out. */
  plain(filter?: RegExp): string {
    this.refresh()
    const lines: string[] = []
    for (const [id, all] of this.reader.collect())
      for (const series of all) {
        const line = `${seriesName(id, series)}: ${plainValue(catalogue[id], series)}`
        if (filter === undefined || filter.test(line)) lines.push(line)
      }
    return lines.length === 0 ? '' : `${lines.sort().join('\n')}\n`
  }
}

/** A registry asks its metrics for name, help, type and samples; it keeps no values itself. */
function promMetric(spec: MetricSpec, all: readonly Series[]): Metric {
  const values = all.flatMap((series) => samples(spec, series))
  const object = { name: spec.name, help: spec.help, type: spec.kind, aggregator: 'sum', values }
  const metric = {
    name: spec.name,
    get: async (): Promise<MetricObject> => object as unknown as MetricObject,
  }
  // prom-client's own classes count for themselves; here everything is counted already.
  return metric as unknown as Metric
}

function samples(spec: MetricSpec, series: Series): Sample[] {
  const sharedLabels: Record<string, string> = {}
  for (let i = 0; i < spec.labels.length; i++) sharedLabels[spec.labels[i]!] = series.labels[i]!
  if (spec.kind !== 'histogram') return [{ value: series.values[0]!, labels: {}, sharedLabels }]
  const found: Sample[] = []
  let count = 0
  for (let i = 0; i < bucketNames.length; i++) {
    count += series.values[i]!
    const metricName = `${spec.name}_bucket`
    found.push({ value: count, labels: { le: bucketNames[i]! }, sharedLabels, metricName })
  }
  const sum = series.values[bucketNames.length]!
  found.push({ value: sum, labels: {}, sharedLabels, metricName: `${spec.name}_sum` })
  found.push({ value: count, labels: {}, sharedLabels, metricName: `${spec.name}_count` })
  return found
}

function seriesName(id: MetricId, series: Series): string {
  const spec = catalogue[id]
  const parts: string[] = []
  for (let i = 0; i < spec.labels.length; i++) {
    const value = series.labels[i]!
    if (value !== '' && value !== 'unknown') parts.push(`${spec.labels[i]!}="${value}"`)
  }
  return parts.length === 0 ? spec.name : `${spec.name}{${parts.join(',')}}`
}

function plainValue(spec: MetricSpec, series: Series): string {
  const { values } = series
  if (spec.kind !== 'histogram') return String(values[0]!)
  let count = 0
  for (let i = 0; i < bucketNames.length; i++) count += values[i]!
  const sum = values[bucketNames.length]!
  if (count === 0) return 'count=0'
  const shares = [50, 90, 99].map((share) => `p${share}<=${quantile(values, count, share / 100)}`)
  return `count=${count} sum=${Math.round(sum * 1000) / 1000} ${shares.join(' ')}`
}

/** Upper bound of the bucket in which the quantile lies. */
function quantile(values: Float64Array, count: number, share: number): string {
  let seen = 0
  for (let i = 0; i < bucketNames.length; i++) {
    seen += values[i]!
    if (seen >= share * count) return bucketNames[i]!
  }
  return '+Inf'
}
