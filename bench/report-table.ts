/** The result of scenarios as text: a table for each, ratios to Outrider, and whether the claims hold. */
import { type Claim, median, type Samples, type Scenario } from './scenarios/scenario.ts'

export interface Outcome {
  readonly scenario: Scenario
  readonly samples: Samples
}

export interface Verdict {
  readonly scenario: string
  readonly claim: Claim
  /** The ratio, or the figure itself where the limit is absolute. */
  readonly value: number
  readonly holds: boolean
}

export function verdicts({ scenario, samples }: Outcome): Verdict[] {
  return scenario.claims.flatMap((claim) => {
    const own = median(samples.of(claim.of ?? 'outrider', claim.measure))
    const other = claim.against === undefined ? 1 : median(samples.of(claim.against, claim.measure))
    const value = own / other
    if (!Number.isFinite(value)) return []
    const { most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY } = claim
    return [{ scenario: scenario.name, claim, value, holds: value <= most && value >= least }]
  })
}

export function tableOf(outcome: Outcome): string {
  const { scenario, samples } = outcome
  const head = ['', ...scenario.measures.map(({ name, unit }) => `${name}, ${unit}`)]
  const rows = samples
    .names()
    .map((row) => [row, ...scenario.measures.map(({ name }) => cell(samples, row, name))])
  const widths = head.map((text, i) => Math.max(text.length, ...rows.map((row) => row[i]!.length)))
  const line = (cells: string[]) =>
    cells
      .map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)))
      .join('  ')
  return [
    `${scenario.name}: ${scenario.title}`,
    ...[head, ...rows].map((cells) => `  ${line(cells).trimEnd()}`),
    ...verdicts(outcome).map((verdict) => `  ${sentence(verdict)}`),
    '',
  ].join('\n')
}

export function sentence({ claim, value, holds }: Verdict): string {
  const limit = claim.most === undefined ? `at least ${claim.least}` : `at most ${claim.most}`
  const of = claim.of ?? 'outrider'
  const what = claim.against === undefined ? of : `${of} / ${claim.against}`
  return `${holds ? 'holds ' : 'MISSED'}  ${claim.measure}: ${what} = ${short(value)} (${limit})`
}

/** Median and, of several rounds, the ratio to Outrider's. */
function cell(samples: Samples, row: string, measure: string): string {
  const values = samples.of(row, measure)
  if (values.length === 0) return '-'
  const base = baseOf(row)
  const own = median(samples.of(base, measure))
  const ratio =
    row === base || !(own > 0 && median(values) > 0) ? '' : ` (${short(own / median(values))})`
  return `${short(median(values))}${ratio.padEnd(8)}`
}

/** Variants compare with the same variant of Outrider: `envoy, 2 workers` with `outrider, 2 workers`. */
function baseOf(row: string): string {
  const comma = row.indexOf(',')
  return comma === -1 ? 'outrider' : `outrider${row.slice(comma)}`
}

export function short(value: number): string {
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  if (size >= 100) return value.toFixed(0)
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}
