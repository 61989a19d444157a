import t from 'tap'
import { ErrorCode } from '../../proxy/base/errors.ts'
import { Request, rest, World } from './fakes.ts'

const cluster80 = ['outbound|80||web.default.svc.cluster.local']

t.test('a request without an idle connection dials one and gets it', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint()
  const request = new Request(endpoint)
  t.ok(request.waits)
  t.equal(world.dialer.open.length, 1)
  t.same(world.dialer.open[0]!.target.address, { address: '10.0.0.7', port: 8080 })
  t.equal(world.dialer.open[0]!.target.timeoutMs, 10_000)
  world.dialer.connectNext()
  t.ok(request.codec)
  t.equal(request.reused, false)
  t.equal(endpoint.active, 1)
  request.codec!.finish()
  t.equal(endpoint.active, 0)
  t.same(cluster.held, { connections: 1, dials: 0, waiters: 0 })
})

t.test('an idle connection is given before acquire returns', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const first = new Request(endpoint)
  world.dialer.connectNext()
  first.codec!.finish()
  const second = new Request(endpoint)
  t.equal(second.codec, first.codec)
  t.equal(second.reused, true)
  t.equal(second.ticket, undefined)
  t.equal(world.dialer.dials.length, 1)
})

t.test('the most recently used connection is used first', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const [a, b] = [new Request(endpoint), new Request(endpoint)]
  world.dialer.connectNext()
  world.dialer.connectNext()
  b.codec!.finish()
  a.codec!.finish()
  t.equal(new Request(endpoint).codec, a.codec)
  t.equal(new Request(endpoint).codec, b.codec)
})

t.test('a freed connection serves a waiting request before its dial completes', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const running = new Request(endpoint)
  world.dialer.connectNext()
  const waiting = new Request(endpoint)
  t.equal(world.dialer.open.length, 1, 'a dial of its own')
  running.codec!.finish()
  t.ok(waiting.waits, 'not in the same turn')
  await rest()
  t.equal(waiting.codec, running.codec)
  t.equal(waiting.reused, true)
  world.dialer.connectNext()
  t.equal(endpoint.pool.idleConnections, 1, 'the surplus connection lies idle')
  t.equal(world.dialer.dials.length, 2)
})

t.test(
  'a connection whose close came with its reply is not given to a waiting request',
  async (t) => {
    const world = new World()
    const { endpoint } = world.endpoint({ maxConnections: 1 })
    const running = new Request(endpoint)
    world.dialer.connectNext()
    const waiting = new Request(endpoint)
    running.codec!.finish()
    // The FIN is read in the next turn of the loop, before the connection has rested.
    setImmediate(() => running.codec!.close())
    await rest()
    t.ok(waiting.waits)
    t.equal(world.dialer.open.length, 1, 'a new connection is made instead')
    world.dialer.connectNext()
    t.equal(waiting.reused, false)
  },
)

t.test('waiting requests are served in order', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint({ maxConnections: 1 })
  const first = new Request(endpoint)
  world.dialer.connectNext()
  const rests = [new Request(endpoint), new Request(endpoint), new Request(endpoint)]
  let codec = first.codec!
  for (const next of rests) {
    codec.finish()
    const late = new Request(endpoint)
    t.ok(late.waits, 'a newcomer does not overtake')
    late.ticket!.cancel()
    await rest()
    t.ok(next.codec)
    codec = next.codec!
  }
})

t.test('there is never more than one dial per waiting request', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const requests = Array.from({ length: 5 }, () => new Request(endpoint))
  t.equal(world.dialer.dials.length, 5)
  requests[4]!.ticket!.cancel()
  const another = new Request(endpoint)
  t.equal(world.dialer.dials.length, 5, 'the dial left over by the cancelled one serves')
  for (let i = 0; i < 5; i++) world.dialer.connectNext()
  t.ok(another.codec)
  t.equal(requests[4]!.codec, undefined)
})

t.test('a failed dial fails the oldest waiting request, retryable, with its reason', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const [a, b] = [new Request(endpoint), new Request(endpoint)]
  world.dialer.open[1]!.fail()
  t.equal(a.error!.code, ErrorCode.ConnectFailure)
  t.equal(a.error!.retryable, true)
  t.match(a.error!.message, /10\.0\.0\.7:8080.*ECONNREFUSED/)
  t.ok(b.waits)
  world.dialer.connectNext()
  t.ok(b.codec)
  t.equal(world.value('upstreamConnectFailures', [...cluster80, 'failure']), 1)
})

t.test('all who waited for the only dial fail with it, later ones get their own', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint({ maxConnections: 1 })
  const first = new Request(endpoint)
  const queued = [new Request(endpoint), new Request(endpoint)]
  world.dialer.open[0]!.fail(ErrorCode.ConnectTimeout)
  t.equal(first.error!.code, ErrorCode.ConnectTimeout)
  t.ok(queued.every((request) => request.waits))
  t.equal(world.dialer.open.length, 1)
  world.dialer.open[0]!.fail()
  t.ok(queued.every((request) => request.error !== undefined))
  t.equal(world.dialer.open.length, 0)
  t.same(cluster.held, { connections: 0, dials: 0, waiters: 0 })
  t.equal(cluster.limits.pending.used, 0)
  t.equal(cluster.limits.connections.used, 0)
  t.equal(cluster.limits.requests.used, 0)
})

t.test(
  'a dial that fails while a request retries from its failure keeps the counts true',
  async (t) => {
    const world = new World()
    const { endpoint, cluster } = world.endpoint({ maxConnections: 1, maxPendingRequests: 1 })
    let again: Request | undefined
    const waiter = new Request(endpoint)
    waiter.onNoStream = () => {
      again = new Request(endpoint)
    }
    world.dialer.open[0]!.fail()
    t.ok(again!.waits)
    t.equal(world.dialer.open.length, 1)
    world.dialer.connectNext()
    t.ok(again!.codec)
    t.equal(cluster.limits.pending.used, 0)
  },
)

t.test('maxConnections 2 and maxPendingRequests 2 let 4 of 8 pass', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint({ maxConnections: 2, maxPendingRequests: 2 })
  const requests = Array.from({ length: 8 }, () => new Request(endpoint))
  const refused = requests.filter((request) => request.error !== undefined)
  t.equal(refused.length, 4)
  t.equal(refused[0]!.error!.code, ErrorCode.Overflow)
  t.match(
    refused[0]!.error!.message,
    'http1MaxPendingRequests is 2 and 2 are in use; maxConnections is 2 and 2 are in use',
  )
  t.equal(world.value('upstreamOverflow', [...cluster80, 'http1MaxPendingRequests']), 4)
  world.dialer.connectNext()
  world.dialer.connectNext()
  requests[0]!.codec!.finish()
  requests[1]!.codec!.finish()
  await rest()
  t.ok(requests[2]!.codec)
  t.ok(requests[3]!.codec)
})

t.test('maxRequests bounds requests that wait or run', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint({ maxRequests: 2 })
  const [a, b, c] = [new Request(endpoint), new Request(endpoint), new Request(endpoint)]
  t.match(c.error!.message, 'http2MaxRequests is 2 and 2 are in use')
  world.dialer.connectNext()
  a.codec!.finish()
  b.ticket!.cancel()
  t.equal(cluster.limits.requests.used, 0)
  t.ok(new Request(endpoint).codec)
})

t.test('a cancelled request is told nothing and leaves no trace', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint({ maxConnections: 1 })
  const first = new Request(endpoint)
  const second = new Request(endpoint)
  t.equal(cluster.limits.pending.used, 1)
  first.ticket!.cancel()
  second.ticket!.cancel()
  first.ticket!.cancel()
  t.equal(cluster.limits.pending.used, 0)
  t.equal(endpoint.active, 0)
  world.dialer.connectNext()
  t.equal(first.codec, undefined)
  t.same(cluster.held, { connections: 1, dials: 0, waiters: 0 })
})

t.test('a codec that its request did not open goes back to the pool', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint()
  const declining = new Request(endpoint, false)
  world.dialer.connectNext()
  t.ok(declining.codec)
  t.equal(endpoint.active, 0)
  const next = new Request(endpoint)
  t.equal(next.codec, declining.codec)
  t.equal(next.reused, false)
})

t.test('maxRequestsPerConnection drains the connection with its last request', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint({ maxRequestsPerConnection: 2 })
  const first = new Request(endpoint)
  world.dialer.connectNext()
  t.equal(first.codec!.drained, false)
  first.codec!.finish()
  const second = new Request(endpoint)
  t.equal(second.codec!.drained, true)
  second.codec!.finish()
  t.equal(endpoint.counts.connections, 0)
  t.equal(world.value('upstreamClosed', [...cluster80, 'max_requests']), 1)
  t.ok(new Request(endpoint).waits)
})

t.test('maxConnectionDuration closes an idle connection and drains a busy one', async (t) => {
  const world = new World()
  const { endpoint } = world.endpoint({ maxConnectionDurationMs: 1_000 })
  const [a, b] = [new Request(endpoint), new Request(endpoint)]
  world.dialer.connectNext()
  world.dialer.connectNext()
  a.codec!.finish()
  world.pass(1_020)
  t.ok(a.codec!.destroyed)
  t.equal(b.codec!.destroyed, undefined)
  t.ok(b.codec!.drained)
  b.codec!.finish()
  t.equal(endpoint.counts.connections, 0)
  t.equal(world.value('upstreamClosed', [...cluster80, 'max_duration']), 2)
})

t.test('closing the pool refuses the waiting and ends the rest', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint({ maxConnections: 2 })
  const running = new Request(endpoint)
  world.dialer.connectNext()
  const dialing = new Request(endpoint)
  const queued = new Request(endpoint)
  cluster.close()
  t.ok(running.codec!.destroyed)
  t.equal(dialing.error!.code, ErrorCode.Draining)
  t.equal(queued.error!.code, ErrorCode.Draining)
  t.equal(world.dialer.dials[1]!.state, 'cancelled')
  t.same(cluster.held, { connections: 0, dials: 0, waiters: 0 })
  t.equal(endpoint.active, 0)
})

t.test('active, pending and connection gauges return to zero', async (t) => {
  const world = new World()
  const { endpoint, cluster } = world.endpoint({ maxConnections: 2 })
  const requests = Array.from({ length: 4 }, () => new Request(endpoint))
  t.equal(world.value('upstreamPending', cluster80), 4)
  t.equal(world.value('upstreamRequestsActive', cluster80), 4)
  t.equal(world.value('upstreamActive', cluster80), 2)
  world.dialer.connectNext()
  world.dialer.connectNext()
  requests[0]!.codec!.finish()
  requests[1]!.codec!.breakOff()
  await rest()
  world.dialer.connectNext()
  requests[2]!.codec!.finish()
  requests[3]!.codec!.finish()
  cluster.close()
  for (const metric of ['upstreamPending', 'upstreamRequestsActive', 'upstreamActive'] as const)
    t.equal(world.value(metric, cluster80), 0, metric)
  t.equal(world.value('upstreamConnections', cluster80), 3)
  t.equal(world.value('upstreamRequests', cluster80), 4)
  t.equal(world.wheel.size, 0, 'no timer is left')
})
