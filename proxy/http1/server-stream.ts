/** One request and its reply on an HTTP/1 connection, as the exchange sees them; the codec does the work. */
import type { ProxyError } from '../base/errors.ts'
import type { BodyLength, BodySink } from '../http/body.ts'
import type { ServerStream, StreamOwner } from '../http/codec.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import type { Connection } from '../net/connection.ts'
import type { BodyReader } from './body-reader.ts'
import type { BodyWriter } from './body-writer.ts'

/** What a stream asks of its codec. */
export interface StreamCodec {
  readonly connection: Connection
  sendInterim(stream: Http1ServerStream, head: ResponseHead): void
  startReply(stream: Http1ServerStream, head: ResponseHead, length: BodyLength): BodySink
  resetStream(stream: Http1ServerStream, error: ProxyError): void
}

export class Http1ServerStream implements ServerStream {
  readonly head: RequestHead
  readonly body: BodyReader
  owner: StreamOwner | undefined = undefined
  /** Of the reply head that was sent, by the exchange or, when the request broke off, by the codec; 0: none. */
  status = 0
  /** Set by the codec with the reply head. */
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
    return this.status !== 0
  }

  inform(head: ResponseHead): void {
    this.codec.sendInterim(this, head)
  }

  reply(head: ResponseHead, length: BodyLength): BodySink {
    return this.codec.startReply(this, head, length)
  }

  reset(error: ProxyError): void {
    this.codec.resetStream(this, error)
  }
}
