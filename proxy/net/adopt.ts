/**
 * Makes accepted sockets receive through `onread`, which Node offers for outgoing sockets only: the
 * handle of a socket accepted with pauseOnConnect moves to a new Socket. The field it moves through
 * (`_handle`) is not public API, so `checkAdoption` tries it at start; where it does not hold,
 * connections receive through `data` events, slower but the same.
 */
import { connect, createServer, type Server, Socket } from 'node:net'
import { Side } from '../base/errors.ts'
import type { Address } from './address.ts'
import { directWrites } from './direct-write.ts'
import { writeHighMark } from './outlet.ts'
import { SocketConnection } from './socket-connection.ts'

interface WithHandle {
  _handle: unknown
}

/** The accepted socket (paused) as a Connection; `adopting` false uses `data` events. */
export function adoptAccepted(
  accepted: Socket,
  adopting: boolean,
  originalDestination?: Address,
): SocketConnection {
  const connection = new SocketConnection(Side.Downstream, originalDestination)
  if (!adopting) {
    connection.attach(accepted, true)
    accepted.resume()
    return connection
  }
  connection.attach(adoptedSocket(accepted, connection))
  return connection
}

/** The socket that takes over the handle of `accepted`. */
function adoptedSocket(accepted: Socket, connection: SocketConnection): Socket {
  const former = accepted as unknown as WithHandle
  const handle = former._handle
  former._handle = null
  accepted.destroy()
  const options = {
    handle,
    allowHalfOpen: true,
    writableHighWaterMark: writeHighMark,
    onread: connection.onread(),
  }
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
}

/**
 * Tries adoption over a loopback connection: bytes, half-close and addresses must behave. Looks by the
 * way how this Node writes (direct-write.ts).
 */
export async function checkAdoption(): Promise<boolean> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  try {
    return await tryAdoption(server)
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function tryAdoption(server: Server): Promise<boolean> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', done)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return false
  return new Promise<boolean>((done) => {
    const client = connect({ port: bound.port, host: '127.0.0.1', allowHalfOpen: true })
    let text = ''
    client.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    client.on('error', () => done(false))
    client.on('close', () => done(text === 'ping'))
    client.end('ping')
    server.once('connection', (accepted) => {
      const connection = new SocketConnection(Side.Downstream)
      const socket = adoptedSocket(accepted, connection)
      directWrites.watch(socket)
      connection.attach(socket)
      echo(connection, client.localPort)
    })
  })
}

function echo(connection: SocketConnection, clientPort: number | undefined): void {
  connection.receiveWith({
    onBytes: (buffer, start, end) => connection.write(buffer.subarray(start, end)),
    onEnd: () => (connection.remote.port === clientPort ? connection.end() : connection.destroy()),
    onClose: () => undefined,
    onWritable: () => undefined,
  })
}
