/**
 * Guards against growing dearer unseen: Outrider's ratios to its peers of the same run are compared with
 * those committed in baseline.json. It reports and never fails: machines differ, ratios less so.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './machine.ts'
import { type Outcome, short } from './report-table.ts'
import { type Measure, median } from './scenarios/scenario.ts'

const file = join(projectRoot, 'bench', 'baseline.json')
const references = ['envoy', 'nginx']
/** Rates follow from these, and percentiles differ too much from run to run. */
const guarded = new Set(['us/request', 'MiB'])

/** Differences under this are noise on a machine that does other things too. */
const noise = 0.1

/** "SCENARIO MEASURE / PEER", or without a peer where the figure itself counts (memory), to a number. */
export type Ratios = Readonly<Record<string, number>>

interface Known {
  readonly key: string
  /** Of all that is guarded, less is better. */
  readonly value: number
}

function known({ scenario, samples }: Outcome): Known[] {
  const own = (measure: Measure) => median(samples.of('outrider', measure.name))
  const measures = scenario.measures.filter(({ unit }) => guarded.has(unit))
  const ratios = measures.flatMap((measure) =>
    references.map((peer) => ({
      key: `${scenario.name} ${measure.name} / ${peer}`,
      value: own(measure) / median(samples.of(peer, measure.name)),
    })),
  )
  const figures = measures
    .filter(({ unit }) => unit === 'MiB')
    .map((measure) => ({ key: `${scenario.name} ${measure.name}`, value: own(measure) }))
  return [...ratios, ...figures].filter(({ value }) => Number.isFinite(value))
}

export function readBaseline(): Ratios {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

/** One line for each ratio that the baseline knows too. */
export function changes(outcomes: readonly Outcome[], baseline: Ratios): string[] {
  return outcomes.flatMap(known).flatMap(({ key, value }) => {
    const before = baseline[key]
    if (before === undefined) return []
    const change = value / before - 1
    const word = change > noise ? 'WORSE ' : change < -noise ? 'better' : 'same  '
    const percent = `${change < 0 ? '' : '+'}${(change * 100).toFixed(0)} %`
    return [`${word}  ${key.padEnd(36)} ${short(before)} -> ${short(value)}  ${percent}`]
  })
}

/** Scenarios not run keep what is known of them. */
export function saveBaseline(outcomes: readonly Outcome[]): void {
  const now = outcomes.flatMap(known).map(({ key, value }) => [key, Number(value.toPrecision(3))])
  const merged = { ...readBaseline(), ...Object.fromEntries(now) }
  const sorted = Object.fromEntries(Object.entries(merged).sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(file, `${JSON.stringify(sorted, null, 2)}\n`)
}
