/** Draws a scenario as bars, one group for each measure: SVG that needs nothing else. */
import type { Machine } from './machine.ts'
import { type Outcome, short } from './report-table.ts'
import { type Measure, median, type Samples } from './scenarios/scenario.ts'

const width = 720
const labelWidth = 170
const barHeight = 20
const rowHeight = 26
const barSpace = width - labelWidth - 100

export function chartOf({ scenario, samples }: Outcome, machine: Machine): string {
  let y = 52
  const parts: string[] = []
  for (const measure of scenario.measures) {
    const group = bars(samples, measure, y)
    if (group === undefined) continue
    parts.push(group.svg)
    y += group.height
  }
  const foot = `commit ${machine.commit}, ${machine.cpu}, ${machine.when.slice(0, 10)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 24}" viewBox="0 0 ${width} ${y + 24}" font-family="system-ui, sans-serif" font-size="13" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="28" font-size="16" font-weight="600">${escaped(scenario.title)}</text>
${parts.join('\n')}
<text x="16" y="${y + 10}" font-size="11" fill="#777">${escaped(foot)}</text>
</svg>
`
}

function bars(samples: Samples, measure: Measure, top: number) {
  const rows = samples
    .names()
    .map((row) => ({ row, value: median(samples.of(row, measure.name)) }))
    .filter(({ value }) => Number.isFinite(value))
  if (rows.length === 0) return undefined
  const most = Math.max(...rows.map(({ value }) => value), Number.MIN_VALUE)
  const better = measure.lessIsBetter ? 'less is better' : 'more is better'
  const lines = rows.map(({ row, value }, i) => {
    const y = top + 24 + i * rowHeight
    const length = Math.max(1, (Math.max(0, value) / most) * barSpace)
    const colour = row.startsWith('outrider') ? '#0a7d5a' : '#b8c0cc'
    return `<text x="${labelWidth - 8}" y="${y + 15}" text-anchor="end">${escaped(row)}</text>
<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" fill="${colour}"/>
<text x="${(labelWidth + length + 6).toFixed(1)}" y="${y + 15}">${short(value)}</text>`
  })
  const title = `<text x="16" y="${top + 14}" font-weight="600">${escaped(measure.name)} (${escaped(measure.unit)}; ${better})</text>`
  return { svg: [title, ...lines].join('\n'), height: 24 + rows.length * rowHeight + 16 }
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;')
}
