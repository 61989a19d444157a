/** Endpoints that fail are left out, over real sockets, for HTTP and TCP, and people are told why. */
import { connect } from 'node:net'
import { test } from 'tap'
import { freePort } from '../../proxy/control/port-check.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const web = { headers: { host: 'web' } }

const rule = (outlierDetection: string, annotations = ''): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: default, annotations: { ${annotations} } }
spec:
  host: web
  trafficPolicy:
    outlierDetection: ${outlierDetection}
`
const noRetries = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: default }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }]
`

/** Upstreams by what they answer: a status, or a port at which nobody listens. */
async function startUpstreams(statuses: readonly number[]) {
  const upstreams = await Promise.all(
    statuses.map((status) =>
      Upstream.start((_, reply) => {
        reply.statusCode = status
        reply.end(String(status))
      }),
    ),
  )
  return {
    upstreams,
    ports: upstreams.map(({ port }) => port),
    async [Symbol.asyncDispose]() {
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
    },
  }
}

test('one of ten endpoints that answers 503 is out after five replies', async (t) => {
  await using mesh = await startUpstreams([503, ...Array.from({ length: 9 }, () => 200)])
  const yaml = serviceYaml('web', mesh.ports) + rule('{ interval: 1s }') + noRetries
  await using sidecar = await Sidecar.start({ yaml })
  const statuses = { 200: 0, 503: 0 }
  for (let i = 0; i < 1_000; i++) {
    const { status } = await ask(sidecar.port, web)
    statuses[status as 200 | 503]++
  }
  t.same(statuses, { 200: 995, 503: 5 }, 'under 1 % of all requests')
  const [entry] = sidecar.sharing.outliers.journal.entries
  t.match(entry, { action: 'ejected', endpoint: `127.0.0.1:${mesh.ports[0]}` })
  t.match(
    entry!.text,
    /for 30 s: 5 errors in a row \(503, 503, 503, 503, 503\); left: 127\.0\.0\.1:\d+, /,
  )
  t.match(entry!.rule, /^DestinationRule default\/web \(test\.yaml:\d+\)$/)
  t.equal(sidecar.value('outlierActive', ['outbound|80||web.default.svc.cluster.local']), 1)
})

test('three endpoints: by default none is ejected, and the log says why; an annotation allows one', async (t) => {
  await using mesh = await startUpstreams([500, 200, 200])
  const yaml = serviceYaml('web', mesh.ports) + noRetries
  await using sidecar = await Sidecar.start({ yaml: yaml + rule('{ interval: 1s }') })
  for (let i = 0; i < 60; i++) await ask(sidecar.port, web)
  t.equal(sidecar.sharing.outliers.status().length, 0)
  t.equal(sidecar.log.count('maxEjectionPercent 10 allows 0 of 3 endpoints'), 1)
  sidecar.reload(yaml + rule('{ interval: 1s }', '"outrider.dev/always-eject-one": "true"'))
  for (let i = 0; i < 60; i++) await ask(sidecar.port, web)
  t.equal(sidecar.sharing.outliers.status().length, 1)
  for (let i = 0; i < 20; i++) t.equal((await ask(sidecar.port, web)).status, 200)
})

test('all ejected: 503 UH names each with what was counted', async (t) => {
  await using mesh = await startUpstreams([500, 502])
  const settings = '{ consecutive5xxErrors: 2, maxEjectionPercent: 100 }'
  await using sidecar = await Sidecar.start({
    yaml: serviceYaml('web', mesh.ports) + noRetries + rule(settings),
  })
  let reply = await ask(sidecar.port, web)
  while (!reply.body.startsWith('no healthy upstream')) reply = await ask(sidecar.port, web)
  t.equal(reply.status, 503)
  t.match(reply.body, /outlier detection keeps 2 of 2 out of service/)
  t.match(reply.body, /for 2 errors in a row \(500, 500\); ejected until 20/)
  t.match(reply.body, /2 errors in a row \(502, 502\)/)
  t.match(reply.body, /DestinationRule default\/web \(test\.yaml:\d+\)/)
  t.equal(sidecar.exchanges.at(-1)!.flags, Flag.UH)
})

test('minHealthPercent: with half of them ejected all are used again', async (t) => {
  await using mesh = await startUpstreams([500, 500, 200, 200])
  const yaml = (least: number) =>
    serviceYaml('web', mesh.ports) +
    noRetries +
    rule(`{ consecutive5xxErrors: 1, maxEjectionPercent: 50, minHealthPercent: ${least} }`)
  for (const [least, allUsed] of [
    [60, true],
    [50, false],
  ] as const) {
    await using sidecar = await Sidecar.start({ yaml: yaml(least) })
    while (sidecar.sharing.outliers.status().length < 2) await ask(sidecar.port, web)
    const statuses = new Set<number>()
    for (let i = 0; i < 40; i++) statuses.add((await ask(sidecar.port, web)).status)
    t.equal(statuses.has(500), allUsed, `at least ${least} %`)
  }
})

test('refused connections, resets and timeouts count as errors', async (t) => {
  let open = 0
  await using silent = await Upstream.start(() => {
    open++
  })
  await using resetting = await Upstream.start((incoming) => {
    incoming.socket.resetAndDestroy()
  })
  const gone = await Upstream.start(() => undefined)
  const { port: refused } = gone
  await gone[Symbol.asyncDispose]()
  await using good = await Upstream.start((_, reply) => reply.end('ok'))
  const ports = [silent.port, resetting.port, refused, good.port]
  const timeout = noRetries.replace('retries:', 'timeout: 0.4s, retries:')
  const settings =
    '{ consecutiveGatewayErrors: 3, consecutive5xxErrors: 0, maxEjectionPercent: 80 }'
  await using sidecar = await Sidecar.start({
    yaml: serviceYaml('web', ports) + timeout + rule(settings),
  })
  const { outliers } = sidecar.sharing
  while (outliers.status().length < 3) await ask(sidecar.port, web)
  const told = outliers.journal.entries.map(({ text }) => text)
  t.match(
    told.find((text) => text.startsWith(`127.0.0.1:${silent.port} `)),
    /timeout, timeout, timeout/,
  )
  t.match(
    told.find((text) => text.startsWith(`127.0.0.1:${resetting.port} `)),
    /reset, reset, reset/,
  )
  t.match(
    told.find((text) => text.startsWith(`127.0.0.1:${refused} `)),
    /not connected, not connected/,
  )
  t.equal(open, 3)
  for (let i = 0; i < 10; i++) t.equal((await ask(sidecar.port, web)).status, 200)
})

test('a kept connection that breaks when it is used again counts for nothing', async (t) => {
  const used = new Set<unknown>()
  await using upstream = await Upstream.start((incoming, reply) => {
    if (used.has(incoming.socket)) incoming.socket.destroy()
    else reply.end('ok')
    used.add(incoming.socket)
  })
  const settings = '{ consecutive5xxErrors: 1, maxEjectionPercent: 100 }'
  await using sidecar = await Sidecar.start({
    yaml: serviceYaml('web', [upstream.port]) + rule(settings) + noRetries,
  })
  for (let i = 0; i < 6; i++) t.equal((await ask(sidecar.port, web)).status, 200)
  t.same(sidecar.sharing.outliers.journal.entries, [])
  t.ok(sidecar.value('upstreamReuseRaces', ['outbound|80||web.default.svc.cluster.local']) > 0)
})

test('a timeout in line for a connection is not the fault of the endpoint', async (t) => {
  let arrived: (finish: () => void) => void = () => undefined
  const held = new Promise<() => void>((done) => {
    arrived = done
  })
  await using upstream = await Upstream.start((_, reply) => arrived(() => reply.end('ok')))
  const yaml = `${serviceYaml('web', [upstream.port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: default }
spec:
  hosts: [web]
  http:
  - { match: [{ uri: { exact: /hold } }], route: [{ destination: { host: web } }] }
  - { route: [{ destination: { host: web } }], timeout: 0.05s, retries: { attempts: 0 } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: default }
spec:
  host: web
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 1 } }
    outlierDetection: { consecutive5xxErrors: 1, maxEjectionPercent: 100 }
`
  await using sidecar = await Sidecar.start({ yaml })
  const holding = ask(sidecar.port, { ...web, path: '/hold' })
  const finish = await held
  for (const { status } of await Promise.all([1, 2, 3].map(() => ask(sidecar.port, web))))
    t.equal(status, 504)
  finish()
  t.equal((await holding).status, 200)
  t.same(sidecar.sharing.outliers.journal.entries, [])
})

test('TCP: an endpoint that refuses connections is left out', async (t) => {
  const gone = await Upstream.start(() => undefined)
  const { port: refused } = gone
  await gone[Symbol.asyncDispose]()
  await using good = await Upstream.start(() => undefined)
  good.server.removeAllListeners('connection')
  good.server.on('connection', (socket) => socket.on('error', () => undefined).end('hello'))
  const settings = '{ consecutive5xxErrors: 2, maxEjectionPercent: 50 }'
  const bound = await freePort('127.0.0.1')
  await using sidecar = await Sidecar.start({
    yaml: serviceYaml('web', [refused, good.port], 'tcp-web', 9000) + rule(settings),
    binds: [{ service: 'web', port: 9000, listen: { address: '127.0.0.1', port: bound } }],
  })
  const talk = () =>
    new Promise<string>((done) => {
      const socket = connect(bound, '127.0.0.1')
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes
      })
      socket.on('error', () => undefined)
      socket.on('close', () => done(text))
    })
  const { outliers } = sidecar.sharing
  let failed = 0
  while (outliers.status().length === 0) if ((await talk()) === '') failed++
  t.equal(failed, 2)
  for (let i = 0; i < 6; i++) t.equal(await talk(), 'hello')
})

test('a changed rule begins afresh, an unchanged one goes on; endpoints that come back are clean', async (t) => {
  await using mesh = await startUpstreams([503, 200])
  const [bad, good] = mesh.ports
  const yaml = (ports: readonly number[], settings: string) =>
    serviceYaml('web', ports) + noRetries + rule(settings)
  const settings = '{ consecutive5xxErrors: 1, maxEjectionPercent: 50 }'
  await using sidecar = await Sidecar.start({ yaml: yaml([bad!, good!], settings) })
  const { outliers } = sidecar.sharing
  while (outliers.status().length === 0) await ask(sidecar.port, web)
  sidecar.reload(`# moved by a line\n${yaml([bad!, good!], settings)}`)
  for (let i = 0; i < 10; i++) t.equal((await ask(sidecar.port, web)).status, 200)
  sidecar.reload(yaml([good!], settings))
  t.equal(outliers.status().length, 0, 'it left')
  t.equal((await ask(sidecar.port, web)).status, 200)
  sidecar.reload(yaml([bad!, good!], settings))
  const statuses = new Set<number>()
  while (!statuses.has(503)) statuses.add((await ask(sidecar.port, web)).status)
  t.equal(outliers.status().length, 1, 'counted and ejected again')
  sidecar.reload(yaml([bad!, good!], settings.replace('1', '50')))
  t.equal(outliers.status().length, 0, 'another rule')
})
