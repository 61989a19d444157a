import t from 'tap'
import type { OutlierDetectionSpec } from '../../config/snapshot.ts'
import { Clock } from '../../proxy/base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import {
  LocalFailure,
  OutlierCell,
  outlierCells,
  outlierMemory,
} from '../../proxy/base/outlier-cells.ts'
import { Random } from '../../proxy/base/random.ts'
import { OutlierDetector, type Verdict } from '../../proxy/control/outlier-detector.ts'
import { failingTooOften, worseThanOthers } from '../../proxy/control/outlier-rates.ts'
import { OutlierCounts, OutlierRules } from '../../proxy/upstream/outlier-counts.ts'
import { outlierSpec } from '../upstream/fakes.ts'

const errors = {
  refused: ErrorCode.ConnectFailure,
  timeout: ErrorCode.ResponseTimeout,
  reset: ErrorCode.UpstreamReset,
  overflow: ErrorCode.Overflow,
} as const
/** A reply's status, how it failed without one, or a TCP connection that was made. */
type Outcome = number | keyof typeof errors | 'connected'

/** A cluster with its counters and its detector, in `threads` threads. */
class Rig {
  time = 0
  readonly told: string[] = []
  readonly detector: OutlierDetector
  readonly counts = new Map<string, OutlierCounts[]>()

  constructor(parts: Partial<OutlierDetectionSpec>, hosts: number, threads = 1) {
    const spec = outlierSpec(parts)
    const clock = new Clock(
      () => this.time,
      () => this.time,
    )
    this.detector = new OutlierDetector(spec, clock, {
      onEject: ({ host, reason }: Verdict, ms) => this.told.push(`${host.key} out ${reason} ${ms}`),
      onRefused: ({ host, reason }) => this.told.push(`${host.key} stays ${reason}`),
      onReturn: ({ key }) => this.told.push(`${key} back`),
    })
    const cells = outlierMemory(hosts)
    const rules = new OutlierRules(spec)
    for (let i = 0; i < hosts; i++) {
      const key = `h${i}`
      this.detector.add(key, cells, i * outlierCells)
      const each = Array.from({ length: threads }, () => {
        const counts = new OutlierCounts(rules, (what) => {
          clock.refresh()
          this.detector.reached(key, what)
        })
        counts.share(cells, i * outlierCells)
        return counts
      })
      this.counts.set(key, each)
    }
  }

  happen(key: string, outcome: Outcome, thread = 0): void {
    const counts = this.counts.get(key)![thread]!
    if (typeof outcome === 'number') counts.replied(outcome)
    else if (outcome === 'connected') counts.connected()
    else counts.broke(new ProxyError(errors[outcome], Side.Upstream))
  }

  /** Until the time of the next interval, which ends. */
  interval(): void {
    this.time += this.detector.spec.intervalMs
    this.time -= this.time % this.detector.spec.intervalMs
    this.detector['clock'].refresh()
    this.detector.tick()
  }

  /** What was decided since the last question. */
  get news(): string[] {
    return this.told.splice(0)
  }
}

const cases: ReadonlyArray<
  readonly [what: string, spec: Partial<OutlierDetectionSpec>, outcomes: Outcome[], told: string[]]
> = [
  ['four errors are not five', {}, [500, 500, 500, 500], []],
  ['five errors', {}, [500, 501, 502, 503, 504], ['h0 out consecutive_5xx 30000']],
  ['a success in between', {}, [500, 500, 200, 500, 500, 500], []],
  ['a 404 is a success', {}, [500, 500, 500, 500, 404, 500], []],
  [
    'refused, timed out and reset count as errors',
    { consecutive5xx: 3 },
    ['refused', 'timeout', 'reset'],
    ['h0 out consecutive_5xx 30000'],
  ],
  ['an overflow says nothing', { consecutive5xx: 1 }, ['overflow', 'overflow'], []],
  ['0 switches off', { consecutive5xx: 0 }, [500, 500, 500, 500, 500, 500, 'refused'], []],
  [
    'gateway errors are 502, 503, 504 and no reply',
    { consecutive5xx: 0, consecutiveGatewayErrors: 4 },
    [502, 503, 504, 'refused'],
    ['h0 out consecutive_gateway_errors 30000'],
  ],
  [
    'a 500 is no gateway error, and ends a row of them',
    { consecutive5xx: 0, consecutiveGatewayErrors: 2 },
    [503, 500, 503, 500, 503],
    [],
  ],
  [
    'whichever comes first, once',
    { consecutive5xx: 3, consecutiveGatewayErrors: 2 },
    [503, 503, 503, 503],
    ['h0 out consecutive_gateway_errors 30000'],
  ],
  [
    'split: what has no reply counts apart',
    { splitLocalOrigin: true, consecutiveLocalOrigin: 3, consecutive5xx: 2 },
    ['refused', 500, 'refused', 'reset', 'timeout'],
    ['h0 out consecutive_local_origin 30000'],
  ],
  [
    'split: any reply ends a row of them',
    { splitLocalOrigin: true, consecutiveLocalOrigin: 2, consecutive5xx: 3 },
    ['refused', 500, 'refused', 500, 'timeout', 200, 'refused'],
    [],
  ],
  [
    'split: errors that are replies are counted over them',
    { splitLocalOrigin: true, consecutiveLocalOrigin: 5, consecutive5xx: 2 },
    [500, 'refused', 500],
    ['h0 out consecutive_5xx 30000'],
  ],
  [
    'TCP: a connection ends the row',
    { consecutive5xx: 2 },
    ['refused', 'connected', 'refused'],
    [],
  ],
  [
    'TCP: connections that cannot be made',
    { consecutive5xx: 2 },
    ['refused', 'refused'],
    ['h0 out consecutive_5xx 30000'],
  ],
  [
    'other statuses can be the errors',
    { errorStatuses: [429], consecutive5xx: 2 },
    [429, 500, 429, 429],
    ['h0 out consecutive_5xx 30000'],
  ],
]

for (const [what, spec, outcomes, told] of cases)
  t.test(`${what}: ${outcomes.join(' ')}`, async (t) => {
    const rig = new Rig({ maxEjectionPercent: 100, ...spec }, 3)
    for (const outcome of outcomes) rig.happen('h0', outcome)
    t.same(rig.news, told)
  })

t.test(
  'the length grows with each ejection, up to the most, and shrinks while all is well',
  async (t) => {
    const rig = new Rig({ maxEjectionPercent: 100, consecutive5xx: 1, maxEjectionMs: 90_000 }, 1)
    const lengths: number[] = []
    for (let i = 0; i < 5; i++) {
      rig.happen('h0', 500)
      const [out] = rig.news
      lengths.push(Number(out?.split(' ')[3]))
      while (rig.told.length === 0) rig.interval()
      t.equal(rig.time % 10_000, 0)
      t.same(rig.news, ['h0 back'])
    }
    t.same(lengths, [30_000, 60_000, 90_000, 90_000, 90_000])
    rig.interval()
    rig.interval()
    rig.happen('h0', 500)
    t.match(rig.news, [/out consecutive_5xx 90000/], 'two quiet intervals of four ejections')
    while (rig.told.length === 0) rig.interval()
    for (let i = 0; i < 9; i++) rig.interval()
    t.notOk(rig.detector.ticks, 'nothing is left to do')
    rig.news
    rig.happen('h0', 500)
    t.match(rig.news, [/ 30000$/], 'all is forgiven')
  },
)

t.test('it comes back at an interval, with nothing counted against it', async (t) => {
  const rig = new Rig({ maxEjectionPercent: 100, consecutive5xx: 2, baseEjectionMs: 15_000 }, 2)
  rig.happen('h0', 500)
  rig.happen('h0', 500)
  rig.happen('h0', 500)
  rig.happen('h0', 500)
  t.equal(rig.news.length, 1, 'requests under way end with errors too')
  rig.interval()
  t.same(rig.news, [])
  rig.interval()
  t.same(rig.news, ['h0 back'], 'at 20 s')
  rig.happen('h0', 500)
  t.same(rig.news, [])
  rig.happen('h0', 500)
  t.same(rig.news, ['h0 out consecutive_5xx 30000'])
})

t.test('the share that may be ejected counts the next one', async (t) => {
  const table: Array<[hosts: number, percent: number, always: boolean, ejected: number]> = [
    [2, 10, false, 0],
    [9, 10, false, 0],
    [10, 10, false, 1],
    [19, 10, false, 1],
    [20, 10, false, 2],
    [3, 34, false, 1],
    [3, 33, false, 0],
    [4, 50, false, 2],
    [2, 100, false, 2],
    [1, 100, false, 1],
    [2, 10, true, 1],
    [9, 10, true, 1],
    [1, 10, true, 0],
    [20, 10, true, 2],
  ]
  for (const [hosts, maxEjectionPercent, alwaysEjectOne, ejected] of table) {
    const rig = new Rig({ consecutive5xx: 1, maxEjectionPercent, alwaysEjectOne }, hosts)
    for (const key of rig.counts.keys()) rig.happen(key, 500)
    const { news } = rig
    t.equal(
      news.filter((one) => one.includes(' out ')).length,
      ejected,
      `${hosts} hosts, ${maxEjectionPercent} %`,
    )
    t.equal(news.filter((one) => one.includes(' stays ')).length, hosts - ejected)
  }
})

t.test('who was refused is judged again after as many errors more', async (t) => {
  const rig = new Rig({ consecutive5xx: 2, maxEjectionPercent: 50 }, 2)
  rig.happen('h1', 500)
  rig.happen('h1', 500)
  for (let i = 0; i < 3; i++) rig.happen('h0', 500)
  t.same(rig.news, ['h1 out consecutive_5xx 30000', 'h0 stays consecutive_5xx'])
  for (let i = 0; i < 3; i++) rig.interval()
  t.same(rig.news, ['h1 back'])
  rig.happen('h0', 500)
  t.same(rig.news, ['h0 out consecutive_5xx 30000'], 'the fourth')
})

t.test('threads count together: errors in a row, wherever they happen', async (t) => {
  const rig = new Rig({ maxEjectionPercent: 100 }, 1, 4)
  for (const thread of [0, 1, 2, 3]) rig.happen('h0', 500, thread)
  rig.happen('h0', 200, 2)
  for (const thread of [0, 1, 2, 3]) rig.happen('h0', 500, thread)
  t.same(rig.news, [])
  rig.happen('h0', 500, 1)
  t.same(rig.news, ['h0 out consecutive_5xx 30000'])
})

t.test('what a thread counted before it had the shared cells counts on there', async (t) => {
  const told: number[] = []
  const counts = new OutlierCounts(new OutlierRules(outlierSpec({})), (what) => told.push(what))
  for (let i = 0; i < 3; i++) counts.replied(500)
  const cells = outlierMemory(1)
  counts.share(cells, 0)
  t.equal(cells[OutlierCell.FiveHundreds], 3)
  counts.broke(new ProxyError(ErrorCode.ConnectTimeout, Side.Upstream))
  t.same(told, [])
  counts.replied(500)
  t.same(told, [OutlierCell.FiveHundreds])
  t.same(
    [...cells.subarray(OutlierCell.Ring, OutlierCell.Ring + 5)],
    [500, 500, 500, LocalFailure.ConnectTimeout, 500],
  )
})

t.test('success rate and failure percentage, as Envoy computes them', async (t) => {
  const rates = (...percents: number[]) =>
    percents.map((percent) => ({ replies: 100, successes: percent }))
  t.same(
    worseThanOthers(rates(50, 100, 100, 100, 100), 1900),
    [0],
    'mean 90, deviation 20: below 52',
  )
  t.same(
    worseThanOthers(rates(30, 70, 100, 100, 100), 1900),
    [],
    'mean 80, deviation 27.6: below 27.6',
  )
  t.same(worseThanOthers(rates(50, 100, 100, 100), 1900), [], 'too few endpoints')
  t.same(failingTooOften(rates(15, 16, 100, 100, 100), 85), [0])
  t.same(
    failingTooOften([{ replies: 49, successes: 0 }, ...rates(0, 0, 0, 0)], 85),
    [],
    'too few replies',
  )
  const rig = new Rig({ consecutive5xx: 0, failurePercentage: 50, maxEjectionPercent: 100 }, 5)
  t.ok(rig.detector.ticks)
  for (const key of rig.counts.keys())
    for (let i = 0; i < 60; i++) rig.happen(key, key === 'h2' && i % 2 === 0 ? 500 : 200)
  t.same(rig.news, [])
  rig.interval()
  t.same(rig.news, ['h2 out failure_percentage 30000'])
  rig.interval()
  t.same(rig.news, [], 'counted anew each interval')
})

/** The same rules once more, in the plainest form: one list of events, looked at from its beginning. */
class Twin {
  readonly told: string[] = []
  private readonly spec: OutlierDetectionSpec
  private readonly hosts: Map<
    string,
    { row: number; gateway: number; out: number | undefined; times: number }
  >

  constructor(spec: OutlierDetectionSpec, hosts: number) {
    this.spec = spec
    this.hosts = new Map(
      Array.from({ length: hosts }, (_, i) => [
        `h${i}`,
        { row: 0, gateway: 0, out: undefined, times: 0 },
      ]),
    )
  }

  reply(key: string, status: number, now: number): void {
    const host = this.hosts.get(key)!
    if (status < 500) {
      host.row = 0
      host.gateway = 0
      return
    }
    host.gateway = status === 500 ? 0 : host.gateway + 1
    if (
      host.gateway === this.spec.consecutiveGatewayErrors &&
      host.gateway > 0 &&
      host.out === undefined
    ) {
      this.eject(key, 'consecutive_gateway_errors', now)
      host.gateway = 0
    }
    host.row++
    if (host.row === this.spec.consecutive5xx && host.out === undefined) {
      this.eject(key, 'consecutive_5xx', now)
      host.row = 0
    }
  }

  tick(now: number): void {
    for (const [key, host] of this.hosts) {
      if (host.out === undefined) host.times = Math.max(0, host.times - 1)
      else if (now >= host.out + this.length(host.times)) {
        host.out = undefined
        host.row = 0
        host.gateway = 0
        this.told.push(`${key} back`)
      }
    }
  }

  private length(times: number): number {
    return Math.min(times * this.spec.baseEjectionMs, this.spec.maxEjectionMs)
  }

  private eject(key: string, reason: string, now: number): void {
    const host = this.hosts.get(key)!
    const out = [...this.hosts.values()].filter((one) => one.out !== undefined).length
    const share = ((out + 1) / this.hosts.size) * 100
    if (
      share > this.spec.maxEjectionPercent &&
      !(this.spec.alwaysEjectOne && out === 0 && this.hosts.size > 1)
    ) {
      this.told.push(`${key} stays ${reason}`)
      return
    }
    host.out = now
    if (host.times * this.spec.baseEjectionMs < this.spec.maxEjectionMs + this.spec.baseEjectionMs)
      host.times++
    this.told.push(`${key} out ${reason} ${this.length(host.times)}`)
  }
}

t.test('a thousand random clusters decide as their plain twins', async (t) => {
  const random = new Random(7)
  let decisions = 0
  for (let run = 0; run < 1_000; run++) {
    const hosts = 1 + random.below(12)
    const parts = {
      consecutive5xx: random.below(5),
      consecutiveGatewayErrors: random.below(4),
      baseEjectionMs: 1_000 * (1 + random.below(30)),
      maxEjectionMs: 60_000,
      intervalMs: 1_000 * (1 + random.below(10)),
      maxEjectionPercent: [10, 20, 34, 50, 100][random.below(5)]!,
      alwaysEjectOne: random.below(2) === 1,
    }
    const rig = new Rig(parts, hosts, 3)
    const twin = new Twin(outlierSpec(parts), hosts)
    for (let step = 0; step < 200; step++) {
      if (random.below(12) === 0) {
        rig.interval()
        twin.tick(rig.time)
        continue
      }
      rig.time += random.below(300)
      const key = `h${random.below(hosts)}`
      const status = [200, 500, 502, 503][random.below(4)]!
      rig.happen(key, status, random.below(3))
      twin.reply(key, status, rig.time)
    }
    decisions += twin.told.length
    if (JSON.stringify(rig.told) === JSON.stringify(twin.told)) continue
    t.same(rig.told, twin.told, `run ${run}: ${JSON.stringify(parts)}`)
    return
  }
  t.ok(decisions > 10_000, `${decisions} decisions`)
})
