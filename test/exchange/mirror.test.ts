import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { load } from '../../config/load.ts'
import { mirrorBounds, mirrorUse } from '../../proxy/exchange/mirror.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, listening, Upstream } from '../support/upstream.ts'

const rule = (http: string): string => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - route: [{ destination: { host: web } }]
${http.replace(/^/gm, '      ')}
`

/** Mirrors end on their own, a little after their request. */
async function settled(): Promise<void> {
  while (mirrorUse.copies > 0) await new Promise<void>((done) => setImmediate(done))
}

const cluster = (name: string): string => `outbound|80||${name}.default.svc.cluster.local`

/** A server that takes connections and never reads from them. */
async function deaf(): Promise<{ port: number } & AsyncDisposable> {
  const sockets: Socket[] = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
  })
  const port = await listening(server)
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

t.test(
  'a copy is the request as it is sent on, with its body, and its reply goes nowhere',
  async (t) => {
    await using web = await Upstream.start((incoming, reply) => {
      incoming.resume().on('end', () => reply.end('from web'))
    })
    const bodies: string[] = []
    await using shadow = await Upstream.start((incoming, reply) => {
      let body = ''
      incoming.on('data', (chunk) => {
        body += chunk
      })
      incoming.on('end', () => {
        bodies.push(body)
        reply.writeHead(500, { 'x-from': 'shadow' }).end('from shadow')
      })
    })
    await using sidecar = await Sidecar.start({
      addresses: ['10.1.2.3'],
      yaml: `${serviceYaml('web', [web.port])}${serviceYaml('shadow', [shadow.port])}${rule(`
mirror: { host: shadow }
rewrite: { uri: /new, authority: rewritten }
headers: { request: { set: { x-edit: "1" }, remove: [x-gone] } }
timeout: 10s`)}`,
    })
    const reply = await ask(sidecar.port, {
      method: 'POST',
      path: '/?q',
      headers: { host: 'web', 'x-gone': '1', 'x-forwarded-for': '1.1.1.1', expect: '100-continue' },
      body: 'hello',
    })
    t.match(reply, { status: 200, body: 'from web', headers: { 'x-from': undefined } })
    await settled()
    t.same(bodies, ['hello'])
    const [sent] = web.requests
    const [copied] = shadow.requests
    t.match(copied, { method: 'POST', url: '/new?q' })
    t.equal(copied?.url, sent?.url)
    t.match(copied?.headers, {
      host: 'rewritten',
      'x-edit': '1',
      'x-envoy-original-path': '/?q',
      'x-envoy-attempt-count': '1',
      'x-envoy-expected-rq-timeout-ms': '10000',
      'x-envoy-internal': 'true',
      'x-forwarded-for': '1.1.1.1,10.1.2.3',
      'x-request-id': sent?.headers['x-request-id'],
    })
    t.equal(copied?.headers['x-gone'], undefined)
    t.equal(copied?.headers.expect, undefined, 'a mirror is not asked before')
    t.equal(sent?.headers['x-envoy-internal'], undefined, 'the request itself is as ever')
    t.equal(sent?.headers['x-forwarded-for'], '1.1.1.1')
    await sidecar.recorded(1)
    t.equal(sidecar.exchanges.length, 1, 'mirrors are in no log')
    t.equal(sidecar.value('upstreamMirrored', [cluster('shadow'), 'answered']), 1)
  },
)

t.test('one copy per request, however often the request is tried', async (t) => {
  await using web = await Upstream.start((_, reply) => reply.writeHead(503).end())
  await using shadow = await Upstream.start((_, reply) => reply.end())
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}${serviceYaml('shadow', [shadow.port])}${rule(`
mirrors: [{ destination: { host: shadow } }, { destination: { host: shadow, port: { number: 80 } } }, { destination: { host: shadow }, percentage: { value: 0 } }]
retries: { attempts: 2, retryOn: "503", backoff: 1ms }`)}`,
  })
  t.equal((await ask(sidecar.port, { headers: { host: 'web' } })).status, 503)
  await settled()
  t.equal(web.requests.length, 3)
  t.equal(shadow.requests.length, 2, 'for each of two mirrors; the third is switched off')
})

t.test(
  'a mirror that reads nothing does not hold the request up: the copy is dropped',
  async (t) => {
    const size = 12 * 1024 * 1024
    await using web = await Upstream.start((incoming, reply) => {
      let bytes = 0
      incoming.on('data', (chunk) => {
        bytes += chunk.length
      })
      incoming.on('end', () => reply.end(String(bytes)))
    })
    await using shadow = await deaf()
    await using sidecar = await Sidecar.start({
      yaml: `${serviceYaml('web', [web.port])}${serviceYaml('shadow', [shadow.port])}${rule('mirror: { host: shadow }')}`,
    })
    const body = Buffer.alloc(size, 'x')
    for (const headers of [{ 'content-length': size }, { 'transfer-encoding': 'chunked' }]) {
      const reply = await ask(sidecar.port, {
        method: 'POST',
        headers: { host: 'web', ...headers },
        body,
      })
      t.equal(reply.body, String(size))
    }
    await settled()
    t.same(mirrorUse, { copies: 0, bytes: 0 })
    t.equal(sidecar.value('upstreamMirrored', [cluster('shadow'), 'dropped']), 2)
  },
)

t.test('large bodies reach mirrors whole when they keep up', async (t) => {
  const size = 3 * 1024 * 1024
  const count = (seen: number[]) =>
    Upstream.start((incoming, reply) => {
      let bytes = 0
      incoming.on('data', (chunk) => {
        bytes += chunk.length
      })
      incoming.on('end', () => {
        seen.push(bytes)
        reply.end()
      })
    })
  const seen: number[] = []
  await using web = await count([])
  await using shadow = await count(seen)
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}${serviceYaml('shadow', [shadow.port])}${rule('mirror: { host: shadow }')}`,
  })
  const socket = connect(sidecar.port, '127.0.0.1')
  socket.write(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${size}\r\n\r\n`)
  const piece = Buffer.alloc(64 * 1024, 'y')
  for (let sent = 0; sent < size; sent += piece.length) {
    await new Promise((done) => socket.write(piece, done))
    await new Promise<void>((done) => setImmediate(done))
  }
  await new Promise((done) => socket.once('data', done))
  socket.destroy()
  await settled()
  t.same(seen, [size])
})

t.test('dead, missing and silent mirrors change nothing for the client', async (t) => {
  await using web = await Upstream.start((_, reply) => reply.end('web'))
  const gone = await Upstream.start(() => undefined)
  const dead = gone.port
  await gone[Symbol.asyncDispose]()
  await using silent = await Upstream.start(() => undefined)
  const yaml = `${serviceYaml('web', [web.port])}${serviceYaml('dead', [dead])}${serviceYaml('empty', [])}${serviceYaml('silent', [silent.port])}${rule(`
timeout: 100ms
mirrors:
- destination: { host: dead }
- destination: { host: empty }
- destination: { host: silent }
- destination: { host: nowhere }`)}`
  await using sidecar = await Sidecar.start({ yaml })
  const reply = await ask(sidecar.port, { headers: { host: 'web' } })
  t.match(reply, { status: 200, body: 'web' })
  await settled()
  for (const name of ['dead', 'empty', 'silent'])
    t.equal(sidecar.value('upstreamMirrored', [cluster(name), 'failed']), 1, name)
  const { problems } = load([{ path: 'mesh.yaml', text: yaml }])
  const lines = yaml.split('\n')
  const told = problems.filter(({ message }) => message.includes('nowhere'))
  t.match(told, [
    {
      severity: 'warning',
      message: /no service "nowhere.default.svc.cluster.local".*no copies are sent/,
    },
  ])
  t.match(lines[told[0]!.line - 1], 'nowhere')
})

t.test('a client that goes away before its body is complete takes the copy with it', async (t) => {
  await using web = await Upstream.start((incoming) => void incoming.resume())
  const aborted: string[] = []
  await using shadow = await Upstream.start((incoming) => {
    incoming.resume().on('error', ({ message }) => aborted.push(message))
  })
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}${serviceYaml('shadow', [shadow.port])}${rule('mirror: { host: shadow }')}`,
  })
  const socket = connect(sidecar.port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 100\r\n\r\nhalf')
  while (shadow.requests.length + web.requests.length < 2)
    await new Promise<void>((done) => setImmediate(done))
  socket.destroy()
  await sidecar.recorded(1)
  t.same(mirrorUse, { copies: 0, bytes: 0 })
  while (aborted.length === 0) await new Promise<void>((done) => setImmediate(done))
  t.same(aborted, ['aborted'])
})

t.test('percentages are drawn per request; beyond the bound of copies none are made', async (t) => {
  await using web = await Upstream.start((_, reply) => reply.end())
  await using half = await Upstream.start((_, reply) => reply.end())
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}${serviceYaml('half', [half.port])}${rule('mirror: { host: half }\nmirrorPercentage: { value: 50 }')}`,
  })
  for (let i = 0; i < 300; i++) await ask(sidecar.port, { headers: { host: 'web' } })
  await settled()
  const copies = half.requests.length
  t.ok(copies > 90 && copies < 210, `${copies} of 300: within seven deviations of half`)
  const { copies: bound } = mirrorBounds
  mirrorBounds.copies = 0
  t.teardown(() => {
    mirrorBounds.copies = bound
  })
  for (let i = 0; i < 60; i++) await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(half.requests.length, copies)
  t.ok(sidecar.value('upstreamMirrored', [cluster('half'), 'dropped']) > 0)
})
