/** What a scenario measures, of whom, and what is claimed of the figures. */
import type { Lab } from '../lab.ts'

export interface Measure {
  readonly name: string
  readonly unit: string
  /** Whether a smaller figure is the better one. */
  readonly lessIsBetter: boolean
}

/** Ratio of Outrider's median to another's that must hold (`most` or `least`), or an absolute limit. */
export interface Claim {
  readonly measure: string
  /** The row claimed of; default: outrider. */
  readonly of?: string
  /** The row compared with; without it the limit is absolute. */
  readonly against?: string
  readonly most?: number
  readonly least?: number
}

export interface Scenario {
  readonly name: string
  readonly title: string
  /** Part of `--quick`. */
  readonly quick?: boolean
  readonly measures: readonly Measure[]
  readonly claims: readonly Claim[]
  run(lab: Lab): Promise<Samples>
}

/** Figures by row (a peer, or a variant of one) and measure, one for each round. */
export class Samples {
  private readonly rows = new Map<string, Map<string, number[]>>()

  add(row: string, measure: string, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return
    const measures = this.rows.get(row) ?? new Map<string, number[]>()
    this.rows.set(row, measures)
    measures.set(measure, [...(measures.get(measure) ?? []), value])
  }

  of(row: string, measure: string): readonly number[] {
    return this.rows.get(row)?.get(measure) ?? []
  }

  names(): string[] {
    return [...this.rows.keys()]
  }

  measured(row: string): string[] {
    return [...(this.rows.get(row)?.keys() ?? [])]
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

export const cpuPerRequest: Measure = { name: 'cpu', unit: 'us/request', lessIsBetter: true }
export const rate: Measure = { name: 'rate', unit: 'requests/s', lessIsBetter: false }
/** What one core of proxy would carry, from its CPU: the load side may be the narrower. */
export const perCore: Measure = { name: 'per core', unit: 'GB/s', lessIsBetter: false }
export const throughput: Measure = { name: 'throughput', unit: 'GB/s', lessIsBetter: false }
