/** Leaves the result of a bench behind: text, JSON and charts, named by commit and time. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Machine, projectRoot } from './machine.ts'
import { chartOf } from './report-chart.ts'
import { type Outcome, tableOf, verdicts } from './report-table.ts'
import { median } from './scenarios/scenario.ts'

/** One scenario in the JSON: medians and all rounds of each row. */
export interface StoredScenario {
  readonly name: string
  readonly title: string
  readonly rows: Readonly<Record<string, Readonly<Record<string, Figure>>>>
  readonly claims: readonly { readonly text: string; readonly value: number; holds: boolean }[]
}

export interface Figure {
  readonly unit: string
  readonly median: number
  readonly rounds: readonly number[]
}

export function stored(outcome: Outcome): StoredScenario {
  const { scenario, samples } = outcome
  const rows = samples.names().map((row) => {
    const figures = scenario.measures
      .map(({ name, unit }) => ({ name, unit, rounds: samples.of(row, name) }))
      .filter(({ rounds }) => rounds.length > 0)
      .map(({ name, unit, rounds }) => [name, { unit, median: median(rounds), rounds }])
    return [row, Object.fromEntries(figures)]
  })
  const claims = verdicts(outcome).map(({ claim, value, holds }) => {
    const limit = claim.most === undefined ? `at least ${claim.least}` : `at most ${claim.most}`
    const rows = [claim.of ?? 'outrider', claim.against].filter(Boolean).join(' / ')
    return { text: `${claim.measure}: ${rows} ${limit}`, value, holds }
  })
  const { name, title } = scenario
  return { name, title, rows: Object.fromEntries(rows), claims }
}

/** Writes `bench/results/NAME/`: report.txt, report.json and a chart for each scenario. Returns the folder. */
export function leaveReport(machine: Machine, outcomes: readonly Outcome[], label: string): string {
  const commit = machine.commit.split(' ')[0]
  const name = `${machine.when.slice(0, 16).replace(/[:T]/g, '-')}-${commit}${label}`
  const folder = join(projectRoot, 'bench', 'results', name)
  mkdirSync(folder, { recursive: true })
  const scenarios = outcomes.map(stored)
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify({ machine, scenarios }, null, 2)}\n`)
  const text = [describe(machine), ...outcomes.map(tableOf)].join('\n')
  writeFileSync(join(folder, 'report.txt'), `${text}\n`)
  for (const outcome of outcomes)
    writeFileSync(join(folder, `${outcome.scenario.name}.svg`), chartOf(outcome, machine))
  return folder
}

export function describe(machine: Machine): string {
  const peers = Object.entries(machine.peers).map(([name, version]) => `${name} ${version}`)
  return [
    `${machine.when}, commit ${machine.commit}`,
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, load average ${machine.loadAtStart.toFixed(1)}`,
    `${peers.join(', ')}`,
    'Medians; in brackets Outrider over that row.',
    '',
  ].join('\n')
}
