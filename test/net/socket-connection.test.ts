import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net'
import { test } from 'tap'
import { wheel } from '../../proxy/base/timer-wheel.ts'
import { adoptAccepted, checkAdoption } from '../../proxy/net/adopt.ts'
import type { ByteReceiver } from '../../proxy/net/connection.ts'
import { directWrites } from '../../proxy/net/direct-write.ts'
import { writeHighMark } from '../../proxy/net/outlet.ts'
import { receiveBuffers } from '../../proxy/net/receive-buffers.ts'
import { SocketConnection } from '../../proxy/net/socket-connection.ts'
import { Splice } from '../../proxy/net/splice.ts'

/** A server whose accepted sockets are given to `accept` as Connections. */
async function serve(
  adopting: boolean,
  accept: (c: SocketConnection) => void,
  direct = false,
): Promise<Server> {
  directWrites.works = direct
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
    accept(adoptAccepted(socket, adopting)),
  )
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}

const portOf = (server: Server): number => (server.address() as { port: number }).port

function everything(socket: Socket): Promise<Buffer> {
  return new Promise((done, failed) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => done(Buffer.concat(chunks)))
    socket.on('error', failed)
  })
}

function silent(parts: Partial<ByteReceiver>): ByteReceiver {
  return { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {}, ...parts }
}

test('adoption works on this Node', async (t) => {
  t.equal(await checkAdoption(), true)
})

test('this Node writes in a way that connections can follow', async (t) => {
  t.equal(directWrites.works, true)
})

test('a Node that wants a request object for each write is left to write itself', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  const client = connect(portOf(server), '127.0.0.1')
  await new Promise((done) => client.once('connect', done))
  directWrites.watch(client)
  const { _handle: handle } = client as unknown as {
    _handle: { writeLatin1String(request: unknown, text: string): unknown }
  }
  handle.writeLatin1String({}, 'x')
  t.equal(directWrites.works, false)
  t.equal(directWrites.allowedFor(client), false)
  client.destroy()
  server.close()
})

for (const how of ['direct', 'onread', 'data events']) {
  const adopting = how !== 'data events'
  const served = (accept: (c: SocketConnection) => void) =>
    serve(adopting, accept, how === 'direct')

  test(`text held back leaves in one piece with the bytes behind it (${how})`, async (t) => {
    const server = await served((c) =>
      c.receiveWith(
        silent({
          onBytes(buffer, start, end) {
            c.writeText('head\r\n')
            c.writeText('more\r\n')
            c.write(buffer.subarray(start, end))
            c.writeText('tail')
            c.end()
          },
        }),
      ),
    )
    const client = connect(portOf(server), '127.0.0.1')
    client.end('body')
    t.equal((await everything(client)).toString(), 'head\r\nmore\r\nbodytail')
    server.close()
  })

  test(`a splice keeps every byte with a slow reader and large buffers (${how})`, async (t) => {
    const payload = Buffer.allocUnsafe(24 * 1024 * 1024)
    for (let i = 0; i < payload.length; i += 4) payload.writeUInt32LE(i, i)
    const origin = createServer((socket) => socket.end(payload))
    await new Promise<void>((done) => origin.listen(0, '127.0.0.1', done))
    const ended = new Promise<Error | undefined>((done) => {
      served((down) => {
        const up = new SocketConnection('upstream')
        const socket = connect({
          port: portOf(origin),
          host: '127.0.0.1',
          allowHalfOpen: true,
          writableHighWaterMark: writeHighMark,
          onread: up.onread(),
        } as unknown as NetConnectOpts)
        up.attach(socket)
        socket.once('connect', () => new Splice(down, up, { onSpliceEnd: done }, wheel, 0).start())
      }).then((server) => {
        const client = connect(portOf(server), '127.0.0.1')
        client.pause()
        client.once('readable', () => {
          setImmediate(() => {
            everything(client).then((got) => {
              t.ok(got.equals(payload), `${got.length} bytes arrived as sent`)
              server.close()
            }, t.threw)
          })
        })
      }, t.threw)
    })
    t.equal(await ended, undefined)
    origin.close()
    t.equal(receiveBuffers.inFlightBytes, 0, 'all large buffers came back')
  })

  test(`a buffer lent below the high mark of a socket comes back (${how})`, async (t) => {
    const piece = Buffer.alloc(40 * 1024, 'x')
    const pieces = 400
    const origin = createServer((socket) => {
      let sent = 0
      const pour = () =>
        ++sent > pieces ? socket.end() : socket.write(piece, () => setImmediate(pour))
      pour()
    })
    await new Promise<void>((done) => origin.listen(0, '127.0.0.1', done))
    const server = await served((down) => {
      const up = new SocketConnection('upstream')
      const port = portOf(origin)
      const options = { port, host: '127.0.0.1', allowHalfOpen: true, onread: up.onread() }
      const socket = connect(options as unknown as NetConnectOpts)
      up.attach(socket)
      socket.once('connect', () => new Splice(down, up, { onSpliceEnd() {} }, wheel, 0).start())
      // The client reads once everything on the way to it is full.
      const look = () => (down.queuedBytes > 0 ? client.resume() : setImmediate(look))
      look()
    })
    let got = 0
    const client = connect(portOf(server), '127.0.0.1')
    client.pause()
    client.on('data', (chunk) => {
      got += chunk.length
    })
    await new Promise((done) => client.once('end', done))
    t.equal(got, pieces * piece.length)
    client.end()
    origin.close()
    server.close()
  })

  test(`after the client's FIN the other direction goes on (${how})`, async (t) => {
    const server = await served((c) =>
      c.receiveWith(
        silent({
          onEnd() {
            c.writeText('still writing')
            c.end()
          },
        }),
      ),
    )
    const client = connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true })
    client.end()
    t.equal((await everything(client)).toString(), 'still writing')
    server.close()
  })

  test(`a reset by the client is a failure on its side (${how})`, async (t) => {
    const error = await new Promise<{ code: string; side: string } | undefined>((done) => {
      served((c) => {
        c.receiveWith(silent({ onBytes: () => c.writeText('go'), onClose: done }))
      }).then((server) => {
        const client = connect(portOf(server), '127.0.0.1')
        client.write('hello')
        client.once('data', () => {
          client.resetAndDestroy()
          server.close()
        })
      }, t.threw)
    })
    t.equal(error?.code, 'downstream_remote_disconnect')
    t.equal(error?.side, 'downstream')
  })

  test(`what the kernel does not take at once arrives in order, then writing goes on (${how})`, async (t) => {
    const long = 'y'.repeat(writeHighMark * 3)
    const wanted: string[] = []
    const accepted = new Promise<SocketConnection>((done) => {
      served(done).then((server) => {
        t.teardown(() => server.close())
        client = connect(portOf(server), '127.0.0.1').pause()
      }, t.threw)
    })
    let client: Socket | undefined
    const c = await accepted
    const writable = new Promise<void>((done) => c.receiveWith(silent({ onWritable: done })))
    for (let i = 0, flowing = true; flowing; i++) {
      const pieces = [`<${i}`, long, `small ${i}`, `>${i}`]
      wanted.push(...pieces)
      c.writeText(pieces[0]!)
      c.write(Buffer.from(pieces[1]!))
      flowing = c.write(Buffer.from(pieces[2]!))
      c.writeText(pieces[3]!)
      if (i % 7 === 0) await new Promise((done) => setImmediate(done))
    }
    t.ok(c.queuedBytes > 0)
    const got = everything(client!)
    client!.resume()
    await writable
    t.equal(c.queuedBytes, 0)
    t.equal(c.write(Buffer.from('last')), true)
    c.end()
    const whole = (await got).toString('latin1')
    t.equal(whole === `${wanted.join('')}last`, true, 'all of it, in order')
    t.equal(c.bytesWritten, whole.length)
    client!.end()
  })

  test(`large reads of the shared buffer reach a slow reader as they came (${how})`, async (t) => {
    const payload = Buffer.allocUnsafe(16 * 1024 * 1024)
    for (let i = 0; i < payload.length; i += 4) payload.writeUInt32LE(i, i)
    const connections: SocketConnection[] = []
    let both: () => void = () => undefined
    const two = new Promise<void>((done) => {
      both = done
    })
    const server = await served((c) => {
      if (connections.push(c) === 2) both()
    })
    t.teardown(() => server.close())
    const reader = connect(portOf(server), '127.0.0.1').pause()
    await new Promise((done) => reader.once('connect', done))
    const writer = connect(portOf(server), '127.0.0.1')
    await two
    const [to, from] = connections as [SocketConnection, SocketConnection]
    to.receiveWith(silent({ onWritable: () => from.resume(1) }))
    const sent: Buffer[] = []
    from.receiveWith(
      silent({
        onBytes(buffer, start, end) {
          // Now and then text goes before, as heads do.
          if (sent.length % 3 === 0) {
            to.writeText('head')
            sent.push(Buffer.from('head'))
          }
          sent.push(Buffer.from(buffer.subarray(start, end)))
          if (!to.write(buffer.subarray(start, end))) from.pause(1)
        },
        onEnd() {
          to.end()
          from.end()
        },
      }),
    )
    writer.end(payload)
    const look = () => (to.queuedBytes > 0 ? reader.resume() : setImmediate(look))
    const got = everything(reader)
    look()
    t.equal((await got).equals(Buffer.concat(sent)), true)
    t.ok(to.bytesWritten > payload.length)
    reader.end()
    t.equal(receiveBuffers.inFlightBytes, 0, 'no copy is left over')
  })

  test(`a write after the peer's reset ends the connection with its error (${how})`, async (t) => {
    const closed = new Promise<{ code: string; message: string } | undefined>((done) => {
      served((c) => {
        c.receiveWith(silent({ onClose: done }))
        c.pause(1)
        // Not reading, it learns of the reset by writing.
        const write = () => {
          c.write(Buffer.from('into the void'))
          if (!c.closing) setImmediate(write)
        }
        write()
      }).then((server) => {
        t.teardown(() => server.close())
        const client = connect(portOf(server), '127.0.0.1', () => client.resetAndDestroy())
      }, t.threw)
    })
    const error = await closed
    t.equal(error?.code, 'downstream_remote_disconnect')
    t.match(error?.message, /^the connection broke: (EPIPE|ECONNRESET)$/)
  })
}

test('a paused connection reads nothing until the last reason is gone', async (t) => {
  const got: string[] = []
  const server = await serve(true, (c) => {
    c.pause(1)
    c.pause(2)
    c.receiveWith(
      silent({
        onBytes(buffer, start, end) {
          got.push(buffer.toString('latin1', start, end))
          c.end()
        },
      }),
    )
    setImmediate(() => {
      t.strictSame(got, [])
      c.resume(1)
      setImmediate(() => {
        t.strictSame(got, [])
        c.resume(2)
      })
    })
  })
  const client = connect(portOf(server), '127.0.0.1')
  client.end('x')
  await everything(client)
  t.strictSame(got, ['x'])
  server.close()
})
test('a connection that gives up its lent buffer reads on, and needs no word that it came back', async (t) => {
  const accepted: SocketConnection[] = []
  let both: () => void = () => undefined
  const two = new Promise<void>((done) => {
    both = done
  })
  const server = await serve(true, (c) => {
    c.receiveWith(silent({}))
    if (accepted.push(c) === 2) both()
  })
  const reader = connect(portOf(server), '127.0.0.1').pause()
  await new Promise((done) => reader.once('connect', done))
  const writer = connect(portOf(server), '127.0.0.1')
  await two
  const [sink, source] = accepted as [SocketConnection, SocketConnection]
  // Nobody reads: what is written from here on stays in the queue and keeps its buffer.
  while (sink.queuedBytes === 0) sink.write(Buffer.alloc(1024 * 1024))
  let heard: (text: string) => void = () => undefined
  const next = () =>
    new Promise<string>((done) => {
      heard = done
    })
  source.expectBulk(true)
  source.receiveWith(
    silent({
      onBytes(buffer, start, end) {
        const chunk = buffer.subarray(start, end)
        if (chunk.length >= writeHighMark) {
          sink.write(chunk)
          source.expectBulk(false)
          heard('lent')
        } else heard(chunk.toString())
      },
    }),
  )
  let answer = next()
  writer.write('first')
  t.equal(await answer, 'first')
  answer = next()
  writer.write(Buffer.alloc(writeHighMark * 2))
  t.equal(await answer, 'lent')
  answer = next()
  writer.write('last')
  t.equal(await answer, 'last')
  t.ok(receiveBuffers.inFlightBytes > 0, 'the write still has the buffer')
  for (const socket of [reader, writer]) socket.destroy()
  server.close()
})
