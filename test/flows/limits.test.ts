/** Each limit of a connectionPool: who is refused, and what the refusal says. */
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { test } from 'tap'
import { freePort } from '../../proxy/control/port-check.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, type Reply, Upstream } from '../support/upstream.ts'

const web = { headers: { host: 'web' } }

const rule = (connectionPool: string): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: limits, namespace: default }
spec:
  host: web
  trafficPolicy:
    connectionPool: ${connectionPool}
`

/** An upstream that answers when it is told to. */
async function holdingUpstream() {
  const held: Array<() => void> = []
  let arrived: () => void = () => undefined
  const upstream = await Upstream.start((_, reply) => {
    held.push(() => reply.end('ok'))
    arrived()
  })
  const holds = async (count: number): Promise<void> => {
    while (held.length < count)
      await new Promise<void>((done) => {
        arrived = done
      })
  }
  const release = (): void => {
    for (const finish of held.splice(0)) finish()
  }
  return { upstream, holds, release, [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose]() }
}

const table: ReadonlyArray<
  readonly [pool: string, passing: number, holding: number, told: RegExp, limit: string]
> = [
  [
    '{ http: { http2MaxRequests: 2 } }',
    2,
    2,
    /http2MaxRequests is 2 and 2 are in use/,
    'http2MaxRequests',
  ],
  [
    '{ tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } }',
    2,
    1,
    /http1MaxPendingRequests is 1 and 1 are in use; maxConnections is 1 and 1 are in use/,
    'http1MaxPendingRequests',
  ],
  [
    '{ tcp: { maxConnections: 2 }, http: { http1MaxPendingRequests: 2 } }',
    4,
    2,
    /http1MaxPendingRequests is 2 and 2 are in use; maxConnections is 2 and 2 are in use/,
    'http1MaxPendingRequests',
  ],
]

for (const [pool, passing, holding, told, limit] of table)
  test(`${pool}: ${passing} pass, one more is refused`, async (t) => {
    await using held = await holdingUpstream()
    const yaml = serviceYaml('web', [held.upstream.port]) + rule(pool)
    await using sidecar = await Sidecar.start({ yaml })
    const line = 1 + yaml.split('\n').findIndex((text) => text.includes('connectionPool:'))
    const replies: Array<Promise<Reply>> = []
    const waiting = () => sidecar.runtime.clusters.held()
    for (let i = 0; i < passing; i++) {
      replies.push(ask(sidecar.port, web))
      await held.holds(Math.min(i + 1, holding))
      while (waiting().waiters < i + 1 - holding) await new Promise((done) => setImmediate(done))
    }
    const refused = await ask(sidecar.port, web)
    t.match(refused, { status: 503, headers: { 'x-envoy-overloaded': 'true' } })
    t.match(
      refused.body,
      /^upstream connect error or disconnect\/reset before headers. reset reason: overflow/,
    )
    t.match(refused.body, told)
    t.ok(refused.body.includes(`test.yaml:${line}`), refused.body)
    t.match(refused.body, /Decided by DestinationRule default\/limits/)
    const record = sidecar.exchanges.at(-1)!
    t.equal(record.flags, Flag.UO)
    t.equal(record.origin?.line, line)
    t.equal(
      sidecar.value('upstreamOverflow', ['outbound|80||web.default.svc.cluster.local', limit]),
      1,
    )
    for (const reply of await drained(held, Promise.all(replies))) t.equal(reply.status, 200)
  })

/** Answers whatever still arrives until all is done. */
async function drained(
  held: { holds(count: number): Promise<void>; release(): void },
  all: Promise<Reply[]>,
): Promise<Reply[]> {
  let over = false
  void all.then(() => {
    over = true
  })
  while (!over) {
    await Promise.race([all, held.holds(1)])
    held.release()
  }
  return all
}

test('TCP over maxConnections is closed, with the rule in the log', async (t) => {
  await using upstream = await Upstream.start(() => undefined)
  const bound = await freePort('127.0.0.1')
  const yaml =
    serviceYaml('web', [upstream.port], 'tcp-web', 9000) + rule('{ tcp: { maxConnections: 1 } }')
  await using sidecar = await Sidecar.start({
    yaml,
    binds: [{ service: 'web', port: 9000, listen: { address: '127.0.0.1', port: bound } }],
  })
  const accepted = new Promise<void>((done) => upstream.server.once('connection', () => done()))
  const first = connect(bound, '127.0.0.1').on('error', () => undefined)
  await accepted
  const second = connect(bound, '127.0.0.1').on('error', () => undefined)
  await new Promise((done) => second.on('close', done))
  await sidecar.recorded(0, 1)
  const [record] = sidecar.connections
  t.equal(record?.flags, Flag.UO)
  t.match(record?.upstreamFailure, /maxConnections is 1 and 1 are in use/)
  t.match(record?.origin, { kind: 'DestinationRule', name: 'limits' })
  first.destroy()
})

test('maxRequestsPerConnection: each connection carries so many', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  let connections = 0
  upstream.server.on('connection', () => connections++)
  const yaml =
    serviceYaml('web', [upstream.port]) + rule('{ http: { maxRequestsPerConnection: 3 } }')
  await using sidecar = await Sidecar.start({ yaml })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let i = 0; i < 9; i++) t.equal((await ask(sidecar.port, { ...web, agent })).status, 200)
  t.equal(connections, 3)
  agent.destroy()
})

test('idle and old connections are closed', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const ends: Array<Promise<unknown>> = []
  upstream.server.on('connection', (socket) =>
    ends.push(new Promise((done) => socket.on('end', done))),
  )
  for (const pool of [
    '{ http: { idleTimeout: 30ms } }',
    '{ tcp: { maxConnectionDuration: 30ms } }',
  ]) {
    const yaml = serviceYaml('web', [upstream.port]) + rule(pool)
    await using sidecar = await Sidecar.start({ yaml })
    t.equal((await ask(sidecar.port, web)).status, 200)
    await Promise.all(ends)
    while (sidecar.runtime.clusters.held().connections > 0)
      await new Promise((done) => setImmediate(done))
    t.equal((await ask(sidecar.port, web)).status, 200)
  }
})
