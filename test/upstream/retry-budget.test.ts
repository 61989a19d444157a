import t from 'tap'
import type { RetryBudgetSpec } from '../../config/snapshot.ts'
import { Clock } from '../../proxy/base/clock.ts'
import { Random } from '../../proxy/base/random.ts'
import { sharedLimitCells, sharedLimitMemory } from '../../proxy/base/shared-limits.ts'
import { Limits } from '../../proxy/upstream/limits.ts'
import { type RetryBudget, retryBudget } from '../../proxy/upstream/retry-budget.ts'
import { poolSettings } from './fakes.ts'

const byDefault: RetryBudgetSpec = { kind: 'failing', percent: 20, perSecond: 10 }

function budgetAt(spec: RetryBudgetSpec, threads = 1, running = { used: 0 }) {
  let now = 1_000_000
  const clock = new Clock(() => now)
  const { retries } = new Limits(poolSettings())
  const limits = { requests: running, retries } as unknown as Limits
  const budget = retryBudget(spec, limits, clock, threads)
  const wait = (ms: number) => {
    now += ms
    clock.refresh()
  }
  return { budget, wait }
}

/** How many of `n` are allowed. */
function taken(budget: RetryBudget, n: number): number {
  let count = 0
  for (let i = 0; i < n; i++) if (budget.take() >= 0) count++
  return count
}

t.test('a dead upstream sees at most 1.2 times what is asked, and 10 a second', async (t) => {
  for (const perSecond of [1, 7, 50, 1000, 20_000]) {
    const { budget, wait } = budgetAt(byDefault)
    const seconds = 20
    let retries = 0
    for (let i = 0; i < perSecond * seconds; i++) {
      budget.asked()
      // Every request would be repeated twice, and every repetition fails.
      retries += taken(budget, 2)
      wait(1000 / perSecond)
    }
    const most = 0.2 * perSecond * seconds + 10 * (seconds + 1)
    t.ok(retries <= most, `${perSecond}/s: ${retries} of at most ${most} retries`)
    t.ok(
      retries >= Math.min(2 * perSecond, 0.2 * perSecond + 9) * (seconds - 1),
      'and not far fewer',
    )
  }
})

t.test('the bound holds in every second, however uneven the load', async (t) => {
  const random = new Random(7)
  const { budget, wait } = budgetAt(byDefault)
  const asked: number[] = []
  const retried: number[] = []
  let at = 0
  while (at < 60_000) {
    const burst = random.below(10) === 0 ? 300 : random.below(4)
    for (let i = 0; i < burst; i++) {
      budget.asked()
      asked.push(at)
      for (let n = taken(budget, 2); n > 0; n--) retried.push(at)
    }
    const ms = random.below(200)
    at += ms
    wait(ms)
  }
  for (let from = 0; from < 60_000; from += 500) {
    const within = (times: number[], width: number) =>
      times.filter((time) => time >= from - width && time < from + 1000).length
    // A window of a second overlaps two of the budget's own.
    t.ok(within(retried, 0) <= 0.2 * within(asked, 1000) + 20, `from ${from}`)
  }
})

t.test('retries that help cost nothing: one dead endpoint of three is not noticed', async (t) => {
  const { budget, wait } = budgetAt(byDefault)
  for (let i = 0; i < 3000; i++) {
    budget.asked()
    if (i % 3 === 0) {
      const ticket = budget.take()
      t.ok(ticket >= 0)
      budget.settle(ticket, true)
    }
    wait(1)
  }
})

/** `perSecond` requests for `ms`, of which `fails` say which first tries fail; retries end after `latencyMs`. */
function run(
  { budget, wait }: ReturnType<typeof budgetAt>,
  { perSecond, ms, latencyMs }: { perSecond: number; ms: number; latencyMs: number },
  fails: (i: number) => boolean,
  helps: boolean,
) {
  const ends: Array<{ at: number; ticket: number }> = []
  const counts = { wanted: 0, made: 0, lateRefusals: 0 }
  const step = 1000 / perSecond
  for (let now = 0, i = 0; now < ms; now += step, i++) {
    while (ends.length > 0 && ends[0]!.at <= now) budget.settle(ends.shift()!.ticket, helps)
    budget.asked()
    if (fails(i)) {
      counts.wanted++
      const ticket = budget.take()
      if (ticket >= 0) {
        counts.made++
        ends.push({ at: now + latencyMs, ticket })
      } else if (now > ms / 2) counts.lateRefusals++
    }
    wait(step)
  }
  for (const { ticket } of ends) budget.settle(ticket, helps)
  return counts
}

t.test('where retries help they are not bounded by being slow', async (t) => {
  const half = (i: number) => i % 2 === 0
  for (const latencyMs of [5, 200, 900]) {
    const slow = { perSecond: 400, ms: 20_000, latencyMs }
    const { lateRefusals, made, wanted } = run(budgetAt(byDefault), slow, half, true)
    t.equal(lateRefusals, 0, `${latencyMs} ms: ${made} of ${wanted}`)
  }
})

t.test('whoever was trusted is bounded again soon after retries stop helping', async (t) => {
  for (const latencyMs of [5, 200]) {
    const world = budgetAt(byDefault)
    const slow = { perSecond: 400, ms: 20_000, latencyMs }
    run(world, slow, (i) => i % 2 === 0, true)
    const all = () => true
    const dead = run(world, { ...slow, ms: 10_000 }, all, false)
    const most = 0.2 * 4000 + 10 * 11 + (400 * latencyMs) / 1000 + 60
    t.ok(dead.made <= most, `${latencyMs} ms: ${dead.made} of at most ${most}`)
  }
})

t.test('a retry that helped after its second was over gives nothing back', async (t) => {
  const { budget, wait } = budgetAt({ kind: 'failing', percent: 0, perSecond: 2 })
  const old = budget.take()
  wait(1500)
  t.equal(taken(budget, 5), 2)
  budget.settle(old, true)
  t.equal(taken(budget, 5), 0)
  t.match(budget.describe(), /0 % of the last second's 0 requests and 2 more .* and 2 were/)
})

t.test('threads share the retries of a second, and each may repeat a lone request', async (t) => {
  t.equal(taken(budgetAt(byDefault, 2).budget, 100), 5)
  t.equal(taken(budgetAt(byDefault, 16).budget, 100), 3)
  t.equal(taken(budgetAt({ kind: 'failing', percent: 0, perSecond: 1 }, 4).budget, 100), 1)
  t.equal(taken(budgetAt({ kind: 'off' }).budget, 100_000), 100_000)
})

t.test("Istio's retryBudget is a share of what is under way", async (t) => {
  const running = { used: 0 }
  const spec = { kind: 'concurrent', percent: 20, minConcurrency: 3, intervalMs: 0 } as const
  const { budget } = budgetAt(spec, 1, running)
  t.equal(taken(budget, 100), 3, 'minRetryConcurrency')
  running.used = 100
  t.equal(taken(budget, 100), 17, '20 % of 100, 3 of which run')
  budget.release(0)
  t.equal(taken(budget, 100), 1)
  t.match(budget.describe(), /allows 20 retries at once, and 20 are under way/)
})

t.test('with budgetInterval requests count for as long as that', async (t) => {
  const spec = { kind: 'concurrent', percent: 10, minConcurrency: 1, intervalMs: 2000 } as const
  const { budget, wait } = budgetAt(spec)
  for (let i = 0; i < 100; i++) budget.asked()
  t.equal(taken(budget, 100), 10)
  for (let i = 0; i < 10; i++) budget.release(0)
  wait(2500)
  t.equal(taken(budget, 100), 1)
})

t.test("Istio's retryBudget counts what all threads have under way", async (t) => {
  const memory = sharedLimitMemory(1, 2)
  const spec = { kind: 'concurrent', percent: 50, minConcurrency: 1, intervalMs: 0 } as const
  const clock = new Clock(() => 0)
  const threads = [0, 1].map((thread) => {
    const limits = new Limits(poolSettings(), sharedLimitCells(memory, 2, 0, thread), true)
    return { limits, budget: retryBudget(spec, limits, clock, 2) }
  })
  const [one, two] = threads
  for (let i = 0; i < 6; i++) one!.limits.requests.take()
  for (let i = 0; i < 4; i++) two!.limits.requests.take()
  t.equal(taken(one!.budget, 3), 3)
  t.equal(taken(two!.budget, 10), 2, 'five of ten in all')
  one!.budget.release(0)
  t.equal(taken(two!.budget, 10), 1)
})
