/** VirtualService tls and tcp: real TLS through captured ports and through CONNECT tunnels. */
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { type Test, test } from 'tap'
import { load } from '../../config/load.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { TestAuthority } from '../support/certificates.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { closing, everything, web } from '../support/sockets.ts'
import { listening } from '../support/upstream.ts'

const authority = new TestAuthority()

/** Says its name to whoever completes a handshake. */
async function tlsServer(t: Test, name: string, names: readonly string[], address = '127.0.0.1') {
  const server = createTlsServer(authority.issue({ names }), (socket) => {
    socket.on('error', () => undefined)
    socket.end(name)
  })
  closing(t, server)
  return listening(server, address)
}

async function tcpServer(t: Test, name: string, address = '127.0.0.1', port = 0) {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.end(name))
  closing(t, server)
  return listening(server, address, port)
}

async function overTls(port: number, servername: string): Promise<string> {
  const socket = connectTls({ port, servername, ca: authority.cert })
  const said = await everything(socket)
  socket.destroy()
  return said
}

async function plain(port: number): Promise<string> {
  const socket = connect({ port })
  const said = await everything(socket)
  socket.destroy()
  return said
}

/** A Service with a clusterIP and one endpoint. */
function service(name: string, ip: string, port: number, target: number, portName: string): string {
  return serviceYaml(name, [target], portName, port).replace('spec:', `spec:\n  clusterIP: ${ip}`)
}

const sniRules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web, one.example, '*.two.example', odd.example, far.example]
  tls:
    - match: [{ sniHosts: [far.example], sourceLabels: { app: other } }]
      route: [{ destination: { host: wild, port: { number: 443 } } }]
    - match: [{ sniHosts: [far.example], sourceNamespace: elsewhere }]
      route: [{ destination: { host: wild, port: { number: 443 } } }]
    - match: [{ sniHosts: [odd.example], port: 8443 }]
      route: [{ destination: { host: wild, port: { number: 443 } } }]
    - match: [{ sniHosts: [odd.example], gateways: [some-gateway] }]
      route: [{ destination: { host: wild, port: { number: 443 } } }]
    - match: [{ sniHosts: ['*.two.example'] }]
      route: [{ destination: { host: wild, port: { number: 443 } } }]
    - match: [{ sniHosts: ['*.deep.two.example'] }]
      route: [{ destination: { host: deep, port: { number: 443 } } }]
    - match: [{ sniHosts: [one.example, far.example, odd.example], sourceLabels: { app: me } }]
      route: [{ destination: { host: one, port: { number: 443 } } }]
    - match: [{ sniHosts: [one.example], destinationSubnets: [10.9.0.2/32] }]
      route: [{ destination: { host: deep, port: { number: 443 } } }]
`

async function sniMesh(t: Test) {
  const names = ['one.example', '*.two.example', 'a.deep.two.example', 'odd.example', 'far.example']
  const [one, wild, deep] = await Promise.all([
    tlsServer(t, 'one', names),
    tlsServer(t, 'wild', names),
    tlsServer(t, 'deep', names),
  ])
  return [
    service('web', '10.9.0.1', 443, one, 'tls'),
    service('one', '10.9.1.1', 443, one, 'tls'),
    service('wild', '10.9.1.2', 443, wild, 'tls'),
    service('deep', '10.9.1.3', 443, deep, 'tls'),
    sniRules,
  ].join('')
}

const cases = [
  { name: 'one.example', said: 'one' },
  { name: 'a.two.example', said: 'wild' },
  { name: 'a.deep.two.example', said: 'deep', why: 'the longer wildcard wins' },
  {
    name: 'odd.example',
    said: 'one',
    why: 'rules for another port or for gateways are passed over',
  },
  { name: 'far.example', said: 'one', why: 'so are those for other callers' },
]

test('captured TLS goes where its server name says, end to end', async (t) => {
  const yaml = await sniMesh(t)
  await using sidecar = await Sidecar.start({ yaml, captured: true, labels: { app: 'me' } })
  const port = await sidecar.portFor('10.9.0.1', 443)
  for (const { name, said, why } of cases) t.equal(await overTls(port, name), said, why ?? name)
  await sidecar.recorded(0, cases.length)
  const [record] = sidecar.connections
  t.equal(record?.serverName, 'one.example')
  t.equal(record?.cluster, 'outbound|443||one.default.svc.cluster.local')
  t.match(record?.origin, { kind: 'VirtualService', name: 'web' })
})

test('server names that no rule lists are left to the outbound policy', async (t) => {
  const mesh = await sniMesh(t)
  const closed = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: closed }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`
  await using sidecar = await Sidecar.start({ yaml: mesh + closed, captured: true })
  const port = await sidecar.portFor('10.9.0.1', 443)
  const unknown = await sidecar.portFor('10.9.9.9', 5432)
  for (let i = 0; i < 2; i++) t.match(await overTls(port, 'three.example'), /ECONNRESET/)
  for (let i = 0; i < 2; i++) {
    const socket = connect({ port: unknown })
    socket.write('\0\0')
    t.match(await everything(socket), /ECONNRESET/)
  }
  await sidecar.recorded(0, 4)
  const [tls, , tcp] = sidecar.connections
  t.equal(tls?.serverName, 'three.example')
  t.equal(tls?.flags, Flag.UH)
  t.match(
    tls?.upstreamFailure,
    /three\.example \(10\.9\.0\.1:443\).*Sidecar default\/closed \(test/,
  )
  t.match(tcp?.upstreamFailure, /^10\.9\.9\.9:5432 is no known service/)
  t.equal(sidecar.notes.length, 2, 'each is told once')
  for (const note of sidecar.notes) {
    const yaml = note.slice(note.indexOf('\n') + 1)
    t.same(load([{ path: 'cure.yaml', text: yaml }]).problems, [], `accepted:\n${yaml}`)
  }
  sidecar.reload(
    [mesh, closed, ...sidecar.notes.map((n) => n.slice(n.indexOf('\n') + 1))].join('\n---\n'),
  )
  const known = (address: string) => sidecar.runtime.table.outbound(address, 5432)?.spec.service
  t.equal(known('10.9.9.9'), 'address-10-9-9-9.external', 'and takes effect')
})

test('inside a CONNECT tunnel the same rules hold', async (t) => {
  const yaml = await sniMesh(t)
  await using sidecar = await Sidecar.start({ yaml, labels: { app: 'me' } })
  for (const { name, said } of cases) {
    const socket = connect({ port: sidecar.port })
    socket.write('CONNECT web:443 HTTP/1.1\r\nHost: web:443\r\n\r\n')
    const head = await new Promise<string>((done) => socket.once('data', (c) => done(`${c}`)))
    t.match(head, /^HTTP\/1.1 200/)
    const inside = connectTls({ socket, servername: name, ca: authority.cert })
    t.equal(await everything(inside), said, name)
    inside.destroy()
  }
})

test('HTTP inside a CONNECT tunnel is routed like captured HTTP', async (t) => {
  const server = createHttpServer((asked, reply) => reply.end(`${asked.headers['x-by']}`))
  closing(t, server)
  const rules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - route: [{ destination: { host: web }, headers: { request: { set: { x-by: rule } } } }]
`
  const yaml = serviceYaml('web', [await listening(server)]) + rules
  await using sidecar = await Sidecar.start({ yaml })
  const socket = connect({ port: sidecar.port })
  socket.write('CONNECT web:80 HTTP/1.1\r\nHost: web:80\r\n\r\n')
  socket.write('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')
  t.match(await everything(socket), /^HTTP\/1.1 200 Connection established[\s\S]*rule$/)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.origin?.name, 'web')
})

test('CONNECT to what REGISTRY_ONLY does not know is answered 502 with the cure', async (t) => {
  const closed = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: closed, namespace: default }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`
  await using sidecar = await Sidecar.start({ yaml: closed })
  const socket = connect({ port: sidecar.port })
  socket.write(
    'CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\nConnection: close\r\n\r\n',
  )
  const said = await everything(socket)
  t.match(said, /^HTTP\/1.1 502 /)
  t.match(
    said,
    /hosts: \["api\.example"\]\n {2}ports: \[\{ number: 443, name: tls, protocol: TLS \}\]/,
  )
})

const tcpRules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec:
  hosts: [db]
  tcp:
    - match: [{ destinationSubnets: [10.9.0.0/24], sourceLabels: { app: other } }]
      route: [{ destination: { host: second, port: { number: 5432 } } }]
    - match: [{ destinationSubnets: [10.9.0.7] }]
      route: [{ destination: { host: second, port: { number: 5432 } } }]
    - match: [{ port: 5433 }]
      route: [{ destination: { host: second, port: { number: 5432 } } }]
`

test('TCP rules by subnet and port; what none takes goes to the service itself', async (t) => {
  const [first, second] = await Promise.all([tcpServer(t, 'first'), tcpServer(t, 'second')])
  const db = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db }
spec:
  hosts: [db.default.svc.cluster.local]
  addresses: [10.9.0.7, 10.9.0.8]
  ports: [{ number: 5432, name: tcp-a, protocol: TCP }, { number: 5433, name: tcp-b, protocol: TCP }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1, ports: { tcp-a: ${first}, tcp-b: ${first} } }]
`
  const yaml = db + serviceYaml('second', [second], 'tcp', 5432) + tcpRules
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  t.equal(await plain(await sidecar.portFor('10.9.0.7', 5432)), 'second', 'by subnet')
  t.equal(await plain(await sidecar.portFor('10.9.0.8', 5432)), 'first', 'no rule')
  t.equal(await plain(await sidecar.portFor('10.9.0.8', 5433)), 'second', 'by port')
})

test('resolution NONE goes to the address that was dialed, on its targetPort', async (t) => {
  const own = '127.0.81.1'
  const port = await tcpServer(t, 'here', own)
  const httpPort = await listening(web(t, 'web'), own)
  const entries = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: range }
spec:
  hosts: [range.example]
  addresses: [127.0.81.0/24]
  ports: [{ number: 7000, name: tcp, protocol: TCP, targetPort: ${port} }]
  resolution: NONE
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web }
spec:
  hosts: ['*.web.example']
  ports: [{ number: ${httpPort}, name: http, protocol: HTTP }]
  resolution: NONE
`
  await using sidecar = await Sidecar.start({ yaml: entries, captured: true })
  t.equal(await plain(await sidecar.portFor(own, 7000)), 'here')
  const socket = connect({ port: await sidecar.portFor(own, httpPort) })
  socket.write('GET / HTTP/1.1\r\nHost: a.web.example\r\nConnection: close\r\n\r\n')
  t.match(await everything(socket), /web a\.web\.example$/)
  await sidecar.recorded(1, 1)
  t.equal(sidecar.connections[0]?.cluster, 'outbound|7000||range.example')
  t.equal(sidecar.connections[0]?.upstreamHost, `${own}:${port}`)
  t.equal(sidecar.exchanges[0]?.cluster, `outbound|${httpPort}||*.web.example`)
})

test('a TCP rule to a destination that does not exist breaks the connection with NC', async (t) => {
  const target = await tcpServer(t, 'first')
  const nowhere = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db }
spec:
  hosts: [db]
  tcp:
    - route: [{ destination: { host: db, subset: none, port: { number: 5432 } } }]
`
  const yaml = service('db', '10.9.0.3', 5432, target, 'tcp') + nowhere
  const listen = {
    address: '127.0.0.1',
    port: await listening(createServer().unref(), '127.0.86.1'),
  }
  const bound = { service: 'db', port: 5432, listen }
  await using captured = await Sidecar.start({ yaml, captured: true })
  await using explicit = await Sidecar.start({ yaml, binds: [bound] })
  for (const [sidecar, port] of [
    [captured, await captured.portFor('10.9.0.3', 5432)],
    [explicit, listen.port],
  ] as const) {
    t.equal(await plain(port), 'ECONNRESET')
    await sidecar.recorded(0, 1)
    t.equal(sidecar.connections[0]?.flags, Flag.NC)
  }
})
