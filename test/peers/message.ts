/** A plain reader of HTTP/1 messages for tests: believes what it reads, cuts nothing, adds nothing. */

/** Names in lower case, in the order received. */
export type Fields = ReadonlyArray<readonly [name: string, value: string]>

export interface Head {
  /** The request or status line. */
  readonly first: string
  readonly fields: Fields
}

export interface MessageEvents {
  /** False: what follows is no body (an upgrade): `read` gives it back. */
  head: (head: Head) => boolean
  body: (text: string) => void
  end: (trailers: Fields) => void
}

export function fieldOf(fields: Fields, name: string): string | undefined {
  return fields.find(([each]) => each === name)?.[1]
}

export class MessageReader {
  private readonly kind: 'request' | 'reply'
  private readonly events: MessageEvents
  private waiting = Buffer.alloc(0)
  private state: 'head' | 'length' | 'chunk' | 'trailers' | 'until-end' | 'raw' = 'head'
  private left = 0
  /** Replies: the next one answers HEAD. */
  withoutBody = false

  constructor(kind: 'request' | 'reply', events: MessageEvents) {
    this.kind = kind
    this.events = events
  }

  /** Inside a message of which more must come. */
  get unfinished(): boolean {
    return (this.state !== 'head' && this.state !== 'raw') || this.waiting.length > 0
  }

  /** Gives back bytes that belong to no message: those after an upgrade. */
  read(bytes: Buffer): Buffer {
    this.waiting = Buffer.concat([this.waiting, bytes])
    while (this.step());
    if (this.state !== 'raw') return Buffer.alloc(0)
    const rest = this.waiting
    this.waiting = Buffer.alloc(0)
    return rest
  }

  /** The connection ended; true if that was no cut. */
  finish(): boolean {
    if (this.state === 'until-end') this.ended([])
    return !this.unfinished
  }

  private step(): boolean {
    switch (this.state) {
      case 'head':
        return this.readHead()
      case 'length':
        return this.readLength()
      case 'chunk':
        return this.readChunk()
      case 'trailers':
        return this.readTrailers()
      case 'until-end':
        this.emit(this.waiting.length)
        return false
      case 'raw':
        return false
    }
  }

  private readHead(): boolean {
    const text = this.upTo('\r\n\r\n')
    if (text === undefined) return false
    const [first = '', ...lines] = text.split('\r\n')
    const fields = lines.map(fieldFrom)
    if (!this.events.head({ first, fields })) this.state = 'raw'
    else this.frame(first, fields)
    return true
  }

  private frame(first: string, fields: Fields): void {
    const status = this.kind === 'reply' ? Number(first.split(' ')[1]) : 200
    // interim replies are heads only; the final one follows
    if (status < 200) return
    const length = fieldOf(fields, 'content-length')
    const chunked = fieldOf(fields, 'transfer-encoding')?.includes('chunked')
    if (this.withoutBody || status === 204 || status === 304) this.ended([])
    else if (chunked) this.state = 'chunk'
    else if (length !== undefined) {
      this.left = Number(length)
      this.state = 'length'
      this.readLength()
    } else if (this.kind === 'reply') this.state = 'until-end'
    else this.ended([])
  }

  private readLength(): boolean {
    this.emit(Math.min(this.left, this.waiting.length))
    if (this.left > 0) return false
    this.ended([])
    return true
  }

  private readChunk(): boolean {
    const end = this.waiting.indexOf('\r\n')
    if (end < 0) return false
    const size = Number.parseInt(this.waiting.toString('latin1', 0, end), 16)
    if (size === 0) {
      this.upTo('\r\n')
      this.state = 'trailers'
      return true
    }
    if (this.waiting.length < end + 2 + size + 2) return false
    this.upTo('\r\n')
    this.left = size
    this.emit(size)
    this.upTo('\r\n')
    return true
  }

  private readTrailers(): boolean {
    const bare = this.waiting.subarray(0, 2).toString('latin1') === '\r\n'
    const text = bare ? this.upTo('\r\n') : this.upTo('\r\n\r\n')
    if (text === undefined) return false
    this.ended(text === '' ? [] : text.split('\r\n').map(fieldFrom))
    return true
  }

  private emit(count: number): void {
    if (count === 0) return
    this.events.body(this.waiting.toString('latin1', 0, count))
    this.waiting = this.waiting.subarray(count)
    this.left -= count
  }

  private ended(trailers: Fields): void {
    this.state = 'head'
    this.withoutBody = false
    this.left = 0
    this.events.end(trailers)
  }

  /** The text before `mark`, which is consumed too. */
  private upTo(mark: string): string | undefined {
    const at = this.waiting.indexOf(mark)
    if (at < 0) return undefined
    const text = this.waiting.toString('latin1', 0, at)
    this.waiting = this.waiting.subarray(at + mark.length)
    return text
  }
}

function fieldFrom(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}
