/** A small HTTP server for people, probes and scrapers: one reply per request, no bodies read. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { listenFailure, type PortUse } from './start-failure.ts'

export interface DoorRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  /** As sent, or ``. */
  readonly host: string
  readonly origin: string
  readonly accept: string
}

export interface DoorReply {
  readonly status: number
  /** Media type; text/plain when absent. */
  readonly type?: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export type DoorAnswer = (request: DoorRequest) => DoorReply | Promise<DoorReply>

export interface DoorOptions {
  readonly use: PortUse
  readonly address: string
  /** 0 lets the kernel choose. */
  readonly port: number
  readonly answer: DoorAnswer
  readonly onError: (error: unknown, path: string) => void
}

export interface Door {
  readonly address: string
  readonly port: number
  close(): void
}

/**
 * Rejects with a StartFailure. `::` means every address of both families, or all of IPv4 where IPv6
 * is switched off.
 */
export async function openDoor(options: DoorOptions): Promise<Door> {
  // Not imported: an ES import of node:http reads all its exports, which costs 16 MB and 45 ms.
  const http = process.getBuiltinModule('node:http')
  const server = http.createServer((request, response) => void serve(options, request, response))
  server.headersTimeout = 10_000
  server.requestTimeout = 10_000
  server.keepAliveTimeout = 60_000
  let { address } = options
  try {
    await listen(server, address, options.port)
  } catch (error) {
    const failure = error as NodeJS.ErrnoException
    if (address !== '::' || failure.code !== 'EAFNOSUPPORT')
      throw listenFailure(failure, options.use, address, options.port)
    address = '0.0.0.0'
    await listen(server, address, options.port)
  }
  const bound = server.address()
  const port = typeof bound === 'object' ? (bound?.port ?? 0) : 0
  return { address, port, close: () => close(server) }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      done()
    })
  })
}

function close(server: Server): void {
  server.close()
  server.closeAllConnections()
}

async function serve(
  options: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume()
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
  const { host = '', origin = '', accept = '' } = request.headers
  const method = request.method ?? 'GET'
  let reply: DoorReply
  try {
    reply = await options.answer({ method, path, query, host, origin, accept })
  } catch (error) {
    options.onError(error, path)
    reply = {
      status: 500,
      body: `internal error: ${error instanceof Error ? error.message : error}\n`,
    }
  }
  const body = Buffer.from(reply.body)
  response.writeHead(reply.status, {
    'content-type': reply.type ?? 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
  })
  response.end(method === 'HEAD' ? undefined : body)
}
