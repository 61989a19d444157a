/**
 * Makes accepted sockets receive through `onread`, which Node offers for outgoing sockets only. The
 * listening handle gives its accepted handles to us (`takeHandles`), before Node makes sockets of them
 * that would be thrown away: a tenth of the CPU of a short connection. Where that does not hold, the
 * handle of a socket accepted with pauseOnConnect moves to a new Socket. The fields this goes through
 * (`onconnection`, `_handle`) are not public API, so `checkAdoption` tries both at start; where neither
 * holds, connections receive through `data` events, slower but the same.
 */
import { connect, createServer, type Server, Socket } from 'node:net'
import { clock } from '../base/clock.ts'
import { Side } from '../base/errors.ts'
import { type Address, canonicalAddress } from './address.ts'
import { directWrites } from './direct-write.ts'
import { originalDestinationOf } from './original-destination.ts'
import { writeHighMark } from './outlet.ts'
import { SocketConnection } from './socket-connection.ts'

/** What the system accepted: what a socket would be made over. */
export interface AcceptedHandle {
  readonly fd?: number
  /** Not for unix sockets. */
  setNoDelay?(enable: boolean): void
  getsockname?(into: { address?: string; port?: number }): number
}

interface ListeningHandle {
  onconnection?: (status: number, accepted: AcceptedHandle | undefined) => void
  setNoDelay?(enable: boolean): void
}

interface WithHandle<Handle> {
  _handle: Handle | null
}

/** Whether `takeHandles` works on this Node: set by the check at start. */
export const bareAccepts = { works: false }

/** Linux hands this on from the listening socket to those it accepts. */
const handsOnNoDelay = process.platform === 'linux'

/**
 * From now on connections to `server` (listening, without delay) go to `take`, and Node makes no sockets
 * of them. False: this Node has no such place.
 */
export function takeHandles(server: Server, take: (handle: AcceptedHandle) => void): boolean {
  const listening = (server as unknown as WithHandle<ListeningHandle>)._handle
  const own = listening?.onconnection
  if (listening === null || typeof own !== 'function') return false
  if (handsOnNoDelay) listening.setNoDelay?.(true)
  listening.onconnection = function (this: ListeningHandle, status, accepted) {
    if (status !== 0 || accepted === undefined) own.call(this, status, accepted)
    else {
      if (!handsOnNoDelay) accepted.setNoDelay?.(true)
      take(accepted)
    }
  }
  return true
}

/** A handle from `takeHandles` as a Connection; `local`: where it was accepted, if that is known. */
export function adoptHandle(
  handle: AcceptedHandle,
  captured: boolean,
  local: Address = localOf(handle),
): SocketConnection {
  clock.refresh()
  const original = captured ? originalDestinationOf(handle.fd ?? -1, local.address) : undefined
  const connection = new SocketConnection(Side.Downstream, original, local)
  connection.attach(socketOver(handle, connection))
  return connection
}

function localOf(handle: AcceptedHandle): Address {
  const name: { address?: string; port?: number } = {}
  handle.getsockname?.(name)
  return { address: canonicalAddress(name.address ?? ''), port: name.port ?? 0 }
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
  const former = accepted as unknown as WithHandle<AcceptedHandle>
  const handle = former._handle
  former._handle = null
  accepted.destroy()
  return socketOver(handle, connection)
}

function socketOver(handle: AcceptedHandle | null, connection: SocketConnection): Socket {
  const options = {
    handle,
    allowHalfOpen: true,
    writableHighWaterMark: writeHighMark,
    onread: connection.onread(),
  }
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
}

/**
 * Tries adoption over loopback connections: bytes, half-close and addresses must behave. Looks by the
 * way how this Node writes (direct-write.ts), and whether handles can be taken.
 */
export async function checkAdoption(): Promise<boolean> {
  bareAccepts.works = false
  if (!(await adopts(false))) return false
  bareAccepts.works = await adopts(true)
  return true
}

async function adopts(bare: boolean): Promise<boolean> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  try {
    return await tryAdoption(server, bare)
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function tryAdoption(server: Server, bare: boolean): Promise<boolean> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', done)
  })
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return false
  return new Promise<boolean>((done) => {
    const taken = (handle: AcceptedHandle) => echo(adoptHandle(handle, false), client)
    if (bare && !takeHandles(server, taken)) {
      done(false)
      return
    }
    server.once('connection', (accepted) => {
      if (bare) accepted.destroy()
      else echo(watched(accepted), client)
    })
    const client = connect({ port: bound.port, host: '127.0.0.1', allowHalfOpen: true })
    let text = ''
    client.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    client.on('error', () => done(false))
    client.on('close', () => done(text === 'ping'))
    client.end('ping')
  })
}

function watched(accepted: Socket): SocketConnection {
  const connection = new SocketConnection(Side.Downstream)
  const socket = adoptedSocket(accepted, connection)
  directWrites.watch(socket)
  connection.attach(socket)
  return connection
}

/** Ends after `client` only if it is told where that came from. */
function echo(connection: SocketConnection, client: Socket): void {
  connection.receiveWith({
    onBytes: (buffer, start, end) => connection.write(buffer.subarray(start, end)),
    onEnd: () => {
      if (connection.remote.port === client.localPort) connection.end()
      else connection.destroy()
    },
    onClose: () => undefined,
    onWritable: () => undefined,
  })
}
