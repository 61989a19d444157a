import t from 'tap'
import { tableOf, verdicts } from '../../bench/report-table.ts'
import { median, Samples, type Scenario } from '../../bench/scenarios/scenario.ts'

const scenario: Scenario = {
  name: 'h1',
  title: 'Something',
  measures: [{ name: 'cpu', unit: 'us/request', lessIsBetter: true }],
  claims: [
    { measure: 'cpu', against: 'envoy', most: 0.45 },
    { measure: 'cpu', against: 'nginx', most: 2 },
    { measure: 'cpu', against: 'haproxy', most: 2 },
    { measure: 'cpu', of: 'outrider, 2 workers', most: 15 },
  ],
  run: () => Promise.resolve(new Samples()),
}

function measured(figures: Readonly<Record<string, readonly number[]>>): Samples {
  const samples = new Samples()
  for (const [row, values] of Object.entries(figures))
    for (const value of values) samples.add(row, 'cpu', value)
  return samples
}

const samples = measured({
  outrider: [30, 10, 20],
  envoy: [39, 41, 40],
  nginx: [10],
  'outrider, 2 workers': [12],
})

t.test('a claim holds or not by the ratio of medians', async (t) => {
  t.same(
    verdicts({ scenario, samples }).map(({ value, holds }) => [value, holds]),
    [
      [0.5, false],
      [2, true],
      [12, true],
    ],
    'a claim against a peer that is absent is not judged',
  )
})

t.test('the table names every row with its median and its ratio to Outrider', async (t) => {
  const table = tableOf({ scenario, samples })
  t.match(table, /outrider +20\.0\n/)
  t.match(table, /envoy +40\.0 \(0\.50\)/)
  t.match(table, /nginx +10\.0 \(2\.00\)/)
  t.match(table, 'MISSED  cpu: outrider / envoy = 0.50 (at most 0.45)')
  t.match(table, 'holds   cpu: outrider / nginx = 2.00 (at most 2)')
})

t.test('the median of an even number of rounds lies between the middle two', async (t) => {
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(median([3]), 3)
  t.ok(Number.isNaN(median([])))
})

t.test('figures that could not be taken are left out', async (t) => {
  const some = new Samples()
  some.add('direct', 'cpu', undefined)
  some.add('direct', 'cpu', Number.NaN)
  t.same(some.of('direct', 'cpu'), [])
})
