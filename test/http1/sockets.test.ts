import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { wheel } from '../../proxy/base/timer-wheel.ts'
import { openConnections } from '../../proxy/net/socket-connection.ts'
import { CorpusProxy } from './corpus-proxy.ts'

interface World {
  readonly proxy: CorpusProxy
  readonly backend: Server
  client(): Socket
}

/** A backend, the proxy of two codecs before it, and clients. */
async function world(t: Test, onSocket: (socket: Socket) => void): Promise<World> {
  const sockets: Socket[] = []
  const backend = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  await new Promise<void>((done) => backend.listen(0, '127.0.0.1', done))
  const proxy = new CorpusProxy((backend.address() as AddressInfo).port)
  const port = await proxy.open()
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    backend.close()
    proxy.close()
  })
  const client = (): Socket => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => undefined)
    sockets.push(socket)
    return socket
  }
  return { proxy, backend, client }
}

/** Everything until the end of the connection. */
function all(socket: Socket): Promise<Buffer> {
  return new Promise((done) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk as Buffer))
    socket.on('close', () => done(Buffer.concat(chunks)))
    socket.on('end', () => socket.end())
  })
}

/** Waits until what was received contains `text`. */
function until(socket: Socket, text: string): Promise<string> {
  return new Promise((done) => {
    let seen = ''
    const look = (chunk: Buffer): void => {
      seen += chunk.toString('latin1')
      if (!seen.includes(text)) return
      socket.off('data', look)
      done(seen)
    }
    socket.on('data', look)
  })
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((done) => socket.once(event, () => done()))
}

t.test('a client that uploads 10 MiB and reads only then still reads the early 413', async (t) => {
  const { client } = await world(t, (socket) => {
    socket.once('data', () =>
      socket.end('HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large'),
    )
  })
  for (let i = 0; i < 5; i++) {
    const socket = client()
    socket.pause()
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n')
    for (let sent = 0; sent < 160; sent++)
      if (!socket.write(Buffer.alloc(65_536)) && !socket.destroyed)
        await Promise.race([once(socket, 'drain'), once(socket, 'close')])
    const reply = all(socket)
    socket.resume()
    t.match(
      (await reply).toString('latin1'),
      /^HTTP\/1.1 413 [\s\S]*connection: close\r\n\r\ntoo large$/,
    )
  }
})

t.test('64 MiB to a reader that stops: the upstream is held back, then all arrives', async (t) => {
  const size = 64 * 1024 * 1024
  const piece = Buffer.alloc(65_536, 'x')
  let written = 0
  const { client } = await world(t, (socket) => {
    const more = (): void => {
      while (written < size) {
        written += piece.length
        if (!socket.write(piece)) return
      }
    }
    socket.on('drain', more)
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      more()
    })
  })
  const socket = client()
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await once(socket, 'readable')
  // Nobody reads: what the backend got rid of lies in kernel buffers and in the proxy.
  let last = -1
  for (let quiet = 0; quiet < 5; quiet = written === last ? quiet + 1 : 0) {
    last = written
    await new Promise((done) => setTimeout(done, 10))
  }
  t.ok(written < size / 2, `only ${written} bytes were taken from the backend`)
  const received = (await all(socket)).length
  t.ok(received > size, `${received} bytes came`)
})

t.test(
  'an HTTP/1.0 client that reads slowly gets all of a reply that ends with the connection',
  async (t) => {
    const size = 8 * 1024 * 1024
    const { client } = await world(t, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.end(Buffer.alloc(size, 'y'))
      })
    })
    const socket = client()
    socket.write('GET / HTTP/1.0\r\n\r\n')
    let received = 0
    for await (const chunk of socket) {
      received += (chunk as Buffer).length
      await new Promise((done) => setImmediate(done))
    }
    socket.destroy()
    t.ok(received > size)
  },
)

t.test('bytes on both sides of a switch of protocols belong to the new one, once', async (t) => {
  const { client } = await world(t, (socket) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      const end = seen.indexOf('\r\n\r\n')
      if (end >= 0 && !seen.startsWith('#')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ',
        )
        socket.write(seen.slice(end + 4))
        seen = '#\r\n\r\n'
      } else socket.write(chunk)
    })
    socket.on('end', () => socket.end(' bye'))
  })
  const socket = client()
  const received = all(socket)
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst ')
  await once(socket, 'connect')
  socket.end('last')
  const text = (await received).toString('latin1')
  t.match(text, /^HTTP\/1.1 101 [\s\S]*\r\n\r\nhello first last bye$/)
})

t.test('requests after each other share one upstream connection', async (t) => {
  let connections = 0
  const { client, proxy } = await world(t, (socket) => {
    connections++
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  })
  const socket = client()
  for (let i = 0; i < 20; i++) {
    const reply = until(socket, '\r\n\r\nok')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await reply
  }
  t.equal(connections, 1)
  t.equal(proxy.ledger.reused, 19)
})

t.test('a client that goes away takes its upstream request with it', async (t) => {
  const gone = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const { client, proxy } = await world(t, (socket) => {
    socket.once('data', () => asked.resolve())
    socket.on('close', () => gone.resolve())
    socket.on('end', () => socket.end())
  })
  const socket = client()
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await asked.promise
  socket.resetAndDestroy()
  await gone.promise
  t.equal(proxy.ledger.aborted, 1)
})

t.test('nothing is left: no connection, no timer', async (t) => {
  for (let i = 0; i < 300 && (openConnections.count > 0 || wheel.size > 0); i++)
    await new Promise((done) => setTimeout(done, 10))
  t.equal(openConnections.count, 0)
  t.equal(wheel.size, 0)
})
