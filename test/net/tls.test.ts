/** TLS of the client over real sockets: whom it believes, what it keeps, how it says what went wrong. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { type Test, test } from 'tap'
import { Clock } from '../../proxy/base/clock.ts'
import { ErrorCode, type ProxyError } from '../../proxy/base/errors.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { dialsUnderWay, SocketDialer } from '../../proxy/net/dial.ts'
import { ClientTls, type ClientTlsSettings } from '../../proxy/net/tls.ts'
import { TestAuthority } from '../support/certificates.ts'
import { closing } from '../support/sockets.ts'
import { listening } from '../support/upstream.ts'

let now = 0
const clock = new Clock(
  () => now,
  () => now,
)
const wheel = new TimerWheel(clock)
const authority = new TestAuthority()

const folder = mkdtempSync(join(tmpdir(), 'outrider-tls-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const ca = file('ca.pem', authority.cert)

async function serve(t: Test, options: TlsOptions) {
  const reused: boolean[] = []
  const server = createTlsServer(options, (socket) => {
    reused.push(socket.isSessionReused())
    socket.write('hello')
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  closing(t, server)
  return { port: await listening(server), reused }
}

function trusting(
  settings: Partial<ClientTlsSettings> = {},
  onStale?: (problem: string) => void,
): ClientTls {
  const all = {
    subjectAltNames: [],
    caCertificates: ca,
    caCrl: '',
    clientCertificate: '',
    privateKey: '',
    verify: true,
    unusable: '',
    ...settings,
  }
  return new ClientTls(all, clock, () => 'the test', onStale)
}

/** What the server says first, or why there is no connection. */
function dial(port: number, tls: ClientTls, serverName: string): Promise<string | ProxyError> {
  const target = {
    address: { address: '127.0.0.1', port },
    timeoutMs: 1_000,
    keepalive: undefined,
    sourceAddress: undefined,
    tls: { tls, serverName },
  }
  return new Promise((done) => {
    new SocketDialer(wheel).dial(target, {
      onConnected(connection: Connection) {
        connection.receiveWith({
          onBytes(buffer, start, end) {
            done(buffer.toString('latin1', start, end))
            connection.end()
          },
          onEnd: () => undefined,
          onClose: () => undefined,
          onWritable: () => undefined,
        })
      },
      onDialFailed: done,
    })
  })
}

test('caCrl: a revoked certificate is refused, another of the same authority is not', async (t) => {
  const [good, bad] = [
    authority.issue({ names: ['a.example'] }),
    authority.issue({ names: ['a.example'] }),
  ]
  const caCrl = file('crl.pem', authority.revoke(bad.cert))
  const tls = trusting({ caCrl })
  t.equal(await dial((await serve(t, good)).port, tls, 'a.example'), 'hello')
  const refused = (await dial((await serve(t, bad)).port, tls, 'a.example')) as ProxyError
  t.equal(refused.code, ErrorCode.ConnectFailure)
  t.match(
    refused.message,
    /certificate of a\.example .* does not verify: it was revoked .*asked for by the test/,
  )
})

test('a session is continued under the same name only', async (t) => {
  const { port, reused } = await serve(t, authority.issue({ names: ['a.example', 'b.example'] }))
  const tls = trusting()
  for (const name of ['a.example', 'a.example', 'b.example'])
    t.equal(await dial(port, tls, name), 'hello')
  t.same(reused, [false, true, false])
})

test('a server named by its address is verified by it', async (t) => {
  const { port } = await serve(t, authority.issue({ names: ['127.0.0.1'] }))
  t.equal(await dial(port, trusting(), '127.0.0.1'), 'hello')
  const other = (await dial(port, trusting(), '127.0.0.2')) as ProxyError
  t.match(other.message, /it is for IP Address:127\.0\.0\.1, not for 127\.0\.0\.2/)
})

test('no name is looked for where there is none, but the authority counts', async (t) => {
  const { port } = await serve(t, authority.issue({ names: ['a.example'] }))
  t.equal(await dial(port, trusting(), ''), 'hello')
  const { port: foreign } = await serve(
    t,
    new TestAuthority('Other').issue({ names: ['a.example'] }),
  )
  t.match((await dial(foreign, trusting(), '')) as ProxyError, { code: ErrorCode.ConnectFailure })
})

test('a key that does not belong to the certificate is told as what it is', async (t) => {
  const [one, two] = [authority.issue({ names: ['me'] }), authority.issue({ names: ['me'] })]
  const { port } = await serve(t, authority.issue({ names: ['a.example'] }))
  const clientCertificate = file('cert.pem', one.cert)
  const tls = trusting({ clientCertificate, privateKey: file('key.pem', two.key) })
  const refused = (await dial(port, tls, 'a.example')) as ProxyError
  t.match(refused.message, /key values mismatch.*asked for by the test/)
})

test('a file of authorities that holds none, or half of one, is told; the former ones stay in force', async (t) => {
  const { port } = await serve(t, authority.issue({ names: ['a.example'] }))
  for (const [text, why] of [
    ['nothing', /caCertificates .*none.pem holds no certificate.*asked for by the test/],
    [authority.cert.slice(0, 200), /holds a certificate that cannot be read/],
    [authority.cert.replace('MII', 'MIX'), /holds a certificate that cannot be read/],
    [`${authority.cert}-----BEGIN CERTIFICATE-----\nMIIB`, /cannot be read/],
  ] as const) {
    const refused = await dial(
      port,
      trusting({ caCertificates: file('none.pem', text) }),
      'a.example',
    )
    t.match((refused as ProxyError).message, why)
  }
  const told: string[] = []
  const authorities = file('changing.pem', `# ours\n${authority.cert}`)
  const tls = trusting({ caCertificates: authorities }, (problem) => told.push(problem))
  t.equal(await dial(port, tls, 'a.example'), 'hello')
  file('changing.pem', 'half a fi')
  now += 1_000
  clock.refresh()
  wheel.sweep()
  t.equal(await dial(port, tls, 'a.example'), 'hello')
  t.match(told, [/changing.pem holds no certificate.*the former files stay in force/])
})

test('a server that never answers the handshake is given up at the deadline', async (t) => {
  const silent = createServer()
  closing(t, silent)
  const port = await listening(silent)
  const accepted = new Promise((done) =>
    silent.once('connection', (socket) => socket.once('data', done)),
  )
  const asked = dial(port, trusting(), 'a.example')
  await accepted
  now += 1_100
  clock.refresh()
  wheel.sweep()
  const refused = (await asked) as ProxyError
  t.equal(refused.code, ErrorCode.ConnectTimeout)
  t.match(refused.message, /no TLS handshake with 127\.0\.0\.1:\d+ within 1000 ms/)
  t.equal(dialsUnderWay.count, 0)
})
