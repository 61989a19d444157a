import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { TrafficSplit } from '../../proxy/routing/traffic-split.ts'

function shares(weights: readonly number[], draws = 30_000): number[] {
  const split = new TrafficSplit(
    weights.map((weight) => ({ weight })),
    weights.map((_, index) => index),
  )
  const random = new Random(9)
  const counts = weights.map(() => 0)
  for (let i = 0; i < draws; i++) counts[split.pick(random)]!++
  return counts.map((count) => count / draws)
}

t.test('weights are relative, whatever their sum', async (t) => {
  const close = (found: number[], wanted: number[]): void => {
    // four standard deviations of a share over 30,000 draws are at most 0.012
    for (const [i, share] of found.entries()) t.ok(Math.abs(share - wanted[i]!) < 0.012, `${share}`)
  }
  close(shares([1, 2, 1]), [0.25, 0.5, 0.25])
  close(shares([90, 10]), [0.9, 0.1])
  close(shares([0, 0]), [0.5, 0.5])
})

t.test('a weight of 0 gets nothing, a single choice everything', async (t) => {
  t.same(shares([0, 5]), [0, 1])
  t.same(shares([0]), [1])
})
