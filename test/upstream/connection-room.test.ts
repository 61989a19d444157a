import t from 'tap'
import {
  forgetThread,
  Limits,
  sharedLimitCells,
  sharedLimitMemory,
} from '../../proxy/upstream/limits.ts'
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
  t.same([...new Int32Array(memory)], [0, 0, 0, 0, 0, 0, 0, 0])
})
