/** Where endpoints are found: on demand by name, in unix sockets, at the very Pod that was called. */
import dns from 'node:dns'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { type Test, test } from 'tap'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { TestAuthority } from '../support/certificates.ts'
import { emptyFolder } from '../support/folder.ts'
import { Sidecar } from '../support/sidecar.ts'
import { closing, everything, web } from '../support/sockets.ts'
import { ask, listening } from '../support/upstream.ts'

/** `GET /` as the application sends it to that address. */
async function get(sidecar: Sidecar, address: string, port: number, host: string): Promise<string> {
  const socket = connect({ port: await sidecar.portFor(address, port) })
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const said = await everything(socket)
  return `${said.slice(9, 12)} ${said.slice(said.indexOf('\r\n\r\n') + 4)}`
}

/** The machine's own lookup, for names below wild.example. */
function resolving(t: Test, addresses: Readonly<Record<string, string>>): string[] {
  const asked: string[] = []
  const original = dns.lookup
  t.teardown(() => {
    dns.lookup = original
  })
  dns.lookup = ((name: string, options: dns.LookupOptions, done: (...all: unknown[]) => void) => {
    if (!name.endsWith('.wild.example')) {
      original(name, options, done as never)
      return
    }
    asked.push(name)
    const address = addresses[name]
    const lost = Object.assign(new TypeError(name), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
    process.nextTick(() => {
      if (address === undefined) done(lost)
      else if (options.all === true) done(null, [{ address, family: 4 }])
      else done(null, address, 4)
    })
  }) as unknown as typeof dns.lookup
  return asked
}

const wild = (port: number, protocol: string): string => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wild, namespace: default }
spec:
  hosts: ['*.wild.example']
  ports: [{ number: ${port}, name: main, protocol: ${protocol} }]
  resolution: DYNAMIC_DNS
`

test('DYNAMIC_DNS: each request goes to the host it asks for, looked up on demand', async (t) => {
  const [one, two] = [web(t, 'one'), web(t, 'two')]
  const port = await listening(one, '127.0.82.1')
  await listening(two, '127.0.82.2', port)
  const asked = resolving(t, { 'a.wild.example': '127.0.82.1', 'b.wild.example': '127.0.82.2' })
  await using sidecar = await Sidecar.start({ yaml: wild(port, 'HTTP'), captured: true })
  t.equal(await get(sidecar, '10.9.9.9', port, 'a.wild.example'), '200 one a.wild.example')
  t.equal(await get(sidecar, '10.9.9.9', port, 'B.wild.example'), '200 two B.wild.example')
  t.equal(await get(sidecar, '10.9.9.9', port, 'a.wild.example'), '200 one a.wild.example')
  t.same(asked, ['a.wild.example', 'b.wild.example'], 'a kept connection needs no look')
  t.match(
    await get(sidecar, '10.9.9.9', port, 'c.wild.example'),
    /^503 [\s\S]*name does not resolve/,
  )
  await sidecar.recorded(4)
  t.equal(sidecar.exchanges[3]?.flags, Flag.DF)
  t.equal(sidecar.exchanges[0]?.cluster, `outbound|${port}||*.wild.example`)
})

test('DYNAMIC_DNS: TLS goes to the server name it asks for', async (t) => {
  const authority = new TestAuthority()
  const server = createTlsServer(authority.issue({ names: ['a.wild.example'] }), (s) =>
    s.end('tls'),
  )
  closing(t, server)
  const port = await listening(server, '127.0.82.3')
  resolving(t, { 'a.wild.example': '127.0.82.3' })
  await using sidecar = await Sidecar.start({ yaml: wild(port, 'TLS'), captured: true })
  const through = { port: await sidecar.portFor('10.9.9.9', port), ca: authority.cert }
  t.equal(await everything(connectTls({ ...through, servername: 'a.wild.example' })), 'tls')
})

test('unix sockets: by path and by abstract name, HTTP and opaque', async (t) => {
  const folder = emptyFolder(t)
  const path = join(folder, 'web.sock')
  const name = `outrider-test-${process.pid}`
  const server = web(t, 'socket')
  await new Promise<void>((done) => server.listen(path, done))
  const opaque = createServer((socket) => socket.end('abstract'))
  closing(t, opaque)
  await new Promise<void>((done) => opaque.listen(`\0${name}`, done))
  const entry = (host: string, address: string, port: string) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host}, namespace: default }
spec:
  hosts: [${host}.example]
  addresses: [10.9.0.5]
  ports: [${port}]
  resolution: STATIC
  endpoints: [{ address: '${address}' }]
`
  const yaml = [
    entry('web', `unix://${path}`, '{ number: 80, name: http, protocol: HTTP }'),
    entry('raw', `unix://@${name}`, '{ number: 5432, name: tcp, protocol: TCP }'),
    entry('gone', `unix://${path}.gone`, '{ number: 5433, name: tcp, protocol: TCP }'),
  ].join('')
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  t.equal(await get(sidecar, '10.9.0.5', 80, 'web.example'), '200 socket web.example')
  t.equal(await everything(connect(await sidecar.portFor('10.9.0.5', 5432))), 'abstract')
  t.equal(await everything(connect(await sidecar.portFor('10.9.0.5', 5433))), 'ECONNRESET')
  await sidecar.recorded(1, 2)
  t.equal(sidecar.exchanges[0]?.upstreamHost, path)
  const opaqueOne = sidecar.connections.find(({ cluster }) => cluster.includes('raw.example'))
  t.equal(opaqueOne?.upstreamLocal, '', 'that end has no address, and the log makes none up')
  t.match(sidecar.connections[1]?.upstreamFailure, /web\.sock\.gone: no such socket/)
})

test('a client that resets while bytes flow to a unix socket harms nobody', async (t) => {
  const name = `outrider-test-reset-${process.pid}`
  const gone = new Promise<string>((done) => {
    const server = createServer((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? ''))
      socket.on('close', () => done('closed'))
      socket.write('hello')
      socket.resume()
    })
    closing(t, server)
    server.listen(`\0${name}`)
  })
  const yaml = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: raw, namespace: default }
spec:
  hosts: [raw.example]
  addresses: [10.9.0.5]
  ports: [{ number: 5432, name: tcp, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: 'unix://@${name}' }]
`
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  const socket = connect(await sidecar.portFor('10.9.0.5', 5432))
  await new Promise((done) => socket.once('data', done))
  socket.resetAndDestroy()
  t.match(await gone, /closed|ECONNRESET|EPIPE/)
  await sidecar.recorded(0, 1)
})

const headless = (http: number, tcp: number): string => `---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: default }
spec:
  clusterIP: None
  selector: { app: db }
  ports: [{ name: http, port: ${http} }, { name: tcp-raw, port: ${tcp} }]
---
apiVersion: v1
kind: Service
metadata: { name: front, namespace: default }
spec:
  clusterIP: 10.9.0.9
  selector: { app: db }
  ports: [{ name: http, port: 80, targetPort: ${http} }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: db-1, namespace: default, labels: { kubernetes.io/service-name: db } }
addressType: IPv4
ports: [{ name: http, port: ${http} }, { name: tcp-raw, port: ${tcp} }]
endpoints: [{ addresses: [127.0.83.1] }, { addresses: [127.0.83.2] }]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: closed, namespace: default }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`

test('headless services and Pod addresses: the call goes to that Pod', async (t) => {
  const [one, two] = [web(t, 'one'), web(t, 'two')]
  const http = await listening(one, '127.0.83.1')
  await listening(two, '127.0.83.2', http)
  const raw = (name: string) => createServer((socket) => socket.end(name))
  const [first, second] = [raw('raw one'), raw('raw two')]
  closing(t, first)
  closing(t, second)
  const tcp = await listening(first, '127.0.83.1')
  await listening(second, '127.0.83.2', tcp)
  await using sidecar = await Sidecar.start({ yaml: headless(http, tcp), captured: true })
  for (let i = 0; i < 4; i++) {
    t.equal(await get(sidecar, '127.0.83.1', http, 'db-0.db'), '200 one db-0.db', 'by Host')
    t.equal(await get(sidecar, '127.0.83.2', http, 'db'), '200 two db')
    t.equal(
      await get(sidecar, '127.0.83.2', http, '127.0.83.2'),
      '200 two 127.0.83.2',
      'a known Pod',
    )
  }
  t.equal(await everything(connect(await sidecar.portFor('127.0.83.2', tcp))), 'raw two')
  t.equal(await everything(connect(await sidecar.portFor('127.0.83.1', tcp))), 'raw one')
  t.match(await get(sidecar, '127.0.83.3', http, '127.0.83.3'), /^502 /, 'no Pod of ours')
})

test('a WorkloadEntry without address gets no traffic, one of another network is called', async (t) => {
  const server = web(t, 'far')
  const port = await listening(server)
  const yaml = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: default }
spec:
  hosts: [web.example]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  workloadSelector: { labels: { app: web } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: behind, namespace: default, labels: { app: web } }
spec: { network: far }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: there, namespace: default, labels: { app: web } }
spec: { address: 127.0.0.1, network: far, ports: { http: ${port} } }
`
  await using sidecar = await Sidecar.start({ yaml })
  for (let i = 0; i < 4; i++) {
    const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
    t.equal(reply.body, 'far web.example')
  }
})
