/** One proxied request through both codecs, without sockets, routing or pools. */
import type { BodySource } from '../../proxy/http/body.ts'
import type {
  ReplyReceiver,
  ServerCodecOwner,
  ServerStream,
  StreamOwner,
} from '../../proxy/http/codec.ts'
import type { ResponseHead } from '../../proxy/http/head.ts'
import { Http1ClientCodec } from '../../proxy/http1/client-codec.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { reply, requestHead } from './http1-samples.ts'
import { measure } from './measure.ts'
import { NullConnection } from './null-connection.ts'

const upstream = new NullConnection()
const client = new Http1ClientCodec(upstream, {
  onCapacity() {},
  onClosed() {},
  onIdleLimit() {},
})
let ended = 0

class Relay implements StreamOwner, ReplyReceiver {
  private readonly stream: ServerStream

  constructor(stream: ServerStream) {
    this.stream = stream
    stream.owner = this
    const opened = client.open(stream.head, stream.body.length, this)
    if (stream.body.length !== 0) stream.body.flowInto(opened.sink)
  }

  onRequestEnd(): void {}
  onAbort(): void {}
  onInform(): void {}
  onFailure(): void {}
  onReply(head: ResponseHead, body: BodySource): void {
    body.flowInto(this.stream.reply(head, body.length))
  }
  onReplyEnd(): void {
    ended++
  }
}

const owner: ServerCodecOwner = {
  onStream(stream) {
    new Relay(stream)
  },
  onRefused() {},
  onClosed() {},
}
const downstream = new NullConnection()
new Http1ServerCodec(downstream, owner).start()

const post = Buffer.from(
  `POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n${'x'.repeat(100)}`,
)
const chunkedReply = Buffer.from(
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n${'x'.repeat(100)}\r\n0\r\n\r\n`,
)

measure('GET, 10 fields in, 9 fields and 100 bytes back', 100_000, () => {
  downstream.receiver.onBytes(requestHead, 0, requestHead.length)
  upstream.receiver.onBytes(reply, 0, reply.length)
})
measure('POST of 100 bytes, chunked reply', 100_000, () => {
  downstream.receiver.onBytes(post, 0, post.length)
  upstream.receiver.onBytes(chunkedReply, 0, chunkedReply.length)
})
const half = requestHead.length >> 1
measure('GET whose head straddles two reads', 100_000, () => {
  downstream.receiver.onBytes(requestHead, 0, half)
  downstream.receiver.onBytes(requestHead, half, requestHead.length)
  upstream.receiver.onBytes(reply, 0, reply.length)
})
if (ended === 0) console.log('nothing was proxied')
