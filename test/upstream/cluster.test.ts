import t from 'tap'
import { ErrorCode } from '../../proxy/base/errors.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import type { ClusterStatus } from '../../proxy/worker/messages.ts'
import {
  endpointSpec,
  FakeConnection,
  firstTry,
  pickOne,
  poolSettings,
  Request,
  World,
} from './fakes.ts'

const three = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => endpointSpec(address))

t.test('an update keeps unchanged endpoints with their connections', async (t) => {
  const world = new World()
  const cluster = world.cluster({}, three)
  const kept = [...cluster.endpoints][1]!
  const request = new Request(kept)
  world.dialer.connectNext()
  request.codec!.finish()
  cluster.update([endpointSpec('10.0.0.9'), endpointSpec('10.0.0.2', { weight: 4 })])
  t.same(
    [...cluster.endpoints].map((endpoint) => endpoint.text),
    ['10.0.0.9:8080', '10.0.0.2:8080'],
  )
  t.equal([...cluster.endpoints][1], kept)
  t.equal(kept.weight, 4)
  t.equal(new Request(kept).codec, request.codec)
})

t.test(
  'a removed endpoint closes its idle connections and finishes the running ones',
  async (t) => {
    const world = new World()
    const cluster = world.cluster({}, three)
    const gone = [...cluster.endpoints][0]!
    const [idle, running] = [new Request(gone), new Request(gone)]
    world.dialer.connectNext()
    world.dialer.connectNext()
    idle.codec!.finish()
    const waiting = new Request(gone)
    waiting.codec!.finish()
    cluster.update(three.slice(1))
    t.ok(idle.codec!.destroyed)
    t.notOk(running.codec!.destroyed)
    t.equal(cluster.held.connections, 1)
    for (let i = 0; i < 20; i++) t.not(pickOne(cluster), gone)
    running.codec!.finish()
    t.ok(running.codec!.destroyed)
    t.same(cluster.held, { connections: 0, dials: 0, waiters: 0 })
  },
)

t.test('requests that wait at a removed endpoint are still served', async (t) => {
  const world = new World()
  const cluster = world.cluster({}, three)
  const waiting = new Request([...cluster.endpoints][0]!)
  cluster.update([])
  world.dialer.connectNext()
  t.ok(waiting.codec)
  waiting.codec!.finish()
  t.equal(cluster.held.connections, 0)
})

t.test('an endpoint that comes back while it finishes is the same one', async (t) => {
  const world = new World()
  const cluster = world.cluster({}, three)
  const first = [...cluster.endpoints][0]!
  const running = new Request(first)
  world.dialer.connectNext()
  cluster.update(three.slice(1))
  cluster.update(three)
  t.equal([...cluster.endpoints][0], first)
  running.codec!.finish()
  t.notOk(running.codec!.destroyed)
  t.equal(first.pool.idleConnections, 1)
})

t.test('a subset has only the endpoints with all of its labels', async (t) => {
  const world = new World()
  const cluster = world.cluster({ subsetLabels: { version: 'v2', env: 'prod' } }, [
    endpointSpec('10.0.0.1', { labels: { version: 'v1', env: 'prod' } }),
    endpointSpec('10.0.0.2', { labels: { version: 'v2', env: 'prod', app: 'web' } }),
    endpointSpec('10.0.0.3', { labels: { version: 'v2' } }),
  ])
  for (let i = 0; i < 10; i++) t.equal(pickOne(cluster).text, '10.0.0.2:8080')
})

t.test('endpoints that are not ready are not picked', async (t) => {
  const world = new World()
  const cluster = world.cluster({}, [three[0]!, endpointSpec('10.0.0.2', { healthy: false })])
  for (let i = 0; i < 10; i++) t.equal(pickOne(cluster).text, '10.0.0.1:8080')
  t.equal([...cluster.endpoints].length, 2)
})

function refusal(cluster: ReturnType<World['cluster']>): string {
  const pick = cluster.pick(firstTry)
  if (pick.kind !== 'refuse') return 'picked'
  return `${pick.error.code}: ${pick.error.message}`
}

t.test('a refusal says why no endpoint can be used', async (t) => {
  const world = new World()
  const name =
    'no_healthy_upstream: outbound|80||web.default.svc.cluster.local has no endpoint that can be used: '
  t.equal(refusal(world.cluster({}, [])), `${name}its service has none`)
  t.equal(
    refusal(world.cluster({ subsetLabels: { version: 'v9' } }, three)),
    `${name}none of the 3 of its service carries version=v9`,
  )
  const notReady = three.map((spec) => ({ ...spec, healthy: false }))
  t.equal(refusal(world.cluster({}, notReady)), `${name}3 of 3 not ready`)
  t.equal(
    refusal(world.cluster({ discovery: 'strict-dns' }, [endpointSpec('db.example')])),
    `${name}no address known yet for db.example`,
  )
  t.equal(world.value('upstreamUnpicked', ['outbound|80||web.default.svc.cluster.local']), 4)
})

t.test('a retry gets an untried endpoint as long as there is one', async (t) => {
  for (const kind of ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM'] as const) {
    const world = new World()
    const specs = Array.from({ length: 20 }, (_, i) => endpointSpec(`10.0.1.${i}`))
    const cluster = world.cluster({ loadBalancer: { kind } }, specs)
    const all = [...cluster.endpoints]
    for (let i = 0; i < all.length; i++) {
      const tried = all.filter((_, at) => at !== i)
      t.equal(pickOne(cluster, { ...firstTry, tried }), all[i], `${kind} ${i}`)
    }
    t.ok(all.includes(pickOne(cluster, { ...firstTry, tried: all })), 'else any')
  }
})

t.test('a logical DNS name uses its first answer only', async (t) => {
  const world = new World()
  const cluster = world.cluster({ discovery: 'logical-dns' }, three)
  for (let i = 0; i < 6; i++) t.equal(pickOne(cluster).text, '10.0.0.1:8080')
  cluster.update([three[2]!, three[0]!])
  for (let i = 0; i < 6; i++) t.equal(pickOne(cluster).text, '10.0.0.3:8080')
})

t.test('a unix socket is an endpoint', async (t) => {
  const world = new World()
  const cluster = world.cluster({}, [endpointSpec('unix:///run/app.sock', { port: 0 })])
  new Request(pickOne(cluster))
  t.same(world.dialer.open[0]!.target.address, { address: '/run/app.sock', port: 0 })
  t.equal(pickOne(cluster).text, '/run/app.sock')
})

t.test('deliveries are dialed from their own source address', async (t) => {
  const world = new World({
    sourceFor: (cluster, address) =>
      cluster.name.startsWith('inbound|') && !address.includes(':') ? '127.0.0.6' : undefined,
  })
  const inbound = world.cluster({ name: 'inbound|80||' })
  new Request(pickOne(inbound))
  new Request(pickOne(world.cluster()))
  t.same(
    world.dialer.dials.map((dial) => dial.target.sourceAddress),
    ['127.0.0.6', undefined],
  )
})

t.test('the status of a cluster is what /clusters shows', async (t) => {
  const world = new World()
  const cluster = world.cluster(
    {
      policyOrigin: {
        kind: 'DestinationRule',
        namespace: 'default',
        name: 'web',
        file: 'dr.yaml',
        line: 9,
      },
    },
    [endpointSpec('10.0.0.1', { weight: 2 }), endpointSpec('fd00::1', { healthy: false })],
  )
  const [first] = [...cluster.endpoints]
  const [a, b] = [new Request(first!), new Request(first!)]
  world.dialer.connectNext()
  world.dialer.open[0]!.fail()
  a.codec!.finish()
  t.ok(b.error)
  const status: ClusterStatus = cluster.status()
  t.same(status, {
    name: 'outbound|80||web.default.svc.cluster.local',
    origin: 'Service default/web (web.yaml:3)',
    policyOrigin: 'DestinationRule default/web (dr.yaml:9)',
    loadBalancer: 'ROUND_ROBIN',
    endpoints: [
      {
        address: '10.0.0.1:8080',
        healthy: true,
        ejected: '',
        weight: 2,
        locality: '',
        priority: 0,
        activeRequests: 0,
        connections: 1,
        idleConnections: 1,
        requests: 1,
        failures: 1,
      },
      {
        address: '[fd00::1]:8080',
        healthy: false,
        ejected: '',
        weight: 1,
        locality: '',
        priority: 0,
        activeRequests: 0,
        connections: 0,
        idleConnections: 0,
        requests: 0,
        failures: 0,
      },
    ],
  })
})

t.test('metrics of an endpoint name its workload, and follow its labels', async (t) => {
  const world = new World()
  const v1 = endpointSpec('10.0.0.1', { workload: 'web-v1', labels: { app: 'web', version: 'v1' } })
  const cluster = world.cluster({}, [v1, { ...v1, address: '10.0.0.2' }])
  const [a, b] = [...cluster.endpoints]
  t.equal(a!.metrics, b!.metrics, 'the same parties, the same handles')
  t.not(a!.metrics, cluster.metrics)
  const before = a!.metrics
  cluster.update([{ ...v1, workload: 'web-v2', labels: { app: 'web', version: 'v2' } }])
  t.not(a!.metrics, before)
})

t.test('a TCP connection is dialed, counted and given back', async (t) => {
  const world = new World()
  const cluster = world.cluster({
    connectionPool: poolSettings({ keepalive: { probes: 3, timeMs: 1_000, intervalMs: 2_000 } }),
  })
  const endpoint = pickOne(cluster)
  const got: Connection[] = []
  const errors: string[] = []
  const waiter = {
    onConnected: (connection: Connection) => got.push(connection),
    onNoConnection: (error: { code: string }) => errors.push(error.code),
  }
  const lease = endpoint.dialTcp(waiter)!
  t.same(world.dialer.open[0]!.target.keepalive, { probes: 3, timeMs: 1_000, intervalMs: 2_000 })
  t.equal(endpoint.active, 1, 'least request sees it')
  world.dialer.connectNext()
  t.ok(got[0] instanceof FakeConnection)
  t.equal(cluster.held.connections, 1)
  lease.release()
  t.equal(cluster.held.connections, 0)
  t.equal(endpoint.active, 0)
  endpoint.dialTcp(waiter)
  world.dialer.open[0]!.fail(ErrorCode.ConnectTimeout)
  t.same(errors, [ErrorCode.ConnectTimeout])
  t.equal(endpoint.active, 0)
  endpoint.dialTcp(waiter)!.cancel()
  t.equal(world.dialer.dials[2]!.state, 'cancelled')
  t.equal(cluster.held.connections, 0)
  t.equal(endpoint.counts.failures, 1)
})

t.test('a removed endpoint is let go only when its TCP connections are gone', async (t) => {
  const world = new World()
  const cluster = world.cluster()
  const endpoint = pickOne(cluster)
  const lease = endpoint.dialTcp({ onConnected() {}, onNoConnection() {} })!
  world.dialer.connectNext()
  cluster.update([])
  t.equal(cluster.held.connections, 1)
  cluster.update([endpointSpec('10.0.0.7')])
  t.equal(pickOne(cluster), endpoint)
  cluster.drain()
  lease.release()
  cluster.update([endpointSpec('10.0.0.7')])
  t.not(pickOne(cluster), endpoint)
})
