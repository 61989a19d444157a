/** One request on an HTTP/1 upstream connection, as the exchange sees it; the codec does the work. */
import type { ProxyError } from '../base/errors.ts'
import { BodyKind, type BodyLength } from '../http/body.ts'
import type { ReplyReceiver, UpstreamStream } from '../http/codec.ts'
import type { RequestHead } from '../http/head.ts'
import { BodyFrame, BodyWriter, type BodyWriterOwner } from './body-writer.ts'
import type { Asked } from './parse-head.ts'

/** What a stream asks of its codec. */
export interface UpstreamStreamCodec extends BodyWriterOwner {
  cancelStream(stream: Http1UpstreamStream, error: ProxyError): void
}

export class Http1UpstreamStream implements UpstreamStream, Asked {
  readonly sink: BodyWriter
  readonly started = true
  readonly method: string
  readonly upgrading: boolean
  readonly replies: ReplyReceiver
  interimReplies = 0
  private readonly codec: UpstreamStreamCodec

  constructor(
    codec: UpstreamStreamCodec,
    head: RequestHead,
    length: BodyLength,
    replies: ReplyReceiver,
  ) {
    this.codec = codec
    this.method = head.method
    this.upgrading = head.upgrade !== ''
    this.replies = replies
    this.sink = new BodyWriter(codec, requestFrame(length), length)
  }

  /** Nothing of the request is missing. */
  get requestSent(): boolean {
    return this.sink.done || this.sink.frame === BodyFrame.None
  }

  cancel(error: ProxyError): void {
    this.codec.cancelStream(this, error)
  }
}

function requestFrame(length: BodyLength): BodyFrame {
  if (length === 0 || length === BodyKind.Tunnel) return BodyFrame.None
  return length > 0 ? BodyFrame.Length : BodyFrame.Chunked
}

/** The framing and Connection lines of a request head. */
export function requestFraming(head: RequestHead, length: BodyLength): string {
  if (length > 0) return `content-length: ${length}\r\n`
  if (length === BodyKind.Unknown) return 'transfer-encoding: chunked\r\n'
  if (head.upgrade !== '') return `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`
  switch (head.method) {
    case 'GET':
    case 'HEAD':
    case 'DELETE':
    case 'TRACE':
    case 'CONNECT':
      return ''
    default:
      // RFC 9110 8.6: methods that expect a body say that there is none.
      return 'content-length: 0\r\n'
  }
}
