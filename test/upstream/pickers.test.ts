import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { EdfQueue } from '../../proxy/upstream/edf.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { leastRequest } from '../../proxy/upstream/least-request.ts'
import type { Picker } from '../../proxy/upstream/picker.ts'
import { randomChoice } from '../../proxy/upstream/random-choice.ts'
import { roundRobin } from '../../proxy/upstream/round-robin.ts'
import { endpointSpec, World } from './fakes.ts'

function endpoints(weights: readonly number[]): Endpoint[] {
  const specs = weights.map((weight, i) => endpointSpec(`10.0.0.${i + 1}`, { weight }))
  return [...new World().cluster({}, specs).endpoints]
}

function counts(picker: Picker, all: readonly Endpoint[], picks: number): number[] {
  const got = all.map(() => 0)
  for (let i = 0; i < picks; i++) got[all.indexOf(picker.next())]!++
  return got
}

t.test('round robin with equal weights takes each in turn', async (t) => {
  const all = endpoints([1, 1, 1])
  const picker = roundRobin(all, new Random(5))
  const first = [picker.next(), picker.next(), picker.next()]
  t.equal(new Set(first).size, 3)
  for (let i = 0; i < 9; i++) t.equal(picker.next(), first[i % 3])
})

t.test('round robin starts at different places', async (t) => {
  const all = endpoints([1, 1, 1, 1])
  const starts = new Set<Endpoint>()
  for (let seed = 0; seed < 50; seed++) starts.add(roundRobin(all, new Random(seed)).next())
  t.equal(starts.size, 4)
})

t.test('weights 1 and 3 give exactly 100 and 300 of any 400 picks', async (t) => {
  const all = endpoints([1, 3])
  for (let seed = 0; seed < 20; seed++) {
    const picker = roundRobin(all, new Random(seed))
    for (let phase = 0; phase < seed; phase++) picker.next()
    t.same(counts(picker, all, 400), [100, 300])
  }
})

t.test('weighted turns stay exact over a million picks', async (t) => {
  const all = endpoints([3, 7, 10, 80])
  const picker = roundRobin(all, new Random(3))
  t.same(counts(picker, all, 1_000_000), [30_000, 70_000, 100_000, 800_000])
})

t.test('weighted turns are spread, not bunched', async (t) => {
  const all = endpoints([5, 1, 1])
  const picker = roundRobin(all, new Random(1))
  let longest = 0
  let run = 0
  for (let i = 0; i < 700; i++) {
    run = picker.next() === all[0] ? run + 1 : 0
    longest = Math.max(longest, run)
  }
  t.ok(longest <= 5, `at most 5 in a row, was ${longest}`)
})

/** The rule in the plainest words. */
class PlainEdf {
  private readonly entries: Array<{ entry: number; deadline: number; order: number }>
  private order: number

  constructor(weights: readonly number[]) {
    this.entries = weights.map((weight, entry) => ({ entry, deadline: 1 / weight, order: entry }))
    this.order = weights.length
  }

  first() {
    return this.entries.sort((a, b) => a.deadline - b.deadline || a.order - b.order)[0]!
  }

  turn(weight: number): void {
    const first = this.first()
    first.deadline += 1 / weight
    first.order = this.order++
  }
}

t.test('the queue agrees with its plain twin on random weights that change', async (t) => {
  const random = new Random(77)
  for (let round = 0; round < 100; round++) {
    const weights = Array.from({ length: 1 + random.below(20) }, () => 1 + random.below(9))
    const [queue, plain] = [new EdfQueue(weights), new PlainEdf(weights)]
    for (let i = 0; i < 200; i++) {
      if (queue.first() !== plain.first().entry) {
        t.fail(`round ${round}, turn ${i}: ${queue.first()} is not ${plain.first().entry}`)
        return
      }
      const weight = random.below(4) === 0 ? 1 + random.below(9) : weights[queue.first()]!
      queue.turn(weight)
      plain.turn(weight)
    }
  }
  t.pass('20,000 turns')
})

t.test('least request takes the less busy of two', async (t) => {
  const all = endpoints([1, 1])
  all[0]!.counts.active = 5
  const picker = leastRequest(all, new Random(9))
  const [busy, free] = counts(picker, all, 4_000)
  // The busy one only when chance names it twice: one in four.
  t.ok(busy! > 850 && busy! < 1_150, `${busy}`)
  t.equal(busy! + free!, 4_000)
})

t.test('least request never prefers the busier when both are named', async (t) => {
  const all = endpoints([1, 1, 1])
  all[0]!.counts.active = 1
  all[1]!.counts.active = 2
  all[2]!.counts.active = 3
  const [a, b, c] = counts(leastRequest(all, new Random(2)), all, 9_000)
  t.ok(a! > b! && b! > c!, `${a} ${b} ${c}`)
  t.ok(Math.abs(c! - 1_000) < 150, 'the busiest only when named twice: one in nine')
})

t.test('least request on a tie keeps the first: nobody is starved', async (t) => {
  const all = endpoints([1, 1, 1, 1])
  for (const count of counts(leastRequest(all, new Random(4)), all, 8_000))
    t.ok(Math.abs(count - 2_000) < 200)
})

t.test('weighted least request follows the weights while all are idle', async (t) => {
  const all = endpoints([1, 3])
  const [light, heavy] = counts(leastRequest(all, new Random(4)), all, 4_000)
  t.ok(Math.abs(light! - 1_000) <= 1)
  t.ok(Math.abs(heavy! - 3_000) <= 1)
})

t.test('weighted least request gives a busy endpoint less', async (t) => {
  const all = endpoints([1, 3])
  all[1]!.counts.active = 5
  const [light, heavy] = counts(leastRequest(all, new Random(4)), all, 3_000)
  // 1 against 3 / (5 + 1)
  t.ok(Math.abs(light! - 2_000) <= 30 && Math.abs(heavy! - 1_000) <= 30, `${light} ${heavy}`)
})

t.test('random follows the weights', async (t) => {
  const equal = endpoints([1, 1, 1])
  for (const count of counts(randomChoice(equal, new Random(8)), equal, 9_000))
    t.ok(Math.abs(count - 3_000) < 200)
  const weighted = endpoints([1, 2, 7])
  const got = counts(randomChoice(weighted, new Random(8)), weighted, 10_000)
  t.ok(Math.abs(got[0]! - 1_000) < 150 && Math.abs(got[2]! - 7_000) < 200, got.join(' '))
})

t.test('a weight of 0 counts as 1', async (t) => {
  const all = endpoints([0, 1])
  t.same(counts(roundRobin(all, new Random(1)), all, 10), [5, 5])
})
