import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { test } from 'tap'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, listening, Upstream } from '../support/upstream.ts'

const virtualService = (http: string): string => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
${http}`

test('a request that names a service reaches its endpoint, and is recorded once', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('hello'))
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const reply = await ask(sidecar.port, {
    path: '/a?b=c',
    headers: { host: 'web', 'X-Case': 'Kept' },
  })
  t.equal(reply.status, 200)
  t.equal(reply.body, 'hello')
  const [seen] = upstream.requests
  t.equal(seen?.url, '/a?b=c')
  t.equal(seen?.headers.host, 'web')
  t.ok(seen?.rawHeaders.includes('X-Case'), 'the case of field names is kept')
  t.match(seen?.headers['x-request-id'], /^[0-9a-f-]{36}$/)
  await sidecar.recorded(1)
  const [record] = sidecar.exchanges
  t.equal(record?.status, 200)
  t.equal(record?.flags, 0)
  t.equal(record?.details, 'via_upstream')
  t.equal(record?.cluster, 'outbound|80||web.default.svc.cluster.local')
  t.equal(record?.responseBytes, 5)
  t.equal(sidecar.exchanges.length, 1)
})

test('large bodies stream both ways with their bytes intact', async (t) => {
  const size = 12 * 1024 * 1024
  const payload = Buffer.alloc(size)
  for (let i = 0; i < size; i += 4) payload.writeUInt32LE(i, i)
  await using upstream = await Upstream.start((incoming, reply) => {
    const hash = createHash('sha256')
    incoming.on('data', (chunk) => hash.update(chunk))
    incoming.on('end', () => {
      reply.setHeader('x-hash', hash.digest('hex'))
      reply.end(payload)
    })
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  for (const headers of [{ 'content-length': size }, { 'transfer-encoding': 'chunked' }]) {
    const reply = await ask(sidecar.port, {
      method: 'POST',
      headers: { host: 'web', ...headers },
      body: payload,
    })
    t.equal(reply.headers['x-hash'], createHash('sha256').update(payload).digest('hex'))
    t.equal(reply.body.length, size)
    t.ok(Buffer.from(reply.body, 'latin1').equals(payload))
  }
  await sidecar.recorded(2)
  t.equal(sidecar.exchanges[0]?.requestBytes, size)
  t.equal(sidecar.exchanges[0]?.responseBytes, size)
})

test('HEAD, 204 and 304 have no body and keep their fields', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    if (incoming.url === '/204') reply.writeHead(204).end()
    else if (incoming.url === '/304') reply.writeHead(304, { etag: '"x"' }).end()
    else reply.writeHead(200, { 'content-length': 7 }).end('seven77')
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const head = await ask(sidecar.port, { method: 'HEAD', headers: { host: 'web' } })
  t.equal(head.headers['content-length'], '7')
  t.equal(head.body, '')
  t.equal((await ask(sidecar.port, { path: '/204', headers: { host: 'web' } })).status, 204)
  const unchanged = await ask(sidecar.port, { path: '/304', headers: { host: 'web' } })
  t.equal(unchanged.status, 304)
  t.equal(unchanged.headers.etag, '"x"')
})

/** Sends raw text and gives everything that comes back until the end. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1')
    })
    socket.on('end', () => done(got))
    socket.on('error', failed)
  })
}

test('an HTTP/1.0 client is routed and answered without chunks, then closed', async (t) => {
  await using upstream = await Upstream.start((_, reply) => {
    reply.write('part one, ')
    reply.end('part two')
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const got = await raw(sidecar.port, 'GET / HTTP/1.0\r\nHost: web\r\n\r\n')
  t.match(got, /^HTTP\/1\.1 200 OK\r\n/)
  t.notMatch(got, /chunked/)
  t.ok(got.endsWith('part one, part two'))
})

test('a WebSocket answered with anything but a switch or an error gets the head alone', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    reply.statusCode = Number(incoming.url?.slice(1))
    reply.end('a body')
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const upgrade = { host: 'web', connection: 'upgrade', upgrade: 'websocket' }
  for (const [status, body, details] of [
    [200, '', 'websocket_handshake_unsuccessful'],
    [302, '', 'websocket_handshake_unsuccessful'],
    [404, 'a body', 'via_upstream'],
  ] as const) {
    const count = sidecar.exchanges.length + 1
    const reply = await ask(sidecar.port, { path: `/${status}`, headers: upgrade })
    t.equal(reply.status, status)
    t.equal(reply.body, body)
    t.equal(reply.headers['content-length'], String(body.length))
    t.equal(reply.headers['connection'], 'close')
    await sidecar.recorded(count)
    t.equal(sidecar.exchanges[count - 1]?.details, details)
    t.equal(sidecar.exchanges[count - 1]?.responseBytes, body.length)
  }
})

test('a WebSocket upgrade becomes a tunnel both ways', async (t) => {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst',
      )
      socket.on('data', (chunk) => socket.write(`echo ${chunk}`))
      socket.on('end', () => socket.end())
    })
  })
  const port = await listening(server)
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [port]) })
  const got = await new Promise<string>((done, failed) => {
    const outgoing = request({
      port: sidecar.port,
      headers: { host: 'web', connection: 'upgrade', upgrade: 'websocket' },
    })
    outgoing.on('error', failed)
    outgoing.on('upgrade', (reply, socket, first) => {
      let text = `${reply.statusCode} ${first}`
      socket.on('data', (chunk: Buffer) => {
        text += chunk
        if (text.includes('echo ping')) socket.end()
        else if (text.includes('first')) socket.write('ping')
      })
      socket.on('end', () => done(text))
      socket.write('ping')
    })
    outgoing.end()
  })
  t.match(got, /^101 (first)?/)
  t.match(got, /echo ping/)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.status, 101)
  server.close()
})

test('CONNECT opens a tunnel to a service', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('through the tunnel'))
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const connected = 'CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n'
  const asked = 'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'
  const got = await raw(sidecar.port, connected + asked)
  t.match(got, /^HTTP\/1\.1 200 Connection established\r\n\r\nHTTP\/1\.1 200 OK/)
  t.ok(got.endsWith('through the tunnel'))
})

test('a refused endpoint is a 503 that says who decided, with one record', async (t) => {
  const closed = createServer()
  const port = await listening(closed)
  await new Promise((done) => closed.close(done))
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [port]) })
  const reply = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(reply.status, 503)
  t.equal(reply.headers['x-outrider-reason'], 'connection_failure')
  t.equal(reply.headers['x-outrider-origin'], 'Service default/web test.yaml:2')
  t.match(
    reply.body,
    /^upstream connect error or disconnect\/reset before headers. retried and the latest reset reason: remote connection failure\n/,
  )
  t.match(reply.body, /refused/)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.attempts, 3, 'the default policy tries twice more')
})

test('a reply that takes longer than the route allows is a 504 UT', async (t) => {
  await using upstream = await Upstream.start(() => undefined)
  const yaml = serviceYaml('web', [upstream.port])
  const rules = virtualService('  - { timeout: 100ms, route: [{ destination: { host: web } }] }')
  await using sidecar = await Sidecar.start({ yaml: yaml + rules })
  const reply = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(reply.status, 504)
  t.match(reply.body, /^upstream request timeout\n/)
  t.equal(reply.headers['x-outrider-reason'], 'response_timeout')
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.details, 'response_timeout')
})

test('an idle connection that the upstream closed is not seen by the client', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  for (let i = 0; i < 20; i++) {
    const reply = await ask(sidecar.port, { headers: { host: 'web' } })
    t.equal(reply.status, 200)
    upstream.server.closeIdleConnections()
  }
})

test('redirects, direct responses and rewrites are as written', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => reply.end(incoming.url))
  const rules = virtualService(`  - match: [{ uri: { prefix: /old } }]
    redirect: { uri: /new, redirectCode: 302 }
  - match: [{ uri: { exact: /gone } }]
    directResponse: { status: 410, body: { string: it is gone } }
    headers: { response: { set: { x-why: retired } } }
  - match: [{ uri: { prefix: /api/ } }]
    rewrite: { uri: / }
    headers:
      request: { add: { x-added: 'yes', x-asked: '%REQ(:PATH)%' } }
      response: { add: { x-sent: '%REQ(:PATH)%', x-asked: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%' } }
    route: [{ destination: { host: web } }]`)
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) + rules })
  const moved = await ask(sidecar.port, { path: '/old/x?q=1', headers: { host: 'web' } })
  t.equal(moved.status, 302)
  t.equal(moved.headers.location, 'http://web/new?q=1')
  const gone = await ask(sidecar.port, { path: '/gone', headers: { host: 'web' } })
  t.equal(gone.status, 410)
  t.equal(gone.body, 'it is gone')
  t.equal(gone.headers['x-why'], 'retired')
  const api = await ask(sidecar.port, { path: '/api/v1?x', headers: { host: 'web' } })
  t.equal(api.body, '/v1?x')
  t.equal(upstream.requests[0]?.headers['x-added'], 'yes')
  t.equal(upstream.requests[0]?.headers['x-envoy-original-path'], '/api/v1?x')
  t.equal(upstream.requests[0]?.headers['x-asked'], '/api/v1?x', 'headers before the rewrite')
  t.equal(api.headers['x-sent'], '/v1?x', 'the reply is edited behind it')
  t.equal(api.headers['x-asked'], '/api/v1?x')
  const none = await ask(sidecar.port, { path: '/elsewhere', headers: { host: 'web' } })
  t.equal(none.status, 404)
  t.match(none.headers['x-outrider-origin'], /^VirtualService default\/web test\.yaml:\d+$/)
})

test('a rule that names what does not exist answers 503 NC and points to its line', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end())
  const rules = virtualService('  - route: [{ destination: { host: web, subset: v9 } }]')
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) + rules })
  const reply = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(reply.status, 503)
  t.equal(reply.headers['x-outrider-reason'], 'cluster_not_found')
  t.match(reply.body, /subset v9 on port 80, which does not exist/)
})

test('unknown hosts pass through by name, and are refused with the cure under REGISTRY_ONLY', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('outside'))
  const yaml = serviceYaml('web', [upstream.port])
  await using sidecar = await Sidecar.start({ yaml })
  const host = `localhost:${upstream.port}`
  t.equal((await ask(sidecar.port, { headers: { host } })).body, 'outside')
  sidecar.reload(`${yaml}---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: strict }
spec:
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
`)
  const refused = await ask(sidecar.port, { headers: { host: 'api.example.com' } })
  t.equal(refused.status, 502)
  t.match(refused.body, /kind: ServiceEntry/)
  t.match(refused.body, /hosts: \["api.example.com"\]/)
  t.match(refused.headers['x-outrider-origin'], /^Sidecar default\/strict test\.yaml:\d+$/)
})

test('a client that goes away ends the request upstream', async (t) => {
  let gone: () => void = () => undefined
  const closed = new Promise<void>((done) => {
    gone = done
  })
  await using upstream = await Upstream.start((incoming) => {
    incoming.socket.on('close', gone)
    socket.resetAndDestroy()
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const socket = connect(sidecar.port, '127.0.0.1', () =>
    socket.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n'),
  )
  await closed
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.status, 0)
  t.equal(sidecar.exchanges[0]?.details, 'downstream_remote_disconnect')
})
