/** DestinationRule tls: connections to services in TLS, and refused rather than made in plain text. */
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { type Test, test } from 'tap'
import { load } from '../../config/load.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { TestAuthority } from '../support/certificates.ts'
import { filesOf } from '../support/folder.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, listening } from '../support/upstream.ts'

const authority = new TestAuthority()
const stranger = new TestAuthority('Nobody')

/** An HTTPS server that says which server name the client asked for. */
async function httpsServer(t: Test, options: TlsOptions, handler?: RequestListener) {
  const names: Array<string | false | null> = []
  const server = createHttpsServer(options, (asked, reply) => {
    if (handler !== undefined) handler(asked, reply)
    else reply.end(`${asked.headers.host} over TLS`)
  })
  server.on('secureConnection', (socket: TLSSocket) => names.push(socket.servername))
  server.on('tlsClientError', () => undefined)
  const port = await listening(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port, names }
}

const rule = (tls: string, host = 'web.example'): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: secure, namespace: default }
spec:
  host: ${host}
  trafficPolicy:
    tls: ${tls}
`

/** A ServiceEntry for hosts on port 80 whose one endpoint is `port` of loopback. */
const entry = (port: number, hosts = '[web.example]', more = ''): string => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: default }
spec:
  hosts: ${hosts}
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
${more}`

test('plain HTTP of the application leaves as HTTPS, by the name it asked for', async (t) => {
  const ca = filesOf(t)('ca.pem', authority.cert)
  const { names, port } = await httpsServer(t, authority.issue({ names: ['web.example'] }))
  const yaml = entry(port) + rule(`{ mode: SIMPLE, caCertificates: ${ca} }`)
  await using sidecar = await Sidecar.start({ yaml })
  for (let i = 0; i < 3; i++) {
    const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
    t.equal(reply.body, 'web.example over TLS')
  }
  t.same(names, ['web.example'], 'one connection, kept')
  t.equal(sidecar.exchanges[0]?.flags, 0)
})

test("Istio's sample: port 80 is rewritten to 443 and leaves in TLS", async (t) => {
  const ca = filesOf(t)('ca.pem', authority.cert)
  const { port } = await httpsServer(t, authority.issue({ names: ['www.googleapis.com'] }))
  const yaml = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: googleapis }
spec:
  hosts: [www.googleapis.com]
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: https, protocol: HTTPS, targetPort: ${port} }]
  resolution: STATIC
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: rewrite-port-for-googleapis }
spec:
  hosts: [www.googleapis.com]
  http:
    - match: [{ port: 80 }]
      route: [{ destination: { host: www.googleapis.com, port: { number: 443 } } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: originate-tls-for-googleapis }
spec:
  host: www.googleapis.com
  trafficPolicy:
    portLevelSettings:
      - port: { number: 443 }
        tls: { mode: SIMPLE, caCertificates: ${ca} }
`
  await using sidecar = await Sidecar.start({ yaml })
  const reply = await ask(sidecar.port, { headers: { host: 'www.googleapis.com' } })
  t.equal(reply.body, 'www.googleapis.com over TLS')
})

test('each host gets connections of its own, agreed on under its name', async (t) => {
  const ca = filesOf(t)('ca.pem', authority.cert)
  const { names, port } = await httpsServer(t, authority.issue({ names: ['*.web.example'] }))
  const hosts = "['*.web.example']"
  const yaml =
    entry(port, hosts) + rule(`{ mode: SIMPLE, caCertificates: ${ca} }`, "'*.web.example'")
  await using sidecar = await Sidecar.start({ yaml })
  for (const host of ['a.web.example', 'b.web.example', 'a.web.example:80', 'A.web.example'])
    t.equal((await ask(sidecar.port, { headers: { host } })).status, 200, host)
  t.same(names, ['a.web.example', 'b.web.example'])
})

const refusals = [
  {
    what: 'an authority that is not trusted',
    issued: stranger.issue({ names: ['web.example'] }),
    tls: (ca: string) => `{ mode: SIMPLE, caCertificates: ${ca} }`,
    why: /certificate of web\.example \(127\.0\.0\.1:\d+\) does not verify: .*not among the trusted/,
  },
  {
    what: 'no authority of ours: those of the system',
    issued: stranger.issue({ names: ['web.example'] }),
    tls: () => '{ mode: SIMPLE }',
    why: /certificate of web\.example .*not among the trusted/,
  },
  {
    what: 'another name',
    issued: authority.issue({ names: ['other.example'] }),
    tls: (ca: string) => `{ mode: SIMPLE, caCertificates: ${ca} }`,
    why: /does not verify: it is for other\.example, not for web\.example/,
  },
  {
    what: 'none of the names listed',
    issued: authority.issue({ names: ['web.example'] }),
    tls: (ca: string) =>
      `{ mode: SIMPLE, caCertificates: ${ca}, subjectAltNames: [a.example, 'spiffe://td/x'] }`,
    why: /not for a\.example or spiffe:\/\/td\/x/,
  },
  {
    what: 'an expired certificate',
    issued: authority.issue({ names: ['web.example'], notAfter: Date.now() - 1_000 }),
    tls: (ca: string) => `{ mode: SIMPLE, caCertificates: ${ca} }`,
    why: /does not verify: it has expired/,
  },
  {
    what: 'authorities that cannot be read',
    issued: authority.issue({ names: ['web.example'] }),
    tls: () => '{ mode: SIMPLE, caCertificates: /nowhere/ca.pem }',
    why: /caCertificates \/nowhere\/ca\.pem cannot be read: ENOENT/,
  },
  {
    what: 'ISTIO_MUTUAL without a mesh certificate',
    issued: authority.issue({ names: ['web.example'] }),
    tls: () => '{ mode: ISTIO_MUTUAL }',
    why: /ISTIO_MUTUAL needs a mesh certificate/,
  },
]

for (const { issued, tls, what, why } of refusals)
  test(`refused with the place that asks for TLS: ${what}`, async (t) => {
    const ca = filesOf(t)('ca.pem', authority.cert)
    let served = 0
    const { port } = await httpsServer(t, issued, (_, reply) => reply.end(`${served++}`))
    await using sidecar = await Sidecar.start({ yaml: entry(port) + rule(tls(ca)) })
    const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
    t.equal(reply.status, 503)
    t.match(reply.body, why)
    t.match(reply.body, /TLS is asked for by DestinationRule default\/secure \(test\.yaml:\d+\)/)
    await sidecar.recorded(1)
    t.ok((sidecar.exchanges[0]?.flags ?? 0) & Flag.UF, 'UF')
    t.equal(served, 0)
  })

test('names: listed ones, those of the ServiceEntry, sni, and none at all', async (t) => {
  const ca = filesOf(t)('ca.pem', authority.cert)
  const issued = authority.issue({ names: ['inner.example', 'spiffe://td/ns/x/sa/y'] })
  const { names, port } = await httpsServer(t, issued)
  const accepted = [
    {
      tls: `{ mode: SIMPLE, caCertificates: ${ca}, subjectAltNames: [no.example, 'spiffe://td/ns/x/sa/y'] }`,
    },
    { tls: `{ mode: SIMPLE, caCertificates: ${ca}, sni: inner.example }` },
    {
      tls: `{ mode: SIMPLE, caCertificates: ${ca} }`,
      more: '  subjectAltNames: [inner.example]\n',
    },
    { tls: '{ mode: SIMPLE, insecureSkipVerify: true }' },
  ]
  for (const { tls, more } of accepted) {
    await using sidecar = await Sidecar.start({ yaml: entry(port, undefined, more) + rule(tls) })
    const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
    t.equal(reply.status, 200, tls)
  }
  t.same(names, ['web.example', 'inner.example', 'web.example', 'web.example'])
})

test('MUTUAL shows the certificate, and its files are read again when they change', async (t) => {
  const write = filesOf(t)
  const ca = write('ca.pem', authority.cert)
  const first = authority.issue({ names: ['spiffe://td/first'] })
  const [cert, key] = [write('cert.pem', first.cert), write('key.pem', first.key)]
  const server = authority.issue({ names: ['web.example'] })
  const demanding = { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true }
  const { port } = await httpsServer(t, demanding, (asked, reply) => {
    reply.setHeader('connection', 'close')
    reply.end((asked.socket as TLSSocket).getPeerCertificate().subjectaltname)
  })
  const tls = `{ mode: MUTUAL, caCertificates: ${ca}, clientCertificate: ${cert}, privateKey: ${key} }`
  await using sidecar = await Sidecar.start({ yaml: entry(port) + rule(tls) })
  const shown = async () => (await ask(sidecar.port, { headers: { host: 'web.example' } })).body
  t.equal(await shown(), 'URI:spiffe://td/first')
  const second = authority.issue({ names: ['spiffe://td/second'] })
  write('key.pem', second.key)
  write('cert.pem', second.cert)
  const until = Date.now() + 5_000
  let now = await shown()
  while (now !== 'URI:spiffe://td/second' && Date.now() < until) {
    await new Promise((done) => setTimeout(done, 50))
    now = await shown()
  }
  t.equal(now, 'URI:spiffe://td/second')
  write('cert.pem', 'broken')
  while (sidecar.notes.length === 0 && Date.now() < until + 5_000) {
    await new Promise((done) => setTimeout(done, 50))
    t.equal(await shown(), 'URI:spiffe://td/second', 'broken files change nothing')
  }
  t.match(sidecar.notes[0], /former files stay in force.*DestinationRule default\/secure/)
})

test('a server that misses our certificate says so in an alert, and the reply passes it on', async (t) => {
  const server = authority.issue({ names: ['web.example'] })
  const demanding = { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true }
  const { port } = await httpsServer(t, demanding)
  const ca = filesOf(t)('ca.pem', authority.cert)
  const tls = `{ mode: SIMPLE, caCertificates: ${ca} }`
  await using sidecar = await Sidecar.start({ yaml: entry(port) + rule(tls) })
  const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
  t.equal(reply.status, 503)
  t.match(reply.body, /before it replied, with the TLS alert "certificate required"/)
})

test('credentialName without workloadSelector is told, and means plain text as with Istio', async (t) => {
  const server = createHttpServer((_, reply) => reply.end('plain'))
  const port = await listening(server)
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const yaml = entry(port) + rule('{ mode: SIMPLE, credentialName: secret }')
  const told = load([{ path: 'test.yaml', text: yaml }]).problems.map(({ message }) => message)
  t.match(
    told.join('\n'),
    /credentialName: is not read from files: without workloadSelector there is no TLS/,
  )
  await using sidecar = await Sidecar.start({ yaml })
  t.equal((await ask(sidecar.port, { headers: { host: 'web.example' } })).body, 'plain')
})

test('a server that speaks no TLS is named as such', async (t) => {
  const server = createServer((socket) => socket.end('220 hello\r\n'))
  const port = await listening(server)
  t.teardown(() => server.close())
  const yaml = entry(port) + rule('{ mode: SIMPLE, insecureSkipVerify: true }')
  await using sidecar = await Sidecar.start({ yaml })
  const reply = await ask(sidecar.port, { headers: { host: 'web.example' } })
  t.equal(reply.status, 503)
  t.match(reply.body, /No TLS connection to web\.example .*does not speak TLS/)
})

async function tcpThroughTls(t: Test, onSocket: (socket: TLSSocket) => void) {
  const ca = filesOf(t)('ca.pem', authority.cert)
  const issued = authority.issue({ names: ['db.default.svc.cluster.local'] })
  const server = createTlsServer({ ...issued, allowHalfOpen: true }, onSocket)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('tlsClientError', () => undefined)
  const target = await listening(server)
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const yaml = serviceYaml('db', [target], 'tcp', 5432).replace(
    'spec:',
    'spec:\n  clusterIP: 10.9.0.1',
  )
  const tls = rule(`{ mode: SIMPLE, caCertificates: ${ca} }`, 'db')
  return Sidecar.start({ yaml: yaml + tls, captured: true })
}

test('opaque bytes leave in TLS too: large both ways, with half-close', async (t) => {
  const size = 3_000_000
  await using sidecar = await tcpThroughTls(t, (socket) => {
    let bytes = 0
    socket.on('data', (chunk) => {
      bytes += chunk.length
    })
    socket.on('end', () => socket.end(`${bytes} `.padEnd(size, 'x')))
  })
  const socket = connect({ port: await sidecar.portFor('10.9.0.1', 5432), allowHalfOpen: true })
  socket.end('y'.repeat(size))
  let [text, length] = ['', 0]
  for await (const chunk of socket) {
    if (text === '') text = chunk.toString('latin1', 0, 20)
    length += chunk.length
  }
  t.match(text, new RegExp(`^${size} `), 'all of it was read before the end')
  t.equal(length, size)
})

test('a server that speaks first is heard through TLS, and a reset of the client arrives', async (t) => {
  let over: () => void = () => undefined
  const ended = new Promise<void>((done) => {
    over = done
  })
  await using sidecar = await tcpThroughTls(t, (socket) => {
    socket.on('error', over)
    socket.on('close', over)
    socket.on('end', over)
    socket.write('220 ready')
  })
  const socket = connect({ port: await sidecar.portFor('10.9.0.1', 5432) })
  const said = await new Promise<string>((done) => socket.once('data', (c) => done(`${c}`)))
  t.equal(said, '220 ready')
  socket.resetAndDestroy()
  await ended
  await sidecar.recorded(0, 1)
})
