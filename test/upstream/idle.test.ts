import t from 'tap'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { IdleLimit } from '../../proxy/upstream/idle-limit.ts'
import { type FakeCodec, Request, World } from './fakes.ts'

const closedLabels = (reason: string) => ['outbound|80||web.default.svc.cluster.local', reason]

/** One request through a connection, which then lies idle. */
function useOnce(world: World, endpoint: Endpoint): FakeCodec {
  const request = new Request(endpoint)
  if (request.waits) world.dialer.connectNext()
  request.codec!.finish()
  return request.codec!
}

t.test('an idle connection of an unknown server is closed after 4 s', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const codec = useOnce(world, endpoint)
  world.pass(3_990)
  t.equal(codec.destroyed, undefined)
  world.pass(30)
  t.equal(codec.destroyed, true)
  t.equal(endpoint.counts.connections, 0)
  t.equal(world.value('upstreamClosed', closedLabels('idle')), 1)
  t.equal(world.wheel.size, 0)
})

t.test('only those that lay too long are closed', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const [a, b] = [new Request(endpoint), new Request(endpoint)]
  world.dialer.connectNext()
  world.dialer.connectNext()
  a.codec!.finish()
  world.pass(2_000)
  b.codec!.finish()
  world.pass(2_020)
  t.ok(a.codec!.destroyed)
  t.notOk(b.codec!.destroyed)
  world.pass(2_000)
  t.ok(b.codec!.destroyed)
})

t.test('the configured idle timeout is an upper bound', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint({ httpIdleTimeoutMs: 500 })
  const codec = useOnce(world, endpoint)
  codec.hint(60_000)
  world.pass(520)
  t.ok(codec.destroyed)
})

t.test('a server that names 5 s has its connections retired after 4 s', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const request = new Request(endpoint)
  world.dialer.connectNext()
  request.codec!.hint(5_000)
  request.codec!.finish()
  world.pass(3_980)
  t.notOk(request.codec!.destroyed)
  world.pass(40)
  t.ok(request.codec!.destroyed)
})

t.test('a server that names 60 s keeps its connections for 48 s', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const request = new Request(endpoint)
  world.dialer.connectNext()
  request.codec!.hint(60_000)
  request.codec!.finish()
  world.pass(47_900)
  t.notOk(request.codec!.destroyed)
  world.pass(120)
  t.ok(request.codec!.destroyed)
})

t.test('a connection too old at checkout is not used, even before the sweep', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const first = new Request(endpoint)
  world.dialer.connectNext()
  first.codec!.hint(20_000)
  first.codec!.finish()
  world.pass(3_000)
  first.codec!.hint(2_000)
  const next = new Request(endpoint)
  t.ok(next.waits, 'dials')
  t.ok(first.codec!.destroyed)
})

t.test('an idle connection that the server closes is gone at once', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  useOnce(world, endpoint).close()
  t.equal(endpoint.pool.idleConnections, 0)
  t.equal(endpoint.counts.failures, 0, 'and no failure of the endpoint')
  t.ok(new Request(endpoint).waits)
  t.equal(world.value('upstreamClosed', closedLabels('endpoint')), 1)
})

t.test('the age at which a server closes is learnt from two closings that agree', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  for (let i = 0; i < 2; i++) {
    const codec = useOnce(world, endpoint)
    world.pass(1_000)
    codec.close()
  }
  const codec = useOnce(world, endpoint)
  world.pass(780)
  t.notOk(codec.destroyed)
  world.pass(40)
  t.ok(codec.destroyed)
})

t.test('one closing, or two that differ, teach nothing', async (t) => {
  const limit = new IdleLimit(0)
  limit.closedAfter(10, 0)
  t.equal(limit.at(0), 4_000)
  limit.closedAfter(900, 1)
  t.equal(limit.at(1), 4_000)
  limit.closedAfter(910, 2)
  t.equal(limit.at(2), 720)
})

t.test('what was learnt is forgotten after five minutes', async (t) => {
  const limit = new IdleLimit(0)
  limit.closedAfter(50, 0)
  limit.closedAfter(50, 0)
  t.equal(limit.at(0), 30)
  t.equal(limit.at(300_000), 30)
  t.equal(limit.at(300_001), 4_000)
})

t.test('a margin never takes more than half', async (t) => {
  const limit = new IdleLimit(0)
  limit.hint(1_000)
  t.equal(limit.at(0), 500)
  limit.hint(0)
  t.equal(limit.at(0), 0)
})

t.test(
  'a reused connection that breaks without a byte is a race, and teaches its age',
  async (t) => {
    const world = new World()
    const { endpoint } = world.endpoint()
    for (let i = 0; i < 2; i++) {
      useOnce(world, endpoint)
      world.pass(2_000)
      const unlucky = new Request(endpoint)
      t.equal(unlucky.reused, true)
      unlucky.codec!.breakOff()
    }
    t.equal(world.value('upstreamReuseRaces', ['outbound|80||web.default.svc.cluster.local']), 2)
    t.equal(endpoint.counts.failures, 2)
    useOnce(world, endpoint)
    world.pass(1_650)
    t.ok(new Request(endpoint).waits, 'it is not used any more at the age at which it broke')
  },
)

t.test('a reused connection that breaks after bytes, or late, is no race', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  useOnce(world, endpoint)
  const answered = new Request(endpoint)
  ;(answered.codec!.connection as { bytesRead: number }).bytesRead += 10
  answered.codec!.breakOff()
  useOnce(world, endpoint)
  const slow = new Request(endpoint)
  world.pass(150)
  slow.codec!.breakOff()
  t.equal(world.value('upstreamReuseRaces', ['outbound|80||web.default.svc.cluster.local']), 0)
  t.equal(endpoint.counts.failures, 2)
})

t.test(
  'against a server that closes after exactly N ms, races stop once N is learnt',
  async (t) => {
    const world = new World()
    const { endpoint } = world.endpoint()
    const patience = 50
    let races = 0
    for (let i = 0; i < 2_000; i++) {
      const codec = useOnce(world, endpoint)
      const gap = patience + (i % 5) - 2
      world.pass(Math.min(gap, patience))
      const raced = new Request(endpoint)
      if (raced.waits) {
        world.dialer.connectNext()
        raced.codec!.finish()
      } else if (gap >= patience) {
        races++
        raced.codec!.breakOff()
      } else raced.codec!.finish()
      // Whatever is still idle is closed by the server at its limit.
      if (!codec.destroyed && endpoint.pool.idleConnections > 0) world.pass(1)
    }
    t.ok(races <= 3, `${races} races in 2000 requests`)
  },
)

t.test('when one proves closed, those that lay idle for longer are closed too', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const requests = [1, 2, 3, 4].map(() => new Request(endpoint))
  for (const _ of requests) world.dialer.connectNext()
  // Idle since 4 s, 3 s, 2 s and now: ages that agree with nothing.
  for (const [i, request] of requests.entries()) {
    request.codec!.finish()
    if (i < 3) world.pass(800)
  }
  const first = new Request(endpoint)
  const second = new Request(endpoint)
  t.equal(second.codec, requests[2]!.codec)
  second.codec!.breakOff()
  t.ok(requests[0]!.codec!.destroyed)
  t.ok(requests[1]!.codec!.destroyed)
  t.notOk(first.codec!.destroyed, 'it was in use since')
  const again = new Request(endpoint)
  t.ok(again.waits, 'for a new one')
})
