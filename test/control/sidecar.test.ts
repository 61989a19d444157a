import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { clusterSpec } from '../upstream/fakes.ts'
import { startSidecar } from './sidecar-support.ts'
import { endpoint, say, snapshotOf } from './support.ts'

t.test('it becomes ready once every worker runs the configuration', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  t.match(await proxy.get('/healthz/ready', {}, proxy.ports.health), {
    status: 200,
    body: 'ready\n',
  })
  t.match(await proxy.get('/other', {}, proxy.ports.health), { status: 404 })
  t.match(await proxy.get('/stats/prometheus', {}, proxy.ports.metrics), { status: 200 })
  t.match(await proxy.get('/healthz/ready', {}, proxy.ports.metrics), { status: 404 })
})

t.test('a reload changes what the workers run without ever being unready', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  proxy.files.snapshot = snapshotOf('v2')
  await proxy.touch()
  t.equal(proxy.sidecar.readiness.reason, '')
  for (let reply = { status: 0 }; reply.status !== 200; )
    reply = await proxy.get('/ready?version=v2')
  t.match(await say(proxy.ports.outbound, 'hello'), /^\d v2/)
  t.equal(proxy.log.count('version v2 (generation 2) is in force'), 1)
})

t.test('a configuration that cannot be read fails the start in words', async (t) => {
  const read = (): never => {
    throw new RangeError('/etc/outrider does not exist')
  }
  await t.rejects(startSidecar({ read }), {
    name: 'StartFailure',
    message: 'the configuration cannot be read: /etc/outrider does not exist',
  })
})

t.test('a page port that is taken fails the start and names port and option', async (t) => {
  await using proxy = await startSidecar()
  const place = { address: '127.0.0.1', port: proxy.ports.admin ?? 0 }
  await t.rejects(startSidecar({ admin: place }), {
    message: new RegExp(`the admin port ${place.port} .*--admin-port`),
  })
})

t.test('workers get answers of name servers in place of names, also after a reload', async (t) => {
  const naming = (version: string, name: string): ReturnType<typeof snapshotOf> => {
    const cluster = clusterSpec({ name: 'web', discovery: 'strict-dns', hash: 'one' })
    const clusters = new Map([['web', cluster]])
    return { ...snapshotOf(version, { web: [endpoint(name)] }), clusters }
  }
  const lookup = {
    resolve: async (name: string) => {
      const addresses = [name === 'a.example' ? '10.0.0.1' : '10.0.0.2']
      return { kind: 'found', addresses, ttlMs: 60_000 } as const
    },
  }
  await using proxy = await startSidecar({ lookup }, '', naming('v1', 'a.example'))
  await proxy.sidecar.readiness.whenReady()
  t.match(await say(proxy.ports.outbound, 'hello'), /v1 web=10\.0\.0\.1$/)
  proxy.files.snapshot = naming('v2', 'b.example')
  await proxy.touch()
  for (let reply = { status: 0 }; reply.status !== 200; )
    reply = await proxy.get('/ready?version=v2')
  t.match(await say(proxy.ports.outbound, 'hello'), /v2 web=10\.0\.0\.2$/)
  t.match((await proxy.get('/dns')).body, /^b\.example 10\.0\.0\.2 \(answered/)
})

t.test(
  'draining turns readiness off, waits for open work, tells the ledger and exits 0',
  async (t) => {
    await using proxy = await startSidecar({ graceMs: 60_000 })
    await proxy.sidecar.readiness.whenReady()
    const socket = connect({ port: proxy.ports.outbound, host: '127.0.0.1' })
    socket.write('hello')
    await once(socket, 'data')
    t.match(await proxy.get('/drain', { method: 'POST' }), { status: 200, body: 'draining\n' })
    const health = await proxy.get('/healthz/ready', {}, proxy.ports.health)
    t.match(health, { status: 503, body: 'not ready: draining\n' })
    t.match(await proxy.get('/ready'), { status: 503, body: /^DRAINING\n/ })
    t.same(proxy.exits, [])
    const ended = proxy.sidecar.shutdown.ended
    socket.end()
    await ended
    t.same(proxy.exits, [0])
    t.equal(proxy.log.count('2 finished, 0 cut off'), 1)
  },
)

t.test('asked to end a second time it exits at once with code 1', async (t) => {
  await using proxy = await startSidecar({ settleMs: 60_000 })
  void proxy.sidecar.shutdown.begin('SIGTERM')
  await proxy.sidecar.shutdown.begin('SIGINT')
  t.same(proxy.exits, [1])
  t.equal(proxy.log.count('SIGINT again: exiting now'), 1)
})
