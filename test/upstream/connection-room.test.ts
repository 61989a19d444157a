import t from 'tap'
import {
  forgetThread,
  sharedLimitCells,
  sharedLimitMemory,
} from '../../proxy/base/shared-limits.ts'
import type { Cluster } from '../../proxy/upstream/cluster.ts'
import { Limits } from '../../proxy/upstream/limits.ts'
import { endpointSpec, poolSettings, Request, rest, World } from './fakes.ts'

const two = [endpointSpec('10.0.0.7'), endpointSpec('10.0.0.8')]

function twoEndpoints(world: World, maxConnections: number) {
  const cluster = world.cluster({ connectionPool: poolSettings({ maxConnections }) }, two)
  const [a, b] = [...cluster.endpoints]
  return { cluster, a: a!, b: b! }
}

t.test('maxConnections holds across the endpoints of a cluster', async (t) => {
  const world = new World()
  const { cluster, a, b } = twoEndpoints(world, 1)
  const first = new Request(a)
  const second = new Request(b)
  t.equal(world.dialer.dials.length, 1)
  t.ok(first.waits && second.waits)
  t.equal(cluster.limits.connections.used, 1)
})

t.test('an idle connection elsewhere makes room, the longest idle one first', async (t) => {
  const world = new World()
  const { a, b } = twoEndpoints(world, 2)
  const [one, two] = [new Request(a), new Request(a)]
  world.dialer.connectNext()
  world.dialer.connectNext()
  one.codec!.finish()
  world.pass(10)
  two.codec!.finish()
  const other = new Request(b)
  t.ok(one.codec!.destroyed)
  t.notOk(two.codec!.destroyed)
  t.equal(world.dialer.open.length, 1)
  world.dialer.connectNext()
  t.ok(other.codec)
})

t.test(
  'a request starved by another endpoint gets the next connection that is freed',
  async (t) => {
    const world = new World()
    const { cluster, a, b } = twoEndpoints(world, 1)
    const busy = new Request(a)
    world.dialer.connectNext()
    const starving = new Request(b)
    busy.codec!.finish()
    t.ok(busy.codec!.destroyed, 'instead of lying idle')
    t.equal(world.dialer.open.length, 1)
    world.dialer.connectNext()
    t.ok(starving.codec)
    starving.codec!.finish()
    const again = new Request(b)
    t.equal(again.codec, starving.codec, 'nobody waits any more: it is kept')
    t.equal(cluster.limits.connections.used, 1)
  },
)

t.test('a starved request that gave up does not cost others their idle connection', async (t) => {
  const world = new World()
  const { a, b } = twoEndpoints(world, 1)
  const busy = new Request(a)
  world.dialer.connectNext()
  new Request(b).ticket!.cancel()
  busy.codec!.finish()
  t.notOk(busy.codec!.destroyed)
})

t.test('a failed dial gives its room to who waits longest', async (t) => {
  const world = new World()
  const { a, b } = twoEndpoints(world, 1)
  const failing = new Request(a)
  const waiting = new Request(b)
  world.dialer.open[0]!.fail()
  t.ok(failing.error)
  t.equal(world.dialer.open.length, 1)
  world.dialer.connectNext()
  t.ok(waiting.codec)
})

t.test('TCP connections count towards maxConnections, over it they are refused', async (t) => {
  const world = new World()
  const { cluster, a } = twoEndpoints(world, 1)
  const idle = new Request(a)
  world.dialer.connectNext()
  idle.codec!.finish()
  const errors: string[] = []
  const waiter = {
    onConnected() {},
    onNoConnection(error: Error) {
      errors.push(error.message)
    },
  }
  const lease = a.dialTcp(waiter)!
  t.ok(idle.codec!.destroyed, 'an idle HTTP connection makes room')
  t.equal(a.dialTcp(waiter), undefined)
  t.match(errors, [/maxConnections is 1 and 1 are in use/])
  t.equal(a.active, 1)
  lease.release()
  lease.release()
  t.equal(a.active, 0)
  t.equal(cluster.limits.connections.used, 0)
})

t.test('with shared cells the limit is exact over threads, and the line asks again', async (t) => {
  const memory = sharedLimitMemory(2, 2)
  const worlds = [0, 1].map(
    (thread) => new World({ sharedLimits: () => sharedLimitCells(memory, 2, 1, thread) }),
  )
  const [here, there] = worlds.map((world) => twoEndpoints(world, 1))
  const first = new Request(here!.a)
  worlds[0]!.dialer.connectNext()
  const second = new Request(there!.a)
  t.equal(worlds[1]!.dialer.dials.length, 0)
  t.equal(there!.cluster.limits.connections.used, 1)
  t.equal(there!.cluster.limits.connections.own, 0)
  first.codec!.close()
  worlds[1]!.pass(40)
  t.equal(worlds[1]!.dialer.open.length, 1, 'seen without a message')
  worlds[1]!.dialer.connectNext()
  t.ok(second.codec)
  await rest()
  t.equal(here!.cluster.limits.connections.used, 1)
})

t.test('what a dead thread held is given back', async (t) => {
  const memory = sharedLimitMemory(3, 2)
  const settings = poolSettings({ maxRequests: 3, maxRetries: 1 })
  const [dead, alive] = [0, 1].map(
    (thread) => new Limits(settings, sharedLimitCells(memory, 2, 2, thread)),
  )
  t.ok(dead!.requests.take() && dead!.requests.take() && alive!.requests.take())
  t.notOk(alive!.requests.take())
  t.ok(dead!.retries.take())
  t.notOk(alive!.retries.take())
  forgetThread(memory, 2, 0)
  t.equal(alive!.requests.used, 1)
  t.ok(alive!.requests.take() && alive!.requests.take())
  t.notOk(alive!.requests.take())
  t.ok(alive!.retries.take())
  forgetThread(memory, 2, 0)
  t.equal(alive!.requests.used, 3, 'once only')
})

t.test('an unset limit is never reached and never shared', async (t) => {
  const memory = sharedLimitMemory(1, 1)
  const limits = new Limits(poolSettings(), sharedLimitCells(memory, 1, 0, 0))
  let refused = 0
  for (let i = 0; i < 10_000; i++) if (!limits.connections.take()) refused++
  t.equal(refused, 0)
  t.equal(limits.connections.used, 10_000)
  t.equal(limits.connections.finite, false)
  t.ok(new Int32Array(memory).every((cell) => cell === 0))
})

/** Two threads with a cluster each, one limit, and the main thread's part: asks go to the other one. */
function twoThreads(maxConnections: number) {
  const memory = sharedLimitMemory(1, 2)
  const clusters: Cluster[] = []
  const asked = [0, 0]
  const worlds = [0, 1].map(
    (thread) =>
      new World({
        sharedLimits: () => sharedLimitCells(memory, 2, 0, thread),
        askForRoom: () => {
          asked[thread]!++
          clusters[1 - thread]!.makeRoom()
        },
      }),
  )
  for (const world of worlds) clusters.push(twoEndpoints(world, maxConnections).cluster)
  const endpoints = clusters.map((cluster) => [...cluster.endpoints][0]!)
  return { worlds, clusters, endpoints, asked }
}

t.test('a connection that lies idle in another thread makes room', async (t) => {
  const { worlds, clusters, endpoints, asked } = twoThreads(1)
  const first = new Request(endpoints[0]!)
  worlds[0]!.dialer.connectNext()
  first.codec!.finish()
  const second = new Request(endpoints[1]!)
  t.ok(first.codec!.destroyed, 'closed when it was asked for')
  const again = new Request(endpoints[0]!)
  t.equal(worlds[0]!.dialer.open.length, 0, 'it does not take back what it gave')
  worlds[1]!.pass(20)
  worlds[1]!.dialer.connectNext()
  t.ok(second.codec)
  t.equal(clusters[0]!.limits.connections.used, 1)
  t.same(asked, [0, 1], 'who waits because it yields asks nobody')
  again.ticket!.cancel()
})

t.test('a thread with requests of its own gives its connection up after its turn', async (t) => {
  const { worlds, endpoints } = twoThreads(1)
  const requests = [1, 2, 3, 4].map(() => new Request(endpoints[0]!))
  worlds[0]!.dialer.connectNext()
  const other = new Request(endpoints[1]!)
  requests[0]!.codec!.finish()
  await rest()
  t.ok(requests[1]!.codec, 'its turn is not over')
  worlds[0]!.pass(1_000)
  requests[1]!.codec!.finish()
  t.ok(requests[1]!.codec!.destroyed)
  t.ok(requests[2]!.waits)
  t.equal(worlds[0]!.dialer.open.length, 0, 'it does not take back what it gave')
  while (worlds[1]!.dialer.open.length === 0) await rest()
  worlds[1]!.dialer.connectNext()
  t.ok(other.codec, 'woken, not by its clock')
  worlds[1]!.pass(1_000)
  other.codec!.finish()
  t.ok(other.codec!.destroyed, 'now the first one waits')
  while (worlds[0]!.dialer.open.length === 0) await rest()
  worlds[0]!.dialer.connectNext()
  t.ok(requests[2]!.codec)
})

t.test('should nobody wake it, the line asks again', async (t) => {
  const memory = sharedLimitMemory(1, 2)
  const { cells, totals } = sharedLimitCells(memory, 2, 0, 0)
  cells[totals] = 1
  const world = new World({ sharedLimits: () => sharedLimitCells(memory, 2, 0, 1) })
  const { a } = twoEndpoints(world, 1)
  new Request(a)
  t.equal(world.dialer.dials.length, 0)
  cells[totals] = 0
  world.pass(30)
  t.equal(world.dialer.open.length, 1)
})

t.test('who stops waiting no longer costs the other thread its connection', async (t) => {
  const { worlds, endpoints } = twoThreads(1)
  const busy = new Request(endpoints[0]!)
  worlds[0]!.dialer.connectNext()
  new Request(endpoints[1]!).ticket!.cancel()
  worlds[0]!.pass(100)
  busy.codec!.finish()
  t.notOk(busy.codec!.destroyed)
})
