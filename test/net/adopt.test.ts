import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect, createServer, type Server, type Socket } from 'node:net'
import t from 'tap'
import { adoptHandle, bareAccepts, checkAdoption, takeHandles } from '../../proxy/net/adopt.ts'
import { Listener } from '../../proxy/net/listener.ts'
import type { SocketConnection } from '../../proxy/net/socket-connection.ts'

type GetOption = (fd: number, level: number, name: number, value: Buffer, size: Buffer) => number

/** From <linux/in.h> and <linux/tcp.h>. */
const tcpLevel = 6
const noDelayOption = 1

function sendsAtOnce(connection: SocketConnection): boolean {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const getOption = koffi
    .load(null)
    .func('int getsockopt(int fd, int level, int name, void *value, void *size)') as GetOption
  const { socket } = connection as unknown as { socket: { _handle: { fd: number } } }
  const value = Buffer.alloc(4)
  const size = Buffer.from([4, 0, 0, 0])
  const status = getOption(socket._handle.fd, tcpLevel, noDelayOption, value, size)
  return status === 0 && value.readInt32LE() !== 0
}

/** Echoes, and ends when the client does. */
function echo(connection: SocketConnection): void {
  connection.receiveWith({
    onBytes: (buffer, start, end) => connection.write(buffer.subarray(start, end)),
    onEnd: () => connection.end(),
    onClose() {},
    onWritable() {},
  })
}

async function answerTo(client: Socket): Promise<string> {
  let text = ''
  client.setEncoding('latin1')
  client.on('data', (chunk) => {
    text += chunk
  })
  client.end('ping')
  await once(client, 'close')
  return text
}

t.test('this Node lets connections be taken before it makes sockets of them', async (t) => {
  t.equal(await checkAdoption(), true)
  t.equal(bareAccepts.works, true)
})

for (const bare of [true, false]) {
  const how = bare ? 'a handle is taken' : 'a socket is taken over'
  for (const address of ['127.0.0.1', '0.0.0.0'])
    t.test(
      `where ${how} (${address}) bytes, ends and addresses are as they should be`,
      async (t) => {
        bareAccepts.works = bare
        const accepted: SocketConnection[] = []
        const options = { address, port: 0, reusePort: false, captured: false, adopting: true }
        const listener = await Listener.open(options, (connection) => {
          accepted.push(connection)
          echo(connection)
        })
        t.teardown(() => listener.close())
        const { port } = listener.address
        const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
        await once(client, 'connect')
        const remote = { address: '127.0.0.1', port: client.localPort }
        // Asked for while the connection stands.
        const seen = new Promise((done) => {
          client.once('data', () => {
            const [connection] = accepted
            const { local } = connection!
            t.match(local, { address: '127.0.0.1', port })
            t.same(connection!.remote, remote)
            done(sendsAtOnce(connection!))
          })
        })
        t.equal(await answerTo(client), 'ping')
        t.equal(await seen, true, 'small writes are not held back by the kernel')
        t.equal(accepted.length, 1)
      },
    )
}

t.test(
  'a captured connection has its original destination when it is taken as a handle',
  async (t) => {
    bareAccepts.works = true
    const options = {
      address: '127.0.0.1',
      port: 0,
      reusePort: false,
      captured: true,
      adopting: true,
    }
    const { promise, resolve } = Promise.withResolvers<SocketConnection>()
    const listener = await Listener.open(options, (connection) => {
      resolve(connection)
      echo(connection)
    })
    t.teardown(() => listener.close())
    const client = connect(listener.address.port, '127.0.0.1')
    const { originalDestination } = await promise
    // Which of both depends on whether this machine tracks connections.
    if (originalDestination !== undefined) t.same(originalDestination, listener.address)
    t.equal(await answerTo(client), 'ping')
  },
)

t.test('a Node without such a place goes on making sockets', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { _handle: handle } = server as unknown as { _handle: { onconnection: unknown } }
  const { onconnection } = handle
  handle.onconnection = undefined
  t.equal(takeHandles(server, unexpected), false)
  handle.onconnection = onconnection
  t.equal(takeHandles(closed(), unexpected), false, 'nor is there one when it does not listen')
  const client = connect(portOf(server), '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.destroy()
  client.destroy()
  server.close()
})

t.test('what the system could not accept is told by the server', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.equal(takeHandles(server, unexpected), true)
  const { _handle: handle } = server as unknown as {
    _handle: { onconnection(status: number, accepted: undefined): void }
  }
  const failed = once(server, 'error')
  handle.onconnection(-24, undefined)
  t.match(await failed, [{ code: 'EMFILE' }])
  server.close()
})

t.test('a server that stops listening leaves taken connections alone', async (t) => {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { promise, resolve } = Promise.withResolvers<void>()
  takeHandles(server, (handle) => {
    echo(adoptHandle(handle, false))
    resolve()
  })
  const client = connect(portOf(server), '127.0.0.1')
  await promise
  const closing = once(server, 'close')
  server.close()
  await closing
  t.equal(await answerTo(client), 'ping')
})

function portOf(server: Server): number {
  return (server.address() as { port: number }).port
}

function closed(): Server {
  return createServer()
}

function unexpected(): void {
  t.fail('nothing is taken')
}
