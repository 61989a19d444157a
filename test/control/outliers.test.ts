import t from 'tap'
import type { ClusterSpec, EndpointSpec, OutlierDetectionSpec } from '../../config/snapshot.ts'
import { Clock } from '../../proxy/base/clock.ts'
import { endpointKey, noteFailure, OutlierCell } from '../../proxy/base/outlier-cells.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { Outliers } from '../../proxy/control/outliers.ts'
import type { SharedToWorker } from '../../proxy/worker/messages.ts'
import { clusterSpec, endpointSpec, outlierSpec } from '../upstream/fakes.ts'
import { HeardLog, snapshotOf } from './support.ts'

const name = 'web'
const rule = { kind: 'DestinationRule', namespace: 'default', name: 'r', file: 'r.yaml', line: 7 }

/** Outlier detection for one cluster, and what workers are told. */
class Bench {
  time = 0
  readonly posted: Array<[worker: number, message: SharedToWorker]> = []
  readonly log = new HeardLog()
  readonly clock = new Clock(
    () => this.time,
    () => 1_800_000_000_000 + this.time,
  )
  readonly wheel = new TimerWheel(this.clock, 50)
  spec: ClusterSpec
  endpoints: readonly EndpointSpec[]
  readonly outliers: Outliers

  constructor(addresses: readonly string[], parts: Partial<OutlierDetectionSpec> = {}) {
    this.spec = clusterSpec({
      name,
      endpointSet: name,
      outlierDetection: outlierSpec({ maxEjectionPercent: 100, ...parts }),
      outlierOrigin: rule,
      hash: 'one',
    })
    this.endpoints = addresses.map((address) => endpointSpec(address))
    this.outliers = new Outliers({
      threads: 2,
      post: (worker, message) => this.posted.push([worker, message]),
      current: () => this.snapshot,
      endpointsOf: () => this.endpoints,
      log: this.log,
      clock: this.clock,
      wheel: this.wheel,
    })
    t.teardown(() => this.wheel.stop())
  }

  get snapshot() {
    return {
      ...snapshotOf('v'),
      clusters: new Map([[name, this.spec]]),
      endpointSets: new Map([[name, this.endpoints]]),
    }
  }

  fail(address: string, statuses: readonly number[] = [500, 500, 500, 500, 500]): void {
    for (const status of statuses) {
      const { cells, at } = this.cellsOf(address)
      noteFailure(cells, at, status)
    }
    this.outliers.reached(name, 'one', keyOf(address), OutlierCell.FiveHundreds)
  }

  /** As the last message about it says. */
  cellsOf(address: string): { cells: Int32Array; at: number } {
    for (const [, message] of [...this.posted].reverse())
      if (message.kind === 'outliers')
        for (const [key, at] of message.endpoints)
          if (key === keyOf(address)) return { cells: new Int32Array(message.memory), at }
    throw new RangeError(`no cells for ${address}`)
  }

  /** What a worker was told last about who is ejected. */
  ejected(worker = 0): string[] {
    const last = this.posted.findLast(([to, { kind }]) => to === worker && kind === 'ejected')
    if (last?.[1].kind !== 'ejected') return []
    return last[1].endpoints.map(([key]) => key.split('\n')[0]!)
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 50) {
      this.time += 50
      this.clock.refresh()
      this.wheel.sweep()
    }
  }
}

function keyOf(address: string): string {
  return endpointKey({ address, port: 8080 })
}

t.test(
  'who watches a cluster gets cells for its endpoints, and hears who is ejected',
  async (t) => {
    const bench = new Bench(['10.0.0.1', '10.0.0.2'])
    bench.outliers.watch(0, name, 'one')
    t.not(bench.cellsOf('10.0.0.1').at, bench.cellsOf('10.0.0.2').at)
    bench.fail('10.0.0.1')
    t.same(bench.ejected(), ['10.0.0.1'])
    t.same(bench.ejected(1), ['10.0.0.1'], 'so does who does not use it yet')
    bench.posted.length = 0
    bench.outliers.welcome(1)
    t.same(bench.ejected(1), ['10.0.0.1'], 'and a worker that comes later')
    for (const worker of [0, 1]) bench.outliers.watch(worker, name, 'one')
    bench.pass(29_900)
    t.equal(bench.outliers.status().length, 1)
    bench.pass(200)
    t.same(bench.ejected(0), [])
    t.same(bench.ejected(1), [])
    bench.outliers.forget(1)
    bench.posted.length = 0
    bench.outliers.endpointsChanged(name, [...bench.endpoints, endpointSpec('10.0.0.3')])
    t.same(
      bench.posted.map(([worker]) => worker),
      [0],
    )
  },
)

t.test('a cluster the proxy does not have any more is not watched', async (t) => {
  const bench = new Bench(['10.0.0.1'])
  bench.outliers.watch(0, name, 'former')
  bench.outliers.watch(0, 'other', 'one')
  t.same(bench.posted, [])
  bench.outliers.reached(name, 'one', keyOf('10.0.0.1'), OutlierCell.FiveHundreds)
  t.same(bench.outliers.journal.entries, [])
})

t.test(
  'the journal and the log say who, why, by which rule, until when, and who is left',
  async (t) => {
    const bench = new Bench(['10.0.0.1', '10.0.0.2', '10.0.0.3'], { maxEjectionPercent: 34 })
    bench.outliers.watch(0, name, 'one')
    bench.fail('10.0.0.2', [500, 503, 2, 3, 4])
    const [status] = bench.outliers.status()
    t.match(status, { cluster: name, endpoint: '10.0.0.2:8080' })
    t.equal(
      status!.why,
      '5 errors in a row (500, 503, connect timeout, reset, timeout); ejected until 2027-01-15T08:00:30.000Z at the earliest, DestinationRule default/r (r.yaml:7)',
    )
    t.same(bench.log.lines, [
      'warn outlier detection of web: 10.0.0.2:8080 is ejected for 30 s: 5 errors in a row (500, 503, connect timeout, reset, timeout); left: 10.0.0.1:8080, 10.0.0.3:8080 [DestinationRule default/r (r.yaml:7)]',
    ])
    bench.fail('10.0.0.1')
    bench.fail('10.0.0.1')
    t.same(bench.log.lines.slice(1), [
      'warn outlier detection of web: 10.0.0.1:8080 stays in spite of 5 errors in a row (500, 500, 500, 500, 500): maxEjectionPercent 34 allows 1 of 3 endpoints to be ejected, and 1 are [DestinationRule default/r (r.yaml:7)]',
    ])
    bench.pass(30_050)
    t.match(
      bench.log.lines.at(-1),
      /^info .* 10\.0\.0\.2:8080 is back after 30 s; 3 endpoints are in use/,
    )
    bench.fail('10.0.0.2')
    t.match(bench.log.lines.at(-1), /is ejected for 60 s \(the 2nd time\)/)
  },
)

t.test(
  'an endpoint that left is forgotten, and its cells rest before others get them',
  async (t) => {
    const bench = new Bench(['10.0.0.1', '10.0.0.2'])
    bench.outliers.watch(0, name, 'one')
    const former = bench.cellsOf('10.0.0.1')
    bench.fail('10.0.0.1')
    bench.endpoints = [endpointSpec('10.0.0.2'), endpointSpec('10.0.0.1', { healthy: false })]
    bench.outliers.follow(bench.snapshot)
    t.same(bench.ejected(), [], 'one that is not ready is as good as gone')
    t.same(bench.outliers.status(), [])
    bench.endpoints = [endpointSpec('10.0.0.2'), endpointSpec('10.0.0.1'), endpointSpec('10.0.0.3')]
    bench.outliers.follow(bench.snapshot)
    for (const address of ['10.0.0.1', '10.0.0.3']) t.not(bench.cellsOf(address).at, former.at)
    former.cells[former.at + OutlierCell.FiveHundreds] = 4
    bench.pass(61_000)
    bench.endpoints = Array.from({ length: 8 }, (_, i) => endpointSpec(`10.0.0.${i + 1}`))
    bench.outliers.follow(bench.snapshot)
    const heir = bench.endpoints.find(({ address }) => bench.cellsOf(address).at === former.at)
    t.ok(heir, 'later somebody gets them')
    const { cells, at } = bench.cellsOf(heir!.address)
    t.equal(cells[at + OutlierCell.FiveHundreds], 0, 'cleared')
  },
)

t.test('another rule begins afresh; a rule that moved goes on under its new line', async (t) => {
  const bench = new Bench(['10.0.0.1', '10.0.0.2'])
  bench.outliers.watch(0, name, 'one')
  bench.fail('10.0.0.1')
  bench.spec = { ...bench.spec, outlierOrigin: { ...rule, line: 70 } }
  bench.outliers.follow(bench.snapshot)
  t.equal(bench.outliers.status().length, 1)
  bench.pass(30_050)
  t.match(bench.log.lines.at(-1), /r\.yaml:70/)
  bench.fail('10.0.0.1')
  bench.spec = { ...bench.spec, hash: 'two' }
  bench.outliers.follow(bench.snapshot)
  t.same(bench.outliers.status(), [])
  t.equal(bench.wheel.size, 0, 'nothing ticks for it')
})

t.test('subsets: only endpoints with their labels are members', async (t) => {
  const bench = new Bench([])
  bench.spec = { ...bench.spec, subsetLabels: { v: '1' } }
  bench.endpoints = [
    endpointSpec('10.0.0.1', { labels: { v: '1' } }),
    endpointSpec('10.0.0.2', { labels: { v: '2' } }),
  ]
  bench.outliers.watch(0, name, 'one')
  t.ok(bench.cellsOf('10.0.0.1'))
  t.throws(() => bench.cellsOf('10.0.0.2'))
})
