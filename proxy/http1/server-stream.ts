/** One request and its reply on an HTTP/1 connection, as the exchange sees them; the codec does the work. */
import type { ProxyError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import type { BodyLength, BodySink } from '../http/body.ts'
import type { ServerStream, StreamOwner } from '../http/codec.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import type { Connection } from '../net/connection.ts'
import type { BodyReader, BodyReaderOwner } from './body-reader.ts'
import { BodyFrame, BodyWriter, type BodyWriterOwner } from './body-writer.ts'
import { keepsLength, replyFrame, replyFraming } from './reply-frame.ts'
import { replyText } from './write-head.ts'

/** What a stream asks of its codec. */
export interface StreamCodec extends BodyReaderOwner, BodyWriterOwner {
  readonly connection: Connection
  /** False once the stream ended: nothing of it may be sent. */
  isOpen(stream: Http1ServerStream): boolean
  /** Asked once, when the reply head is made: the connection lives on after this reply. */
  persistsAfter(stream: Http1ServerStream, frame: BodyFrame): boolean
  /** The reply head of a switch was sent. */
  onTunnel(stream: Http1ServerStream): void
  resetStream(stream: Http1ServerStream, error: ProxyError): void
}

export class Http1ServerStream implements ServerStream {
  readonly head: RequestHead
  readonly body: BodyReader
  owner: StreamOwner | undefined = undefined
  /** Takes the reply body, once the reply head is sent. */
  writer: BodyWriter | undefined = undefined
  private readonly codec: StreamCodec

  constructor(codec: StreamCodec, head: RequestHead, body: BodyReader) {
    this.codec = codec
    this.head = head
    this.body = body
  }

  get connection(): Connection {
    return this.codec.connection
  }

  get replied(): boolean {
    return this.writer !== undefined
  }

  inform(head: ResponseHead): void {
    // RFC 9110 15.2: no 1xx to an HTTP/1.0 client.
    if (this.head.version === 10 || this.replied || !this.codec.isOpen(this)) return
    this.connection.writeText(replyText(head, '', false))
  }

  reply(head: ResponseHead, length: BodyLength): BodySink {
    invariant(!this.replied, 'a stream is replied to once')
    const { codec } = this
    const { status } = head
    const frame = replyFrame(this.head, status, length)
    const writer = new BodyWriter(codec, frame, length)
    if (!codec.isOpen(this)) {
      writer.abandon()
      return writer
    }
    const closing = !codec.persistsAfter(this, frame)
    // Looking for the end of its body may have shown that it has none: that was answered.
    if (!codec.isOpen(this)) {
      writer.abandon()
      return writer
    }
    this.writer = writer
    const framing = replyFraming(this.head, head, frame, length, closing)
    writer.start(replyText(head, framing, keepsLength(this.head, status)))
    if (frame === BodyFrame.Tunnel) codec.onTunnel(this)
    return writer
  }

  reset(error: ProxyError): void {
    this.codec.resetStream(this, error)
  }
}
