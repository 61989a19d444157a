/** Raw sockets for tests: servers that end with their test, and what a peer says until it ends. */
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
} from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'
import { listening } from './upstream.ts'

/** Ends the server and its connections with the test, and returns those that are open. */
export function closing(t: Test, server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return sockets
}

/** Says its name and the Host it was asked for, or what `says` of the request. */
export function web(
  t: Test,
  name: string,
  says = ({ headers }: IncomingMessage): string | undefined => headers.host,
): HttpServer {
  const server = createHttpServer((asked, reply) => reply.end(`${name} ${says(asked)}`))
  closing(t, server)
  return server
}

/** The port of a TCP server that keeps half-closed connections. */
export function tcpServer(
  t: Test,
  onSocket: (socket: Socket) => void,
  address = '127.0.0.1',
): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onSocket)
  closing(t, server)
  return listening(server, address)
}

/** A port that nobody listens on, a moment after somebody did. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  const server = createServer()
  const port = await listening(server, address)
  await new Promise((done) => server.close(done))
  return port
}

/** A connection that is established, and kept when the peer has ended. */
export function open(port: number, host = '127.0.0.1'): Promise<Socket> {
  return new Promise((done, failed) => {
    const socket = connect({ port, host, allowHalfOpen: true }, () => done(socket))
    socket.once('error', failed)
  })
}

/** All the peer says until it ends, or the code of the error; `closed …` where it does neither. */
export function everything(socket: Socket): Promise<string> {
  return new Promise((done) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('end', () => done(text))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    socket.on('close', () => done(`closed ${text}`))
  })
}
