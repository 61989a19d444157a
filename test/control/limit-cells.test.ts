import t from 'tap'
import type { ClusterSpec, Snapshot } from '../../config/snapshot.ts'
import { LimitPlace, sharedLimitCells } from '../../proxy/base/shared-limits.ts'
import { LimitCells } from '../../proxy/control/limit-cells.ts'
import type { SharedToWorker } from '../../proxy/worker/messages.ts'
import { clusterSpec, poolSettings } from '../upstream/fakes.ts'
import { snapshotOf } from './support.ts'

function snapshotWith(...names: string[]): Snapshot {
  const clusters = new Map<string, ClusterSpec>()
  for (const name of names) {
    const limited = !name.startsWith('free')
    const connectionPool = poolSettings(limited ? { maxConnections: 3 } : {})
    clusters.set(name, clusterSpec({ name, connectionPool }))
  }
  return { ...snapshotOf('v'), clusters }
}

class Bench {
  readonly threads: number
  readonly posted: Array<[worker: number, message: SharedToWorker]> = []
  time = 0
  readonly cells: LimitCells

  constructor(threads = 2) {
    this.threads = threads
    this.cells = new LimitCells(
      threads,
      (worker, message) => this.posted.push([worker, message]),
      () => this.time,
    )
  }

  /** What a worker was told since the last question. */
  told(worker: number): string[] {
    const mine = this.posted.filter(([to]) => to === worker).map(([, message]) => message)
    for (let i = this.posted.length - 1; i >= 0; i--)
      if (this.posted[i]![0] === worker) this.posted.splice(i, 1)
    return mine.map((message) => {
      if (message.kind === 'limits')
        return message.clusters.map(([name, index]) => `${name}=${index}`).join(' ')
      if (message.kind === 'limits-gone') return `gone ${message.clusters.join(' ')}`
      return message.kind
    })
  }

  /** The cells of a cluster as a worker sees them. */
  of(name: string, worker: number) {
    for (const [, message] of this.posted)
      if (message.kind === 'limits')
        for (const [known, index] of message.clusters)
          if (known === name) return sharedLimitCells(message.memory, this.threads, index, worker)
    throw new RangeError(`nobody was told of ${name}`)
  }
}

t.test('only clusters with limits get cells, which they keep over reloads', async (t) => {
  const bench = new Bench()
  const { cells } = bench
  const told = (worker: number) => bench.told(worker)
  cells.follow(snapshotWith('a', 'free', 'b'))
  t.same(told(0), ['a=0 b=1'])
  t.same(told(1), ['a=0 b=1'])
  cells.follow(snapshotWith('b', 'c'))
  t.same(told(0), ['c=2'], 'only what is new')
  cells.welcome(1)
  t.same(told(1), ['c=2', 'a=0 b=1 c=2'], 'a new thread is told everything')
})

t.test('cells of a cluster that is gone are used again once nothing counts there', async (t) => {
  const bench = new Bench()
  bench.cells.follow(snapshotWith('a', 'b'))
  const { cells, totals } = bench.of('a', 0)
  cells[totals + LimitPlace.Requests] = 1
  bench.told(0)
  bench.cells.follow(snapshotWith('b'))
  bench.time = 100_000
  bench.cells.follow(snapshotWith('b', 'c'))
  t.same(bench.told(0), ['c=2'], 'a request of the former life still runs')
  cells[totals + LimitPlace.Requests] = 0
  bench.cells.follow(snapshotWith('b', 'c', 'd'))
  t.same(bench.told(0), ['gone a', 'd=0'])
})

t.test('one worker alone needs no cells', async (t) => {
  const bench = new Bench(1)
  bench.cells.follow(snapshotWith('a'))
  bench.cells.welcome(0)
  t.same(bench.posted, [])
})

t.test('more clusters than fit into one piece of memory', async (t) => {
  const bench = new Bench()
  const names = Array.from({ length: 200 }, (_, i) => `c${i}`)
  bench.cells.follow(snapshotWith(...names))
  const places = new Set<string>()
  const blocks = new Map<SharedArrayBuffer, number>()
  for (const [worker, message] of bench.posted)
    if (worker === 0 && message.kind === 'limits') {
      blocks.set(message.memory, blocks.size)
      for (const [, index] of message.clusters) places.add(`${blocks.size} ${index}`)
    }
  t.equal(places.size, 200, 'none shares its cells')
})

t.test('the wish for room goes to a worker that has connections, each in turn', async (t) => {
  const bench = new Bench(3)
  bench.cells.follow(snapshotWith('a'))
  for (const worker of [1, 2]) {
    const { cells, own } = bench.of('a', worker)
    cells[own + LimitPlace.Connections] = 1
  }
  bench.posted.length = 0
  for (let i = 0; i < 4; i++) bench.cells.makeRoom(0, 'a')
  t.same(bench.posted.map(([worker]) => worker).sort(), [1, 1, 2, 2])
  bench.posted.length = 0
  bench.cells.makeRoom(1, 'a')
  bench.cells.makeRoom(1, 'a')
  t.same(
    bench.posted.map(([worker]) => worker),
    [2, 2],
    'never to who asks, never to who has none',
  )
  bench.cells.forget(2)
  bench.posted.length = 0
  bench.cells.makeRoom(1, 'a')
  t.same(bench.posted, [])
})

t.test('the application behind an inbound port with limits has cells as well', async (t) => {
  const bench = new Bench()
  const inbound = {
    mode: 'PASSTHROUGH',
    ports: [{ cluster: 'inbound|80||', connectionPool: poolSettings({ maxRequests: 2 }) }],
  } as unknown as Snapshot['inbound']
  bench.cells.follow({ ...snapshotWith('free'), inbound })
  t.same(bench.told(0), ['inbound|80||=0'])
})
