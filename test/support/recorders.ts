/** Owners and sinks that write down what a codec tells them. */
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import type { BodySink, BodySource } from '../../proxy/http/body.ts'
import type {
  ClientCodec,
  ClientCodecOwner,
  ReplyReceiver,
  ServerCodec,
  ServerCodecOwner,
  ServerStream,
  StreamOwner,
} from '../../proxy/http/codec.ts'
import { type RequestHead, ResponseHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'

export function givenUp(): ProxyError {
  return new ProxyError(ErrorCode.Internal, Side.Proxy, { detail: 'given_up' })
}

/** `name: value` lines of a list. */
export function lines(headers: Headers): string[] {
  return headers.names.map((name, i) => `${name}: ${headers.values[i]}`)
}

/** A list from `name: value` lines. */
export function headersOf(...fields: string[]): Headers {
  const headers = new Headers()
  for (const field of fields) {
    const colon = field.indexOf(':')
    headers.append(field.slice(0, colon), field.slice(colon + 1).trim())
  }
  return headers
}

export class RecordingSink implements BodySink {
  source: BodySource | undefined = undefined
  text = ''
  writes = 0
  state: 'open' | 'ended' | 'failed' = 'open'
  trailers: Headers | undefined = undefined
  error: ProxyError | undefined = undefined
  /** What write answers. */
  flowing = true
  onWrite: (() => void) | undefined = undefined

  write(chunk: Buffer): boolean {
    this.text += chunk.toString('latin1')
    this.writes++
    this.onWrite?.()
    return this.flowing
  }

  end(trailers?: Headers): void {
    if (this.state !== 'open') throw new Error(`end() after ${this.state}`)
    this.state = 'ended'
    this.trailers = trailers
  }

  fail(error: ProxyError): void {
    if (this.state !== 'open') throw new Error(`fail() after ${this.state}`)
    this.state = 'failed'
    this.error = error
  }
}

/** One request as a server sees it. */
export class ServedStream implements StreamOwner {
  readonly stream: ServerStream
  readonly sink = new RecordingSink()
  readonly events: string[] = []
  error: ProxyError | undefined = undefined

  constructor(stream: ServerStream) {
    this.stream = stream
    stream.owner = this
  }

  get head(): RequestHead {
    return this.stream.head
  }

  onRequestEnd(): void {
    this.events.push('request end')
  }

  onReplyEnd(): void {
    this.events.push('reply end')
  }

  onAbort(error: ProxyError): void {
    this.error = error
    this.events.push(`abort ${error.detail}`)
  }

  /** Replies at once with a whole body. */
  answer(body = '', status = 200, fields: string[] = []): this {
    const head = new ResponseHead(status, '', 11, headersOf(...fields))
    const sink = this.stream.reply(head, body.length)
    if (body !== '') sink.write(Buffer.from(body, 'latin1'))
    sink.end()
    return this
  }
}

export interface Refused {
  readonly error: ProxyError
  readonly status: number
  readonly head: RequestHead | undefined
}

/** Owner of server codecs. */
export class RecordingServer implements ServerCodecOwner {
  readonly served: ServedStream[] = []
  readonly refused: Refused[] = []
  closed = 0
  /** Called with every stream; by default bodies flow into the recording sink and nothing is answered. */
  onRequest: (served: ServedStream) => void

  constructor(onRequest: (served: ServedStream) => void = () => undefined) {
    this.onRequest = onRequest
  }

  get last(): ServedStream {
    const last = this.served.at(-1)
    if (last === undefined) throw new Error('no request was seen')
    return last
  }

  onStream(stream: ServerStream): void {
    const served = new ServedStream(stream)
    this.served.push(served)
    this.onRequest(served)
  }

  onRefused(
    _codec: ServerCodec,
    error: ProxyError,
    status: number,
    head: RequestHead | undefined,
  ): void {
    this.refused.push({ error, status, head })
  }

  onClosed(): void {
    this.closed++
  }
}

/** What came back for one request. */
export class ReceivedReply implements ReplyReceiver {
  readonly informs: ResponseHead[] = []
  readonly sink = new RecordingSink()
  readonly events: string[] = []
  head: ResponseHead | undefined = undefined
  body: BodySource | undefined = undefined
  error: ProxyError | undefined = undefined
  /** False: the test starts the flow itself. */
  takesBody: boolean

  constructor(takesBody = true) {
    this.takesBody = takesBody
  }

  onInform(head: ResponseHead): void {
    this.informs.push(head)
    this.events.push(`inform ${head.status}`)
  }

  onReply(head: ResponseHead, body: BodySource): void {
    this.head = head
    this.body = body
    this.events.push(`reply ${head.status}`)
    if (this.takesBody) body.flowInto(this.sink)
  }

  onReplyEnd(): void {
    this.events.push('end')
  }

  onFailure(error: ProxyError): void {
    this.error = error
    this.events.push(`failure ${error.detail}`)
  }
}

/** Owner of client codecs. */
export class RecordingPool implements ClientCodecOwner {
  readonly events: string[] = []

  onCapacity(codec: ClientCodec): void {
    this.events.push(`capacity ${codec.capacity}`)
  }

  onClosed(_codec: ClientCodec, error: ProxyError | undefined): void {
    this.events.push(error === undefined ? 'closed' : `closed ${error.detail}`)
  }

  onIdleLimit(_codec: ClientCodec, idleMs: number): void {
    this.events.push(`idle limit ${idleMs}`)
  }
}
