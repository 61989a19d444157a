/** What a Sidecar opens beside captured traffic, and its limits towards the application. */
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { load } from '../../config/load.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { emptyFolder } from '../support/folder.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { everything, freePort, tcpServer, web } from '../support/sockets.ts'
import { listening } from '../support/upstream.ts'

const echo = (socket: Socket): unknown => socket.pipe(socket)

function talk(host: string, port: number, said: string): Promise<string> {
  const socket = connect({ host, port, allowHalfOpen: true })
  socket.end(said)
  return everything(socket)
}

const get = (host: string, target = '/'): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`

const sidecarYaml = (spec: string): string => `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: own, namespace: default }
spec:
${spec}`

const own = '127.0.84.1'

test('ingress captureMode NONE: the port is opened and leads to the application', async (t) => {
  const [app, port] = [await listening(web(t, 'app')), await freePort(own)]
  const yaml = sidecarYaml(`  ingress:
    - port: { number: ${port}, protocol: HTTP, name: http }
      bind: ${own}
      captureMode: NONE
      defaultEndpoint: 127.0.0.1:${app}
`)
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  t.match(await talk(own, port, get('me')), /^HTTP\/1.1 200 [\s\S]*app me$/)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.direction, 'inbound')
  t.equal(sidecar.exchanges[0]?.cluster, `inbound|${port}||`)
})

test('ingress captureMode NONE that would call itself is told, and opens nothing', async (t) => {
  const port = await freePort(own)
  const yaml = sidecarYaml(`  ingress:
    - port: { number: ${port}, protocol: HTTP, name: http }
      bind: ${own}
      captureMode: NONE
`)
  const { problems } = load([{ path: 'test.yaml', text: yaml }])
  t.match(
    problems[0]?.message,
    /without a defaultEndpoint on loopback or a unix socket nothing is opened/,
  )
  await using _ = await Sidecar.start({ yaml, captured: true })
  t.equal(await talk(own, port, 'x'), 'ECONNREFUSED')
})

const limited = (application: number, port: number, more: string, listener = ''): string =>
  sidecarYaml(`  ingress:
    - port: { number: ${port}, protocol: TCP, name: tcp }
      bind: ${own}
      captureMode: NONE
      defaultEndpoint: 127.0.0.1:${application}
${listener}${more}`)

const one = '{ tcp: { maxConnections: 1 } }'
const two = '{ tcp: { maxConnections: 2 } }'

test('limits towards the application: of the listener, of the Sidecar, of the DestinationRule', async (t) => {
  const application = await tcpServer(t, echo)
  const service = (port: number) => `---
apiVersion: v1
kind: Service
metadata: { name: me, namespace: default }
spec: { selector: { app: me }, ports: [{ name: tcp, port: 90, targetPort: ${port} }] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: me, namespace: default }
spec: { host: me, trafficPolicy: { connectionPool: ${one} } }
`
  const cases = [
    { more: `  inboundConnectionPool: ${one}\n`, listener: '', fits: 1, why: /Sidecar/ },
    {
      more: `  inboundConnectionPool: ${one}\n`,
      listener: `      connectionPool: ${two}\n`,
      fits: 2,
      why: /Sidecar/,
    },
    { more: '', listener: '', fits: 1, why: /DestinationRule/ },
  ]
  for (const { fits, listener, more, why } of cases) {
    const port = await freePort(own)
    const yaml = service(port) + limited(application, port, more, listener)
    await using sidecar = await Sidecar.start({ yaml, captured: true, labels: { app: 'me' } })
    const held: Socket[] = []
    for (let i = 0; i < fits; i++) {
      const socket = connect({ host: own, port })
      socket.write('x')
      await new Promise((done) => socket.once('data', done))
      held.push(socket)
    }
    t.equal(await talk(own, port, 'y'), 'ECONNRESET', `${fits} fit`)
    await sidecar.recorded(0, 1)
    t.equal(sidecar.connections[0]?.flags, Flag.UO)
    t.match(sidecar.connections[0]?.upstreamFailure, /maxConnections/)
    t.match(sidecar.runtime.table.inbound(port)?.spec.poolOrigin?.kind, why)
    for (const socket of held) socket.destroy()
  }
})

const closed = '  outboundTrafficPolicy: { mode: REGISTRY_ONLY }\n'

test('egress captureMode NONE: a port of its own for its hosts, HTTP and TCP', async (t) => {
  const [first, second, raw] = [
    await listening(web(t, 'first')),
    await listening(web(t, 'second')),
    await tcpServer(t, echo),
  ]
  const [http, tcp] = [await freePort('127.0.0.1'), await freePort(own)]
  const yaml =
    serviceYaml('first', [first], 'http', http) +
    serviceYaml('second', [second], 'http', http) +
    serviceYaml('raw', [raw], 'tcp', tcp) +
    sidecarYaml(`${closed}  egress:
    - port: { number: ${http}, protocol: HTTP, name: http }
      captureMode: NONE
      hosts: [./first.default.svc.cluster.local]
    - port: { number: ${tcp}, protocol: TCP, name: tcp }
      captureMode: NONE
      bind: ${own}
      hosts: [./raw.default.svc.cluster.local]
`)
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  t.match(await talk('127.0.0.1', http, get('first')), / 200 OK[\s\S]*first first$/)
  t.match(await talk('127.0.0.1', http, get('second')), / 502 [\s\S]*kind: ServiceEntry/)
  t.equal(await talk(own, tcp, 'opaque'), 'opaque')
  await sidecar.recorded(2, 1)
  t.equal(sidecar.connections[0]?.cluster, `outbound|${tcp}||raw.default.svc.cluster.local`)
})

test('egress HTTP_PROXY: clients name the host, by absolute target or CONNECT', async (t) => {
  const [first, port] = [await listening(web(t, 'first')), await freePort('127.0.0.1')]
  const yaml =
    serviceYaml('first', [first], 'http', 8080) +
    sidecarYaml(`${closed}  egress:
    - port: { number: ${port}, protocol: HTTP_PROXY, name: proxy }
      captureMode: NONE
      hosts: [./*]
`)
  await using _ = await Sidecar.start({ yaml, captured: true })
  const absolute = get('first:8080', 'http://first:8080/')
  t.match(await talk('127.0.0.1', port, absolute), / 200 OK[\s\S]*first first:8080$/)
  const connected = `CONNECT first:8080 HTTP/1.1\r\nHost: first:8080\r\n\r\n${get('first')}`
  t.match(await talk('127.0.0.1', port, connected), /^HTTP\/1.1 200 Connection[\s\S]*first first$/)
  t.match(await talk('127.0.0.1', port, get('other.example:80')), / 502 /)
})

test('egress in a unix socket: HTTP by Host, also over what a former process left', async (t) => {
  const folder = emptyFolder(t)
  const path = join(folder, 'egress.sock')
  const first = await listening(web(t, 'first'))
  const yaml =
    serviceYaml('first', [first], 'http', 80) +
    sidecarYaml(`${closed}  egress:
    - port: { number: 0, protocol: HTTP, name: http }
      bind: unix://${path}
      hosts: [./*]
`)
  for (let i = 0; i < 2; i++) {
    await using sidecar = await Sidecar.start({ yaml, captured: true })
    const body = await new Promise<string>((done, failed) => {
      const asked = request({ socketPath: path, headers: { host: 'first' } }, async (reply) => {
        let text = ''
        for await (const chunk of reply) text += chunk
        done(text)
      })
      asked.on('error', failed)
      asked.end()
    })
    t.equal(body, 'first first')
    await sidecar.recorded(1)
  }
  const left = createServer()
  await new Promise<void>((done) => left.listen(path, done))
  t.equal(existsSync(path), true)
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  const socket = connect(path)
  socket.end(get('first'))
  t.match(await everything(socket), /first first$/)
  await sidecar.recorded(1)
  left.close()
})

test('a listener that the configuration drops is closed, what it carries goes on', async (t) => {
  const [raw, tcp] = [await tcpServer(t, echo), await freePort(own)]
  const yaml = (egress: string) => serviceYaml('raw', [raw], 'tcp', tcp) + sidecarYaml(egress)
  const door = `  egress:
    - port: { number: ${tcp}, protocol: TCP, name: tcp }
      captureMode: NONE
      bind: ${own}
      hosts: [./*]
`
  await using sidecar = await Sidecar.start({ yaml: yaml(door), captured: true })
  const socket = connect({ host: own, port: tcp })
  socket.write('a')
  await new Promise((done) => socket.once('data', done))
  sidecar.reload(yaml(closed))
  await sidecar.follow()
  t.equal(await talk(own, tcp, 'b'), 'ECONNREFUSED')
  socket.write('c')
  t.equal(`${await new Promise((done) => socket.once('data', done))}`, 'c')
  socket.destroy()
})

test('egressProxy takes unknown traffic, HTTP and opaque; without such a service it is told', async (t) => {
  const [proxy, raw] = [await listening(web(t, 'proxy')), await tcpServer(t, echo)]
  const policy = (port: number) => `  outboundTrafficPolicy:
    mode: ALLOW_ANY
    egressProxy: { host: out, port: { number: ${port} } }
`
  const yaml = serviceYaml('out', [proxy], 'http', 80) + serviceYaml('any', [raw], 'http', 8080)
  await using sidecar = await Sidecar.start({
    yaml: yaml + sidecarYaml(policy(80)),
    captured: true,
  })
  const through = await sidecar.portFor('10.9.9.9', 8080)
  t.match(await talk('127.0.0.1', through, get('stranger.example')), /proxy stranger\.example$/)
  const unknown = await sidecar.portFor('10.9.9.9', 9999)
  t.match(await talk('127.0.0.1', unknown, get('by-bytes')), /proxy by-bytes$/)
  await sidecar.recorded(1, 1)
  t.equal(sidecar.exchanges[0]?.cluster, 'outbound|80||out.default.svc.cluster.local')
  t.equal(sidecar.connections[0]?.cluster, 'outbound|80||out.default.svc.cluster.local')
  sidecar.reload(yaml + sidecarYaml(policy(4242)))
  t.match(
    await talk('127.0.0.1', through, get('stranger.example')),
    /503[\s\S]*port 4242, which does not exist/,
  )
  t.equal(await talk('127.0.0.1', unknown, 'x'), 'ECONNRESET')
})

test('ingress defaultEndpoint in a unix socket, for captured traffic', async (t) => {
  const folder = emptyFolder(t)
  const path = join(folder, 'app.sock')
  const server = web(t, 'app')
  await new Promise<void>((done) => server.listen(path, done))
  const yaml = sidecarYaml(`  ingress:
    - port: { number: 8080, protocol: HTTP, name: http }
      defaultEndpoint: unix://${path}
    - port: { number: 8081, protocol: TCP, name: tcp }
      defaultEndpoint: unix://${path}
`)
  await using sidecar = await Sidecar.start({ yaml, captured: true })
  for (const port of [8080, 8081]) {
    const at = await sidecar.portFor('10.1.0.1', port, 'inbound')
    t.match(await talk('127.0.0.1', at, get('me')), / 200 OK[\s\S]*app me$/)
  }
  await sidecar.recorded(1, 1)
  t.equal(sidecar.exchanges[0]?.upstreamHost, path)
  t.equal(sidecar.connections[0]?.cluster, 'inbound|8081||')
})
