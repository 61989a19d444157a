/** Applications for tests: scripted HTTP servers on free ports, and a plain client. */
import {
  type Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type RequestOptions,
  request,
  type Server,
} from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'

export class Upstream {
  readonly server: Server
  readonly requests: IncomingMessage[] = []

  private constructor(handler: RequestListener) {
    this.server = createServer((incoming, reply) => {
      this.requests.push(incoming)
      handler(incoming, reply)
    })
  }

  static async start(handler: RequestListener, address = '127.0.0.1', port = 0): Promise<Upstream> {
    const upstream = new Upstream(handler)
    await listening(upstream.server, address, port)
    return upstream
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((done) => this.server.close(done))
  }
}

export async function listening(
  server: NetServer,
  address = '127.0.0.1',
  port = 0,
): Promise<number> {
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen(port, address, done)
  })
  return (server.address() as AddressInfo).port
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
  readonly agent?: Agent
}

/** One request to 127.0.0.1:`port`; rejects when the connection breaks. */
export function ask(port: number, asked: Asked): Promise<Reply> {
  const { agent, body, headers, method = 'GET', path = '/' } = asked
  return new Promise((done, failed) => {
    const options: RequestOptions = { host: '127.0.0.1', port, method, path }
    if (headers !== undefined) options.headers = headers
    if (agent !== undefined) options.agent = agent
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', failed)
      incoming.on('end', () =>
        done({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      )
    })
    outgoing.on('error', failed)
    outgoing.end(body)
  })
}
