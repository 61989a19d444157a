/** HTTP connections as clients really use them: several requests at once, half closed, slow, kept. */
import { connect } from 'node:net'
import { test } from 'tap'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { everything } from '../support/sockets.ts'
import { Upstream } from '../support/upstream.ts'

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: web\r\n${more}\r\n`

/** The bodies `<path>` in the order in which they came. */
function bodies(text: string): string[] {
  return [...text.matchAll(/<([^>]*)>/g)].map((found) => found[1] ?? '')
}

test('requests sent at once are answered in order, whatever the upstream takes for each', async (t) => {
  const held: Array<() => void> = []
  await using upstream = await Upstream.start((incoming, reply) => {
    const answer = () => reply.end(`<${incoming.url}>`)
    if (incoming.url === '/0') held.push(answer)
    else answer()
    if (incoming.url === '/0') setImmediate(() => held.pop()?.())
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`)
  const socket = connect(sidecar.port, '127.0.0.1')
  const last = get('/last', 'Connection: close\r\n')
  socket.write(paths.map((path) => get(path)).join('') + last)
  const text = await everything(socket)
  t.same(bodies(text), [...paths, '/last'])
  t.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 21)
  await sidecar.recorded(21)
  t.equal(sidecar.exchanges.length, 21)
})

test('a POST between GETs keeps its body to itself', async (t) => {
  await using upstream = await Upstream.start(async (incoming, reply) => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    reply.end(`<${incoming.method} ${incoming.url} ${body}>`)
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const socket = connect(sidecar.port, '127.0.0.1')
  const chunked =
    'POST /c HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
  const fixed = 'POST /f HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nGET '
  socket.write(get('/a') + chunked + get('/b') + fixed + get('/z', 'Connection: close\r\n'))
  t.same(bodies(await everything(socket)), [
    'GET /a ',
    'POST /c abc',
    'GET /b ',
    'POST /f GET ',
    'GET /z ',
  ])
})

test('a client that ends its side still gets the reply', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    incoming.resume().on('end', () => setImmediate(() => reply.end('<late>')))
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const socket = connect({ port: sidecar.port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(get('/'))
  t.same(bodies(await everything(socket)), ['late'])
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]?.status, 200)
})

test('a client that sends its request byte by byte is served like any other', async (t) => {
  await using upstream = await Upstream.start(async (incoming, reply) => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    reply.end(`<${body}>`)
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const socket = connect({ port: sidecar.port, host: '127.0.0.1', noDelay: true })
  const got = everything(socket)
  const text =
    'POST / HTTP/1.1\r\nHost: web\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
  for (const byte of text)
    await new Promise<void>((done) => socket.write(byte, () => setImmediate(done)))
  t.same(bodies(await got), ['ok'])
})

test('one connection of the client serves many requests, and so does one to the upstream', async (t) => {
  const ports = new Set<number | undefined>()
  await using upstream = await Upstream.start((incoming, reply) => {
    ports.add(incoming.socket.remotePort)
    reply.end(`<${incoming.url}>`)
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const socket = connect(sidecar.port, '127.0.0.1')
  for (let i = 0; i < 50; i++) {
    const answered = new Promise<string>((done) => socket.once('data', (c) => done(String(c))))
    socket.write(get(`/${i}`))
    t.same(bodies(await answered), [`/${i}`])
  }
  t.equal(ports.size, 1)
  socket.destroy()
})
