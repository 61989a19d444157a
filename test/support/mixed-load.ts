/** Clients of every kind at once, as fast as they can: kept and new connections, bodies, tunnels, and bad ones. */
import { once } from 'node:events'
import { Agent, createServer, type RequestListener } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { ask, listening } from './upstream.ts'

const megabyte = Buffer.alloc(1 << 20, 'm')

/** `/download`, `/slow` and `/die`; everything else is answered with what was sent. */
const application: RequestListener = (incoming, reply) => {
  if (incoming.url === '/download') reply.end(megabyte)
  else if (incoming.url === '/die') incoming.socket.resetAndDestroy()
  else if (incoming.url === '/kept') reply.end('hello')
  else if (incoming.url === '/slow') setTimeout(() => reply.end('late'), 20)
  else incoming.pipe(reply)
}

/**
 * What is behind the proxy. It ends kept connections after a while, so that none is left in the end; not
 * so soon that a starved machine lets a POST meet the end of its connection, which nobody may repeat.
 */
export class Applications implements AsyncDisposable {
  readonly http = createServer({ keepAliveTimeout: 10_000 }, application)
  readonly echo = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })

  async open(): Promise<{ readonly http: number; readonly echo: number }> {
    return { http: await listening(this.http), echo: await listening(this.echo) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.http.closeAllConnections()
    this.http.close()
    this.echo.close()
  }
}

export class MixedLoad {
  /** Of clients that did nothing wrong. */
  readonly failures: string[] = []
  readonly done: Record<string, number> = {}
  private readonly port: number
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 16 })
  private running = true

  /** Services `web` (Applications.http) and `echo:9000` (Applications.echo) behind the proxy at `port`. */
  constructor(port: number) {
    this.port = port
  }

  async run(ms: number): Promise<void> {
    setTimeout(() => {
      this.running = false
    }, ms)
    await Promise.all([
      ...times(12, () => this.repeat('kept', () => this.kept())),
      ...times(4, () => this.repeat('fresh', () => this.fresh())),
      ...times(2, () => this.repeat('upload', () => this.upload())),
      ...times(2, () => this.repeat('download', () => this.download())),
      ...times(2, () => this.repeat('tunnel', () => this.tunnel())),
      ...times(2, () => this.repeat('died', () => this.died())),
      ...times(3, () => this.repeat('reset', () => this.reset())),
      ...times(3, () => this.repeat('slow', () => this.slow())),
    ])
    this.agent.destroy()
  }

  private async repeat(kind: string, once: () => Promise<void>): Promise<void> {
    this.done[kind] ??= 0
    while (this.running) {
      try {
        await once()
      } catch (error) {
        this.fail(`${kind}: ${(error as Error).message}`)
      }
      this.done[kind]++
    }
  }

  private fail(what: string): void {
    if (this.failures.length < 20) this.failures.push(what)
  }

  private async expect(asked: Parameters<typeof ask>[1], status: number, bytes?: number) {
    const reply = await ask(this.port, { ...asked, headers: { host: 'web', ...asked.headers } })
    if (reply.status !== status) this.fail(`${asked.path}: ${reply.status} ${reply.body}`)
    else if (bytes !== undefined && reply.body.length !== bytes)
      this.fail(`${asked.path}: ${reply.body.length} bytes`)
  }

  private kept(): Promise<void> {
    return this.expect({ path: '/kept', agent: this.agent }, 200, 5)
  }

  private fresh(): Promise<void> {
    return this.expect({ path: '/slow' }, 200, 4)
  }

  private upload(): Promise<void> {
    return this.expect({ method: 'POST', path: '/up', body: megabyte }, 200, megabyte.length)
  }

  private download(): Promise<void> {
    return this.expect({ path: '/download', agent: this.agent }, 200, megabyte.length)
  }

  /** The application resets the connection: the proxy says so. */
  private died(): Promise<void> {
    return this.expect({ method: 'POST', path: '/die', body: 'x' }, 503)
  }

  private async tunnel(): Promise<void> {
    const socket = await this.open('CONNECT echo:9000 HTTP/1.1\r\nhost: echo:9000\r\n\r\n')
    await once(socket, 'data')
    let bytes = 0
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    socket.end(megabyte.subarray(0, 100_000))
    await once(socket, 'close')
    if (bytes !== 100_000) this.fail(`tunnel: ${bytes} bytes`)
  }

  /** Leaves in the middle of a request, of a reply, or while waiting. */
  private async reset(): Promise<void> {
    for (const sent of [
      'POST /up HTTP/1.1\r\nhost: web\r\ncontent-length: 100000\r\n\r\nhalf',
      'GET /download HTTP/1.1\r\nhost: web\r\n\r\n',
      'GET /slow HTTP/1.1\r\nhost: web\r\n\r\n',
      'GET /kept HTTP/1.1\r\nho',
    ]) {
      const socket = await this.open(sent)
      await pause(5)
      socket.resetAndDestroy()
    }
  }

  /** Reads a little, sends a little, and goes. */
  private async slow(): Promise<void> {
    const reading = await this.open('GET /download HTTP/1.1\r\nhost: web\r\n\r\n')
    reading.pause()
    const writing = await this.open(
      'POST /up HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    for (let i = 0; i < 10; i++) {
      writing.write('5\r\nhello\r\n')
      await pause(20)
    }
    writing.end('0\r\n\r\n')
    await once(writing, 'close')
    reading.destroy()
  }

  private async open(sent: string): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(sent)
    socket.resume()
    return socket
  }
}

function times(count: number, begin: () => Promise<void>): Array<Promise<void>> {
  return Array.from({ length: count }, begin)
}
