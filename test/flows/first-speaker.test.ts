import { connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'tap'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { everything, freePort } from '../support/sockets.ts'
import { ask, listening, Upstream } from '../support/upstream.ts'

/** A sidecar with one bound port for `db`, whose Service port declares no protocol. */
async function bound(target: number) {
  const port = await freePort()
  const binds = [{ service: 'db', port: 80, listen: { address: '127.0.0.1', port } }]
  const sidecar = await Sidecar.start({ yaml: serviceYaml('db', [target], 'undeclared'), binds })
  return { sidecar, port }
}

function close(server: Server): Promise<unknown> {
  return new Promise((done) => server.close(done))
}

function firstBytes(socket: Socket): Promise<string> {
  return new Promise((done, failed) => {
    socket.once('data', (chunk) => done(chunk.toString()))
    socket.once('error', failed)
    socket.once('close', () => done('closed'))
  })
}

test('a server that speaks first is heard on a port that nobody declared', async (t) => {
  const server = createServer((socket) => {
    socket.write('220 ready\r\n')
    socket.on('data', (chunk) => socket.end(`got ${chunk}`))
    socket.on('error', () => undefined)
  })
  const { sidecar, port } = await bound(await listening(server))
  await using _ = sidecar
  const client = connect(port, '127.0.0.1')
  t.equal(await firstBytes(client), '220 ready\r\n')
  client.write('hello')
  t.equal(await firstBytes(client), 'got hello')
  await sidecar.recorded(0, 1)
  t.equal(sidecar.connections[0]?.flags, 0)
  t.equal(sidecar.connections[0]?.receivedBytes, 5)
  client.destroy()
  await close(server)
})

test('a client that spoke late is still read as HTTP, and no connection is left over', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('late but HTTP'))
  let dials = 0
  upstream.server.on('connection', () => {
    dials++
  })
  const { sidecar, port } = await bound(upstream.port)
  await using _ = sidecar
  const client = connect(port, '127.0.0.1')
  // The probe of the silent connection is what the upstream sees first.
  await new Promise((done) => upstream.server.once('connection', done))
  client.write('GET / HTTP/1.1\r\nHost: db\r\n')
  await new Promise((done) => setImmediate(done))
  client.write('Connection: close\r\n\r\n')
  t.match(await everything(client), /^HTTP\/1\.1 200 OK\r\n[\s\S]*late but HTTP$/)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.status, 200)
  t.equal(sidecar.connections.length, 0)
  t.equal(dials, 2, 'one probe, one for the request')
  client.destroy()
})

test('HTTP that comes at once costs no probe', async (t) => {
  let dials = 0
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  upstream.server.on('connection', () => {
    dials++
  })
  const { sidecar, port } = await bound(upstream.port)
  await using _ = sidecar
  t.equal((await ask(port, { headers: { host: 'anything' } })).body, 'ok')
  t.equal(dials, 1)
})
