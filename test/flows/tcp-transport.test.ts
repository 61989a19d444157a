/** Rules of opaque connections: limits, ages, probes, and how they are introduced to who takes them. */
import { createServer as createHttpServer } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Test, test } from 'tap'
import { load } from '../../config/load.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { TestAuthority } from '../support/certificates.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { closing, everything, open, tcpServer } from '../support/sockets.ts'
import { ask, listening } from '../support/upstream.ts'

const rule = (policy: string): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db, namespace: default }
spec:
  host: db
  trafficPolicy: ${policy}
`

const vip = '10.9.0.1'

/** A captured sidecar whose port stands for the database at `target`. */
async function database(target: number, policy: string) {
  const service = serviceYaml('db', [target], 'tcp', 5432)
  const yaml = service.replace('spec:', `spec:\n  clusterIP: ${vip}`) + rule(policy)
  const sidecar = await Sidecar.start({ yaml, captured: true })
  return { sidecar, port: await sidecar.portFor(vip, 5432) }
}

/** Like `everything`, also where the connection is reset before it is known to stand. */
function talk(port: number): Promise<string> {
  return everything(connect({ port, allowHalfOpen: true }))
}

test('maxConnections: one more is reset, with the limit named; a freed place is used', async (t) => {
  const target = await tcpServer(t, (socket) => socket.pipe(socket))
  const { port, sidecar } = await database(
    target,
    '{ connectionPool: { tcp: { maxConnections: 1 } } }',
  )
  await using _ = sidecar
  const first = await open(port)
  first.write('x')
  await new Promise((done) => first.once('data', done))
  t.equal(await talk(port), 'ECONNRESET')
  await sidecar.recorded(0, 1)
  const [refused] = sidecar.connections
  t.equal(refused?.flags, Flag.UO)
  t.match(refused?.upstreamFailure, /maxConnections/)
  first.end()
  t.equal(await everything(first), '', 'half-close goes round')
  await sidecar.recorded(0, 2)
  const third = await open(port)
  third.end('again')
  t.equal(await everything(third), 'again')
})

test('maxConnectionDuration ends a busy connection, and the record says so', async (t) => {
  const target = await tcpServer(t, (socket) => {
    const beat = setInterval(() => socket.write('.'), 20)
    socket.on('close', () => clearInterval(beat))
  })
  const { port, sidecar } = await database(
    target,
    '{ connectionPool: { tcp: { maxConnectionDuration: 0.3s } } }',
  )
  await using _ = sidecar
  t.equal(await talk(port), 'ECONNRESET')
  await sidecar.recorded(0, 1)
  const [record] = sidecar.connections
  t.equal(record?.flags, Flag.DT)
  t.equal(record?.terminationDetails, 'duration_timeout')
  t.ok((record?.duration ?? 0) >= 290, `${record?.duration} ms`)
})

type GetSocketOption = (
  fd: number,
  level: number,
  name: number,
  value: Buffer,
  size: Buffer,
) => number

/** SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT as the kernel has them. */
function probesOf(connection: Connection): number[] {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const get = koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int name, void *value, void *length)',
    ) as GetSocketOption
  const { fd } = (connection as unknown as { socket: { _handle: { fd: number } } }).socket._handle
  const options: Array<[number, number]> = [
    [1, 9],
    [6, 4],
    [6, 5],
    [6, 6],
  ]
  return options.map(([level, name]) => {
    const [value, size] = [Buffer.alloc(4), Buffer.from(Uint32Array.of(4).buffer)]
    get(fd, level, name, value, size)
    return value.readInt32LE()
  })
}

test('tcpKeepalive is what the kernel is told, in plain text and under TLS', async (t) => {
  const authority = new TestAuthority()
  const secure = createTlsServer(authority.issue({ names: ['db'] }), (socket) =>
    socket.pipe(socket),
  )
  closing(t, secure)
  const plain = await tcpServer(t, (socket) => socket.pipe(socket))
  const probes = 'connectionPool: { tcp: { tcpKeepalive: { probes: 4, time: 61s, interval: 5s } } }'
  for (const [target, tls] of [
    [plain, ''],
    [await listening(secure), ', tls: { mode: SIMPLE, insecureSkipVerify: true }'],
  ] as const) {
    const { port, sidecar } = await database(target, `{ ${probes}${tls} }`)
    await using _ = sidecar
    const socket = await open(port)
    socket.write('x')
    await new Promise((done) => socket.once('data', done))
    const [forward] = sidecar.runtime.services.forwards
    const { upstream } = forward as unknown as { upstream: Connection }
    t.same(probesOf(upstream), [1, 61, 5, 4], tls)
    socket.destroy()
    await sidecar.recorded(0, 1)
  }
})

/** An HTTP proxy that takes CONNECT, or refuses it. */
async function httpProxy(t: Test, answer: string, greeting = '') {
  const asked: string[] = []
  const server = createHttpServer()
  server.on('connect', (request, socket: Socket) => {
    asked.push(`${request.url} ${request.headers.host}`)
    socket.write(`HTTP/1.1 ${answer}\r\n\r\n${greeting}`)
    socket.on('data', (chunk) => socket.write(`echo ${chunk}`))
    socket.on('end', () => socket.end())
    socket.on('error', () => undefined)
  })
  closing(t, server)
  return { asked, port: await listening(server) }
}

const tunnel = '{ tunnel: { targetHost: db.far.example, targetPort: 5432 } }'

test('tunnel: the proxy is asked for the target, then bytes flow; what it said first arrives', async (t) => {
  const { asked, port: target } = await httpProxy(t, '200 OK', 'ready ')
  const { port, sidecar } = await database(target, tunnel)
  await using _ = sidecar
  const socket = await open(port)
  socket.write('hello')
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    if (text.includes('hello')) break
  }
  t.equal(text, 'ready echo hello')
  t.same(asked, ['db.far.example:5432 db.far.example:5432'])
  socket.destroy()
  await sidecar.recorded(0, 1)
  const [record] = sidecar.connections
  t.same(
    [record?.receivedBytes, record?.sentBytes],
    [5, text.length],
    "the proxy's answer is not counted",
  )
})

test('tunnel: a refusal is a failed connection that quotes the proxy', async (t) => {
  const { port: target } = await httpProxy(t, '403 Forbidden')
  const { port, sidecar } = await database(target, tunnel)
  await using _ = sidecar
  t.equal(await talk(port), 'ECONNRESET')
  await sidecar.recorded(0, 1)
  const [record] = sidecar.connections
  t.ok((record?.flags ?? 0) & Flag.UF, 'UF')
  t.match(
    record?.upstreamFailure,
    /no tunnel to db\.far\.example:5432: it answered "HTTP\/1\.1 403 Forbidden"/,
  )
  t.equal([...sidecar.runtime.services.forwards].length, 0)
})

test('tunnel: by POST is told, and refused', async (t) => {
  const { port: target } = await httpProxy(t, '200 OK')
  const posting = '{ tunnel: { protocol: POST, targetHost: db.far.example, targetPort: 5432 } }'
  const { problems } = load([{ path: 'rule.yaml', text: rule(posting).slice(4) }])
  t.match(problems.map(({ message }) => message).join(), /tunnel\.protocol: POST needs HTTP\/2/)
  const { port, sidecar } = await database(target, posting)
  await using _ = sidecar
  t.equal(await talk(port), 'ECONNRESET')
})

test('proxyProtocol: opaque connections are introduced by the addresses of the client', async (t) => {
  const heads: Buffer[] = []
  const target = await tcpServer(t, async (socket) => {
    let all = Buffer.alloc(0)
    for await (const chunk of socket) all = Buffer.concat([all, chunk as Buffer])
    heads.push(all)
    socket.end()
  })
  const ports: number[] = []
  for (const version of ['V1', 'V2']) {
    const { port, sidecar } = await database(target, `{ proxyProtocol: { version: ${version} } }`)
    await using _ = sidecar
    const socket = await open(port)
    ports.push((socket.address() as AddressInfo).port)
    socket.end('bytes')
    await everything(socket)
  }
  const [text, binary] = heads
  t.equal(text?.toString('latin1'), `PROXY TCP4 127.0.0.1 ${vip} ${ports[0]} 5432\r\nbytes`)
  t.equal(binary?.toString('hex', 0, 16), '0d0a0d0a000d0a515549540a2111000c')
  t.equal(binary?.toString('hex', 16, 24), '7f0000010a090001')
  t.same([binary?.readUInt16BE(24), binary?.readUInt16BE(26)], [ports[1], 5432])
  t.equal(binary?.toString('latin1', 28), 'bytes')
})

test('proxyProtocol comes before TLS', async (t) => {
  const authority = new TestAuthority()
  const secure = createTlsServer(authority.issue({ names: ['db'] }))
  secure.on('secureConnection', (socket) => socket.pipe(socket))
  closing(t, secure)
  let head = ''
  const target = await tcpServer(t, (socket) => {
    socket.once('readable', () => {
      const first = socket.read() as Buffer
      const end = first.indexOf('\r\n') + 2
      head = first.toString('latin1', 0, end)
      if (first.length > end) socket.unshift(first.subarray(end))
      secure.emit('connection', socket)
    })
  })
  const { port, sidecar } = await database(
    target,
    '{ proxyProtocol: { version: V1 }, tls: { mode: SIMPLE, insecureSkipVerify: true } }',
  )
  await using _ = sidecar
  const socket = await open(port)
  socket.end('through both')
  t.equal(await everything(socket), 'through both')
  t.match(head, new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 ${vip} \\d+ 5432\r\n$`))
})

test('proxyProtocol on HTTP: each connection says who the proxy is', async (t) => {
  const target = await tcpServer(t, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (!text.endsWith('\r\n\r\n')) return
      const [line = '', next] = text.split('\r\n')
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${line}|${next}`)
    })
  })
  const yaml = serviceYaml('db', [target]) + rule('{ proxyProtocol: {} }')
  await using sidecar = await Sidecar.start({ yaml })
  const { body } = await ask(sidecar.port, { headers: { host: 'db' } })
  t.match(
    body,
    new RegExp(`^PROXY TCP4 127\\.0\\.0\\.1 127\\.0\\.0\\.1 \\d+ ${target}\\|GET / HTTP/1.1$`),
  )
})
