import t from 'tap'
import { changes } from '../../bench/baseline.ts'
import { Samples, type Scenario } from '../../bench/scenarios/scenario.ts'

const scenario: Scenario = {
  name: 'h1',
  title: 'Something',
  measures: [
    { name: 'cpu', unit: 'us/request', lessIsBetter: true },
    { name: 'rate', unit: 'requests/s', lessIsBetter: false },
    { name: 'RSS', unit: 'MiB', lessIsBetter: true },
  ],
  claims: [],
  run: () => Promise.resolve(new Samples()),
}

const samples = new Samples()
samples.add('outrider', 'cpu', 20)
samples.add('envoy', 'cpu', 40)
samples.add('outrider', 'rate', 900)
samples.add('envoy', 'rate', 600)
samples.add('outrider', 'RSS', 80)

const told = (baseline: Readonly<Record<string, number>>) =>
  changes([{ scenario, samples }], baseline).map((line) => line.replace(/ +/g, ' '))

t.test('a ratio that grew by more than noise is called worse, where less is better', async (t) => {
  t.same(told({ 'h1 cpu / envoy': 0.4 }), ['WORSE h1 cpu / envoy 0.40 -> 0.50 +25 %'])
  t.same(told({ 'h1 cpu / envoy': 0.48 }), ['same h1 cpu / envoy 0.48 -> 0.50 +4 %'])
  t.same(told({ 'h1 cpu / envoy': 0.6 }), ['better h1 cpu / envoy 0.60 -> 0.50 -17 %'])
})

t.test('rates are not guarded: CPU tells the same with less noise', async (t) => {
  t.same(told({ 'h1 rate / envoy': 2 }), [])
})

t.test('memory counts by itself; what the baseline does not know is not judged', async (t) => {
  t.same(told({ 'h1 RSS': 100 }), ['better h1 RSS 100 -> 80.0 -20 %'])
  t.same(told({}), [])
  t.same(told({ 'h1 cpu / nginx': 2 }), [], 'nor a peer that was not there')
})
