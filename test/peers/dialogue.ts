/** The client of one behaviour on one side: says what it is told, byte by byte, and writes down what comes back. */
import { connect, type Socket } from 'node:net'
import { type Fields, MessageReader } from './message.ts'
import type { Seen, Upstreams } from './upstream.ts'

export interface Reply {
  readonly status: number
  readonly fields: Fields
  body: string
  trailers: Fields
  /** `whole`; `cut`: the connection ended inside; `reset`: it was reset. */
  ending: 'open' | 'whole' | 'cut' | 'reset'
  /** Heads of 1xx replies before it: `103 link=...`. */
  readonly interim: string[]
}

export interface Asked {
  readonly method?: string
  readonly path?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly body?: string
  /** Instead of the behaviour's own. */
  readonly host?: string
}

export class Dialogue {
  readonly replies: Reply[] = []
  /** What else there is to compare, by name. */
  readonly notes: Record<string, string> = {}
  /** The proxy's port for this behaviour. */
  readonly port: number
  /** That of the client. */
  readonly address: string
  readonly host: string
  private readonly wires: Wire[] = []
  private dialed = 0
  private readonly upstreams: Upstreams

  constructor(port: number, address: string, host: string, upstreams: Upstreams) {
    this.port = port
    this.address = address
    this.host = host
    this.upstreams = upstreams
  }

  get seen(): readonly Seen[] {
    return this.upstreams.seen
  }

  /** Waits until the endpoints saw so many requests begin. */
  async arrived(count: number): Promise<void> {
    await this.until(() => this.seen.length >= count)
  }

  /** Waits for what the endpoints see. */
  until(holds: () => boolean): Promise<void> {
    return this.upstreams.until(holds)
  }

  async wire(): Promise<Wire> {
    this.dialed = performance.now()
    const socket = connect({
      port: this.port,
      host: '127.0.0.1',
      localAddress: this.address,
      allowHalfOpen: true,
      noDelay: true,
    })
    const wire = new Wire(this, socket)
    this.wires.push(wire)
    // a connection may be reset so soon that nobody sees it open
    await new Promise<void>((done) => {
      socket.once('connect', done).once('error', () => done())
    })
    return wire
  }

  /** One request on a connection of its own. */
  async ask(asked: Asked = {}): Promise<Reply> {
    const wire = await this.wire()
    return wire.ask(asked)
  }

  /** The bytes of a request. */
  text({ method = 'GET', path = '/', fields = {}, body, host = this.host }: Asked): string {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    if (body !== undefined) lines.push(`content-length: ${body.length}\r\n`)
    return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n${body ?? ''}`
  }

  /**
   * Whether `what` takes as long as a timeout of `ms`, from the last connection on: wide of the mark on purpose, so that a busy
   * machine does not change the class.
   */
  async timed<T>(name: string, ms: number, what: Promise<T>): Promise<T> {
    const result = await what
    this.notes[name] =
      performance.now() - this.dialed < ms * 0.9 ? `before ${ms} ms` : `after ${ms} ms`
    return result
  }

  /** Notes how many connections the endpoints accepted for what they were asked. */
  connections(): void {
    this.notes['connections'] = String(new Set(this.seen.map((each) => each.connection)).size)
  }

  close(): void {
    for (const wire of this.wires) wire.socket.destroy()
  }
}

export class Wire {
  readonly socket: Socket
  /** Bytes after an upgrade. */
  raw = ''
  private readonly dialogue: Dialogue
  private readonly reader: MessageReader
  private reply: Reply | undefined
  private interim: string[] = []
  private readonly mine: Reply[] = []
  private taken = 0
  /** How the other side ended: '' while it has not. */
  private over: '' | 'end' | 'reset' = ''
  private wake: Array<() => void> = []

  constructor(dialogue: Dialogue, socket: Socket) {
    this.dialogue = dialogue
    this.socket = socket
    this.reader = new MessageReader('reply', {
      head: ({ first, fields }) => this.onHead(first, fields),
      body: (text) => {
        this.reply!.body += text
      },
      end: (trailers) => {
        this.reply!.trailers = trailers
        this.settle('whole')
      },
    })
    socket.on('data', (bytes: Buffer) => {
      this.raw += this.reader.read(bytes).toString('latin1')
      this.turn()
    })
    socket.on('end', () => this.finish('end'))
    socket.on('error', () => this.finish('reset'))
    socket.on('close', () => this.finish('end'))
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  async ask(asked: Asked = {}): Promise<Reply> {
    this.reader.withoutBody = asked.method === 'HEAD'
    this.send(this.dialogue.text(asked))
    return this.answer()
  }

  /** The next final reply, whole or not; a connection that ends without one gives status 0. */
  async answer(): Promise<Reply> {
    const nth = this.taken++
    while ((this.mine[nth]?.ending ?? 'open') === 'open' && this.over === '') await this.turned()
    const reply = this.mine[nth]
    if (reply !== undefined) return reply
    const ending = this.over === 'reset' ? 'reset' : 'cut'
    return this.note({ status: 0, fields: [], body: '', trailers: [], ending, interim: [] })
  }

  /** Waits for the head of a reply (or a part of its body) without waiting for its end. */
  async started(part = ''): Promise<void> {
    while (this.reply === undefined || !this.reply.body.includes(part)) {
      if (this.over !== '') throw new RangeError('the connection ended before the reply began')
      await this.turned()
    }
  }

  /** Waits for an interim reply. */
  async informed(): Promise<void> {
    while (this.interim.length === 0) {
      if (this.over !== '') throw new RangeError('the connection ended before it')
      await this.turned()
    }
  }

  /** Waits until these bytes came through a tunnel. */
  async heard(text: string): Promise<void> {
    while (!this.raw.includes(text)) {
      if (this.over !== '')
        throw new RangeError(`the tunnel ended after ${JSON.stringify(this.raw)}`)
      await this.turned()
    }
  }

  /** How the other side ends it: `end` or `reset`. */
  async ended(): Promise<'end' | 'reset'> {
    while (this.over === '') await this.turned()
    return this.over
  }

  /** What comes is no HTTP: all of it goes to `raw`. */
  opaque(): this {
    this.reader.read = (bytes) => bytes
    return this
  }

  abort(): void {
    this.socket.resetAndDestroy()
  }

  private onHead(first: string, fields: Fields): boolean {
    const status = Number(first.split(' ')[1])
    if (status < 200 && status !== 101) {
      this.interim.push([status, ...fields.map(([name, value]) => `${name}=${value}`)].join(' '))
      return true
    }
    const { interim } = this
    this.interim = []
    this.reply = this.note({ status, fields, body: '', trailers: [], ending: 'open', interim })
    if (status === 101) this.settle('whole')
    return status !== 101
  }

  private note(reply: Reply): Reply {
    this.mine.push(reply)
    this.dialogue.replies.push(reply)
    return reply
  }

  private settle(ending: Reply['ending']): void {
    this.reply!.ending = ending
    this.reply = undefined
  }

  private finish(how: 'end' | 'reset'): void {
    if (this.over !== '') return
    if (how === 'end') this.reader.finish()
    if (this.reply !== undefined) this.settle(how === 'reset' ? 'reset' : 'cut')
    this.over = how
    this.turn()
  }

  private turn(): void {
    for (const done of this.wake.splice(0)) done()
  }

  private turned(): Promise<void> {
    return new Promise((done) => this.wake.push(done))
  }
}
