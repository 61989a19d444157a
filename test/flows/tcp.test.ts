/** Opaque TCP and TLS by server name, through ports that stand for services (`--bind`) and inbound. */
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Test, test } from 'tap'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { ownPortsYaml, Sidecar, serviceYaml } from '../support/sidecar.ts'
import { everything, freePort, open, tcpServer } from '../support/sockets.ts'
import { ask, listening } from '../support/upstream.ts'

/** A sidecar whose bound port stands for `service`:`servicePort`. */
async function bound(yaml: string, service = 'db', servicePort = 5432) {
  const port = await freePort()
  const listen = { address: '127.0.0.1', port }
  const sidecar = await Sidecar.start({ yaml, binds: [{ service, port: servicePort, listen }] })
  return { sidecar, port, [Symbol.asyncDispose]: () => sidecar[Symbol.asyncDispose]() }
}

const db = (...ports: number[]): string => serviceYaml('db', ports, 'tcp', 5432)

test('half-close is kept: the reply comes after the end of the request', async (t) => {
  const target = await tcpServer(t, async (socket) => {
    const asked = await everything(socket)
    socket.end(`${asked.length} bytes`)
  })
  await using proxy = await bound(db(target))
  const socket = await open(proxy.port)
  socket.write('x'.repeat(100_000))
  socket.end('the end')
  t.equal(await everything(socket), '100007 bytes')
  await proxy.sidecar.recorded(0, 1)
  const [record] = proxy.sidecar.connections
  t.equal(record?.receivedBytes, 100_007)
  t.equal(record?.sentBytes, 12)
  t.equal(record?.flags, 0)
  t.equal(record?.cluster, 'outbound|5432||db.default.svc.cluster.local')
})

test('a reset of the server is a reset for the client, and the other way round', async (t) => {
  let seen: (error: string) => void = () => undefined
  const clientReset = new Promise<string>((done) => {
    seen = done
  })
  const target = await tcpServer(t, (socket) => {
    socket.once('data', (chunk) => {
      if (chunk.toString() === 'reset me') socket.resetAndDestroy()
      else void everything(socket).then(seen)
      if (!socket.destroyed) socket.write('got it')
    })
  })
  await using proxy = await bound(db(target))
  const first = await open(proxy.port)
  first.write('reset me')
  t.equal(await everything(first), 'ECONNRESET')
  const second = await open(proxy.port)
  second.write('I will')
  second.once('data', () => second.resetAndDestroy())
  t.equal(await clientReset, 'ECONNRESET')
  await proxy.sidecar.recorded(0, 2)
  const flags = proxy.sidecar.connections.map((record) => record.flags)
  t.strictSame(flags, [Flag.UR, 0], 'who did it shows in the log')
})

test('an endpoint that refuses connections resets the client, and the record says why', async (t) => {
  const dead = await freePort()
  await using proxy = await bound(db(dead))
  const socket = await open(proxy.port)
  socket.write('anybody there?')
  t.equal(await everything(socket), 'ECONNRESET')
  await proxy.sidecar.recorded(0, 1)
  const [record] = proxy.sidecar.connections
  t.ok((record?.flags ?? 0) & Flag.UF, 'UF')
  t.match(record?.upstreamFailure, /ECONNREFUSED|refused/i)
})

test('connections are split by the weights of tcp routes', async (t) => {
  const say = (name: string) => (socket: Socket) => socket.end(name)
  const [one, two] = await Promise.all([tcpServer(t, say('1')), tcpServer(t, say('2'))])
  const rules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec:
  hosts: [db]
  tcp:
    - match: [{ port: 5432 }]
      route:
        - { destination: { host: db-one, port: { number: 5432 } }, weight: 80 }
        - { destination: { host: db-two, port: { number: 5432 } }, weight: 20 }
`
  const yaml = [
    db(one),
    serviceYaml('db-one', [one], 'tcp', 5432),
    serviceYaml('db-two', [two], 'tcp', 5432),
    rules,
  ]
  await using proxy = await bound(yaml.join(''))
  const count = 400
  let second = 0
  for (let i = 0; i < count; i++) {
    const socket = await open(proxy.port)
    const text = await everything(socket)
    socket.end()
    if (text === '2') second++
    else if (text !== '1') t.fail(`connection ${i}: ${text}`)
  }
  const most = 4 * Math.sqrt(count * 0.2 * 0.8)
  t.ok(Math.abs(second - count * 0.2) < most, `${second} of ${count} went to the second`)
})

test('a connection without traffic ends after tcp.idleTimeout', async (t) => {
  const target = await tcpServer(t, (socket) => socket.resume())
  const policy = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db }
spec:
  host: db
  trafficPolicy: { connectionPool: { tcp: { idleTimeout: 0.2s } } }
`
  await using proxy = await bound(db(target) + policy)
  const socket = await open(proxy.port)
  socket.write('then nothing')
  t.equal(await everything(socket), '', 'an end, no reset')
  await proxy.sidecar.recorded(0, 1)
  t.match(proxy.sidecar.connections[0]?.terminationDetails, /idle/)
})

/** The first bytes a TLS client sends for that server name. */
async function clientHello(t: Test, servername: string): Promise<Buffer> {
  let got: (bytes: Buffer) => void = () => undefined
  const hello = new Promise<Buffer>((done) => {
    got = done
  })
  const port = await tcpServer(t, (socket) => socket.once('data', got))
  const client = connectTls({ port, servername })
  client.on('error', () => undefined)
  const bytes = await hello
  client.destroy()
  return bytes
}

test('TLS is routed by server name, and every byte of it arrives', async (t) => {
  const say = (name: string) => (socket: Socket) =>
    socket.once('data', (chunk) => socket.end(`${name} ${chunk.length}`))
  const [one, two] = await Promise.all([tcpServer(t, say('one')), tcpServer(t, say('two'))])
  const rules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  tls:
    - match: [{ port: 443, sniHosts: [one.example] }]
      route: [{ destination: { host: web-one, port: { number: 443 } } }]
    - match: [{ port: 443, sniHosts: ['*.two.example'] }]
      route: [{ destination: { host: web-two, port: { number: 443 } } }]
`
  const yaml = [
    serviceYaml('web', [one], 'tls', 443),
    serviceYaml('web-one', [one], 'tls', 443),
    serviceYaml('web-two', [two], 'tls', 443),
    rules.replace('hosts: [web]', "hosts: [one.example, '*.two.example', web]"),
  ]
  await using proxy = await bound(yaml.join(''), 'web', 443)
  for (const [name, server] of [
    ['one.example', 'one'],
    ['a.two.example', 'two'],
  ] as const) {
    const hello = await clientHello(t, name)
    for (const cut of [hello.length, 1, 60]) {
      const socket = await open(proxy.port)
      socket.setNoDelay(true)
      socket.write(hello.subarray(0, cut))
      if (cut < hello.length) setImmediate(() => socket.write(hello.subarray(cut)))
      t.match(await everything(socket), new RegExp(`^${server} \\d+`), `${name} cut at ${cut}`)
      socket.end()
    }
  }
  await proxy.sidecar.recorded(0, 6)
  const names = proxy.sidecar.connections.map(({ serverName }) => serverName)
  t.same(new Set(names), new Set(['one.example', 'a.two.example']))
  t.match(proxy.sidecar.connections[0]?.cluster, /web-one/)
})

test('inbound HTTP and TCP reach the application', async (t) => {
  const own = '127.0.79.1'
  const app = createHttpServer((incoming, reply) => reply.end(`app ${incoming.url}`))
  await listening(app)
  t.teardown(() => {
    app.closeAllConnections()
    app.close()
  })
  const [http, tcp] = [await freePort(own), await freePort(own)]
  await using sidecar = await Sidecar.start({
    yaml: ownPortsYaml('me', own, http, tcp),
    labels: { app: 'me' },
    addresses: [own],
    app: { address: '127.0.0.1', port: (app.address() as AddressInfo).port },
  })
  const request = 'GET /a HTTP/1.1\r\nhost: me\r\nconnection: close\r\n\r\n'
  for (const port of [http, tcp]) {
    const socket = await open(port, own)
    socket.write(request)
    t.match(await everything(socket), /^HTTP\/1\.1 200 OK\r\n[\s\S]*app \/a/)
    socket.end()
  }
  await sidecar.recorded(1, 1)
  t.equal(sidecar.exchanges[0]?.cluster, `inbound|${http}||`)
  t.equal(sidecar.exchanges[0]?.direction, 'inbound')
  t.equal(sidecar.connections[0]?.cluster, `inbound|${tcp}||`)
  t.equal(
    (await ask(sidecar.port, { headers: { host: 'me' } })).body,
    'app /',
    'through both sides',
  )
})
