/** Endpoints that do exactly what a script says, down to the byte, and remember what they were asked. */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Issued, TestAuthority } from '../support/certificates.ts'
import { listening } from '../support/upstream.ts'
import { type Fields, fieldOf, MessageReader } from './message.ts'

/** One request as an endpoint saw it. */
export interface Seen {
  readonly endpoint: string
  /** 1 for the first connection that any endpoint of this side of the behaviour accepted. */
  readonly connection: number
  readonly method: string
  readonly target: string
  readonly fields: Fields
  body: string
  trailers: Fields
  /** How the request ended: `whole`, or `cut` when the connection went before. */
  ending: 'open' | 'whole' | 'cut'
}

export type Script = (call: Call) => void | Promise<void>

/** Has the whole connection to itself: what it receives is noted as the body of one request. */
export type RawScript = { readonly raw: (socket: Socket) => void }

/** What a script has in hand: the request, the connection, and how often it was asked before. */
export class Call {
  readonly seen: Seen
  readonly socket: Socket
  /** 1 for the first request that any endpoint of this side of the behaviour saw. */
  readonly total: number
  /** Resolves when the request's body is there; never when it is cut. */
  readonly whole: Promise<void>
  /** Bytes after an accepted upgrade; set by `tunnel`. */
  onBytes: ((bytes: Buffer) => void) | undefined = undefined

  constructor(seen: Seen, socket: Socket, total: number, whole: Promise<void>) {
    this.seen = seen
    this.socket = socket
    this.total = total
    this.whole = whole
  }

  raw(text: string): void {
    this.socket.write(text, 'latin1')
  }

  reply(status: number, body = '', fields: Readonly<Record<string, string>> = {}): void {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    const head = `HTTP/1.1 ${status} Said\r\ncontent-length: ${body.length}\r\n${lines.join('')}\r\n`
    this.raw(this.seen.method === 'HEAD' ? head : head + body)
  }

  /** From now on bytes go to `onBytes`; `first` leaves together with the 101. */
  tunnel(onBytes: (bytes: Buffer) => void, first = ''): void {
    this.onBytes = onBytes
    this.raw(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${first}`,
    )
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }
}

/** Behind TLS, with a certificate of `tlsAuthority` for `tls.example`. */
export type SecureScript = { readonly secure: Script }

export const tlsAuthority = new TestAuthority()
let issued: Issued | undefined

/** Answers 200 with what was asked, when the request is whole. */
export const ok: Script = async (call) => {
  await call.whole
  call.reply(200, `${call.seen.endpoint} ok`)
}

/** Answers these statuses one after the other, the last for ever. */
export function statuses(...all: number[]): Script {
  return async (call) => {
    await call.whole
    const status = all[Math.min(call.total, all.length) - 1]!
    call.reply(status, `said ${status}`)
  }
}

/** Does `first` at the first request of the behaviour and `then` at all others. */
export function firstThen(first: Script, then: Script): Script {
  return (call) => (call.total === 1 ? first(call) : then(call))
}

function secured(onSocket: (socket: Socket) => void): Server {
  issued ??= tlsAuthority.issue({ names: ['tls.example'] })
  const server = createTlsServer({ ...issued, allowHalfOpen: true }, onSocket)
  server.on('tlsClientError', () => undefined)
  return server
}

/** All endpoints of one behaviour on one side. */
export class Upstreams {
  readonly seen: Seen[] = []
  private readonly servers: Server[] = []
  private waiting: Array<() => void> = []
  private connections = 0
  private readonly sockets = new Set<Socket>()

  /** Returns its port. `endpoint` names it in what is seen. */
  async add(endpoint: string, script: Script | RawScript | SecureScript): Promise<number> {
    const onSocket = (socket: Socket): void => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => undefined)
      const connection = ++this.connections
      if ('raw' in script) this.listen(endpoint, script, socket, connection)
      else this.serve(endpoint, 'secure' in script ? script.secure : script, socket, connection)
    }
    const server =
      'secure' in script ? secured(onSocket) : createServer({ allowHalfOpen: true }, onSocket)
    this.servers.push(server)
    return listening(server)
  }

  /** Resolves when no request is under way. */
  async settled(): Promise<void> {
    await this.until(() => this.seen.every(({ ending }) => ending !== 'open'))
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((done) => this.waiting.push(done))
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    for (const server of this.servers) server.close()
  }

  private serve(endpoint: string, script: Script, socket: Socket, connection: number): void {
    let call: Call | undefined
    let seen: Seen | undefined
    let wholeOf = () => {}
    const reader = new MessageReader('request', {
      head: ({ first, fields }) => {
        const [method = '', target = ''] = first.split(' ')
        const empty = { body: '', trailers: [], ending: 'open' } as const
        seen = { endpoint, connection, method, target, fields, ...empty }
        this.seen.push(seen)
        const whole = new Promise<void>((done) => {
          wholeOf = done
        })
        call = new Call(seen, socket, this.seen.length, whole)
        void script(call)
        this.wake()
        return fieldOf(fields, 'upgrade') === undefined
      },
      body: (text) => {
        seen!.body += text
      },
      end: (trailers) => {
        seen!.trailers = trailers
        seen!.ending = 'whole'
        wholeOf()
        this.wake()
      },
    })
    socket.on('data', (bytes: Buffer) => {
      const rest = reader.read(bytes)
      if (rest.length > 0) call?.onBytes?.(rest)
    })
    const over = () => {
      if (seen?.ending === 'open') seen.ending = 'cut'
      this.wake()
      socket.end()
    }
    socket.on('end', over).on('close', over)
  }

  private listen(endpoint: string, script: RawScript, socket: Socket, connection: number): void {
    const empty = { method: 'TCP', target: '', fields: [], body: '', trailers: [] }
    const seen: Seen = { endpoint, connection, ...empty, ending: 'open' }
    this.seen.push(seen)
    const over = (ending: Seen['ending']) => () => {
      if (seen.ending === 'open') seen.ending = ending
      this.wake()
    }
    socket.on('data', (bytes: Buffer) => {
      seen.body += bytes.toString('latin1')
      this.wake()
    })
    socket.on('end', over('whole')).on('error', over('cut')).on('close', over('cut'))
    script.raw(socket)
    this.wake()
  }

  private wake(): void {
    for (const done of this.waiting.splice(0)) done()
  }
}
