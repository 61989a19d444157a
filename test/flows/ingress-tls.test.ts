/** Sidecar ingress tls: the proxy ends TLS, and the application hears plain text. */
import { createHash, X509Certificate } from 'node:crypto'
import { connect } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { type Test, test } from 'tap'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { type Issued, TestAuthority } from '../support/certificates.ts'
import { filesOf } from '../support/folder.ts'
import { Sidecar } from '../support/sidecar.ts'
import { everything, freePort, tcpServer, web } from '../support/sockets.ts'
import { listening } from '../support/upstream.ts'

const authority = new TestAuthority()
const own = '127.0.85.1'

/** A sidecar whose port ends TLS as `more` says, in front of `application`. */
async function ending(t: Test, target: number, more: string, protocol = 'HTTPS') {
  const write = filesOf(t)
  const server = authority.issue({ names: ['me.example'] })
  const [cert, key] = [write('cert.pem', server.cert), write('key.pem', server.key)]
  const ca = write('ca.pem', authority.cert)
  const port = await freePort(own)
  const yaml = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: own, namespace: default }
spec:
  ingress:
    - port: { number: ${port}, protocol: ${protocol}, name: main }
      bind: ${own}
      captureMode: NONE
      defaultEndpoint: 127.0.0.1:${target}
      tls: { serverCertificate: ${cert}, privateKey: ${key}, ${more.replace('CA', ca)} }
`
  return { sidecar: await Sidecar.start({ yaml, captured: true }), port, write }
}

function talk(port: number, said: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = connectTls({
    host: own,
    port,
    ca: authority.cert,
    servername: 'me.example',
    ...options,
  })
  socket.end(said)
  return everything(socket)
}

const application = (t: Test): Promise<number> => listening(web(t, 'app', ({ url }) => url))

const get = 'GET /a HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n'

test('SIMPLE: HTTPS is decrypted and served like HTTP, and the application told', async (t) => {
  const told = web(t, 'app', ({ headers, url }) => `${url} ${headers['x-forwarded-proto']}`)
  const { port, sidecar } = await ending(t, await listening(told), 'mode: SIMPLE')
  await using _ = sidecar
  t.match(await talk(port, get), /^HTTP\/1.1 200 OK[\s\S]*app \/a https$/)
  await sidecar.recorded(1)
  const [record] = sidecar.exchanges
  t.equal(record?.cluster, `inbound|${port}||`)
  t.equal(record?.downstreamRemote.address, '127.0.0.1')
  t.equal(record?.downstreamLocal.port, port)
})

test('SIMPLE: opaque bytes of a TLS port, large ones both ways', async (t) => {
  const size = 2_000_000
  const target = await tcpServer(t, (socket) => {
    let bytes = 0
    socket.on('data', (chunk) => {
      bytes += chunk.length
    })
    socket.on('end', () => socket.end(`${bytes} `.padEnd(size, 'x')))
  })
  const { port, sidecar } = await ending(t, target, 'mode: SIMPLE', 'TLS')
  await using _ = sidecar
  const said = await talk(port, 'y'.repeat(size), { allowHalfOpen: true } as ConnectionOptions)
  t.equal(said.length, size)
  t.match(said.slice(0, 20), new RegExp(`^${size} `))
})

const client = authority.issue({ names: ['spiffe://td/client'] })
const foreign = new TestAuthority('Nobody').issue({ names: ['spiffe://td/client'] })
const hash = (issued: Issued): string =>
  createHash('sha256').update(new X509Certificate(issued.cert).raw).digest('hex')
const keyHash = (issued: Issued): string =>
  createHash('sha256')
    .update(new X509Certificate(issued.cert).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')

const cases = [
  { more: 'mode: MUTUAL, caCertificates: CA', shows: client, in: true },
  { more: 'mode: MUTUAL, caCertificates: CA', shows: undefined, why: /shows no certificate/ },
  { more: 'mode: MUTUAL, caCertificates: CA', shows: foreign, why: /UNABLE_TO|SELF_SIGNED/ },
  { more: 'mode: OPTIONAL_MUTUAL, caCertificates: CA', shows: undefined, in: true },
  {
    more: 'mode: OPTIONAL_MUTUAL, caCertificates: CA',
    shows: foreign,
    why: /UNABLE_TO|SELF_SIGNED/,
  },
  { more: 'mode: MUTUAL, caCertificates: CA, insecureSkipVerify: true', shows: foreign, in: true },
  {
    more: `mode: MUTUAL, caCertificates: CA, verifyCertificateHash: [${hash(client)}]`,
    shows: client,
    in: true,
  },
  {
    more: `mode: MUTUAL, caCertificates: CA, verifyCertificateSpki: ['${keyHash(client)}']`,
    shows: client,
    in: true,
  },
  {
    more: `mode: MUTUAL, caCertificates: CA, verifyCertificateHash: ['00']`,
    shows: client,
    why: /none of those listed/,
  },
]

test('clients: whose certificate is asked for, believed, and told when it is not', async (t) => {
  const target = await application(t)
  for (const { more, shows, why, in: let_in = false } of cases) {
    const { port, sidecar } = await ending(t, target, more)
    await using _ = sidecar
    const said = await talk(
      port,
      get,
      shows === undefined ? {} : { cert: shows.cert, key: shows.key },
    )
    t.equal(said.startsWith('HTTP/1.1 200'), let_in, `${more}: ${said.slice(0, 40)}`)
    if (why === undefined) continue
    await sidecar.recorded(0, 1)
    t.equal(sidecar.connections[0]?.flags, Flag.DPE)
    t.match(sidecar.connections[0]?.upstreamFailure, why)
    t.equal(sidecar.connections[0]?.downstreamRemote.address, '127.0.0.1', 'the log says who')
  }
})

test('versions and cipher suites are those that were listed', async (t) => {
  const more =
    'mode: SIMPLE, minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]'
  const { port, sidecar } = await ending(t, await application(t), more)
  await using _ = sidecar
  t.match(await talk(port, get, { minVersion: 'TLSv1.3' }), /EPROTO|ERR_SSL|ECONNRESET|closed/)
  const socket = connectTls({ host: own, port, ca: authority.cert, servername: 'me.example' })
  await new Promise((done) => socket.once('secureConnect', done))
  t.equal(socket.getProtocol(), 'TLSv1.2')
  t.equal(socket.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384')
  socket.destroy()
})

test('a client that speaks no TLS is refused, and the proxy lives on', async (t) => {
  const { port, sidecar } = await ending(t, await application(t), 'mode: SIMPLE')
  await using _ = sidecar
  const socket = connect({ host: own, port })
  socket.write(get)
  t.notMatch(await everything(socket), /200/)
  await sidecar.recorded(0, 1)
  const [refused] = sidecar.connections
  t.equal(
    refused?.upstreamFailure,
    'the TLS handshake failed: http request (ERR_SSL_HTTP_REQUEST)',
    'without what only OpenSSL understands',
  )
  t.equal(refused?.downstreamRemote.address, '127.0.0.1')
  t.match(await talk(port, get), / 200 OK/)
})

test('files that change are shown to the next client, broken ones change nothing', async (t) => {
  const { port, sidecar, write } = await ending(t, await application(t), 'mode: SIMPLE')
  await using _ = sidecar
  const named = async (): Promise<string | undefined> => {
    const socket = connectTls({ host: own, port, ca: authority.cert, servername: 'x' })
    socket.on('error', () => undefined)
    const names = await new Promise<string | undefined>((done) => {
      socket.once('close', () => done('closed'))
      socket.once('secureConnect', () => done(''))
      socket.on('error', (error) =>
        done(/altnames: (.*)/.exec(error.message)?.[1] ?? error.message),
      )
    })
    socket.destroy()
    return names
  }
  t.match(await named(), /me\.example/)
  const next = authority.issue({ names: ['next.example'] })
  write('key.pem', next.key)
  write('cert.pem', next.cert)
  const until = Date.now() + 5_000
  let seen = await named()
  while (!seen?.includes('next.example') && Date.now() < until) {
    await new Promise((done) => setTimeout(done, 50))
    seen = await named()
  }
  t.match(seen, /next\.example/)
  write('cert.pem', 'broken')
  while (sidecar.notes.length === 0 && Date.now() < until + 5_000) {
    await new Promise((done) => setTimeout(done, 50))
    t.match(await named(), /next\.example/)
  }
  t.match(sidecar.notes[0], /former files stay in force/)
})
