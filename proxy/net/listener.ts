/** Listening sockets of one worker: reusePort, accepted connections adopted, closed one by one on drain. */
import { lstatSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { clock } from '../base/clock.ts'
import type { Address } from './address.ts'
import { adoptAccepted, adoptHandle, bareAccepts, takeHandles } from './adopt.ts'
import { originalDestination } from './original-destination.ts'
import type { SocketConnection } from './socket-connection.ts'

export interface ListenOptions {
  /** Or `unix:///path`, which one worker alone can listen on. */
  readonly address: string
  /** 0 lets the kernel choose. */
  readonly port: number
  /** Several workers share the port, each with its own queue. */
  readonly reusePort: boolean
  /** Read SO_ORIGINAL_DST of each connection. */
  readonly captured: boolean
  /** Receive through onread (see adopt.ts). */
  readonly adopting: boolean
}

export class Listener {
  readonly address: Address
  private readonly server: Server

  private constructor(server: Server, address: Address) {
    this.server = server
    this.address = address
  }

  /** Binds and accepts; rejects with the system's error (EADDRINUSE, EACCES). */
  static open(
    options: ListenOptions,
    onConnection: (connection: SocketConnection) => void,
  ): Promise<Listener> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
    server.on('connection', (socket: Socket) => {
      clock.refresh()
      const original = options.captured ? originalDestination(socket) : undefined
      if (socket.destroyed) return
      onConnection(adoptAccepted(socket, options.adopting, original))
    })
    return new Promise((done, failed) => {
      server.once('error', failed)
      const { address: host, port, reusePort } = options
      const where = host.startsWith(unixPrefix) ? freedPath(host) : { host, port, reusePort }
      server.listen({ ...where, backlog: 4096 }, () => {
        server.off('error', failed)
        // Accept errors (EMFILE) are not fatal: the connection stays in the kernel's queue.
        server.on('error', () => undefined)
        const bound = server.address()
        const isAddress = bound !== null && typeof bound !== 'string'
        const local = isAddress && !wildcards.has(bound.address) ? bound : undefined
        if (options.adopting && bareAccepts.works)
          takeHandles(server, (handle) =>
            onConnection(adoptHandle(handle, options.captured, local)),
          )
        done(new Listener(server, { address: host, port: isAddress ? bound.port : port }))
      })
    })
  }

  /** Stops accepting; connections that exist live on. */
  close(): void {
    this.server.close()
  }
}

/** Connections to these are accepted at any address. */
const wildcards = new Set(['0.0.0.0', '::'])
const unixPrefix = 'unix://'

/** A socket that a former process left behind would be in the way; any other file stays. */
function freedPath(address: string): { path: string } {
  const path = address.slice(unixPrefix.length)
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path)
  return { path }
}
