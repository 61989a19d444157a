/**
 * HTTP/1.1 towards an upstream: one request at a time. Idle, it watches the socket: any byte or close
 * ends it. After anything doubtful (surplus bytes, an early or ill-framed reply) the connection is not
 * used again. Hot: bench/micro/http1-codec.bench.ts.
 */
import type { ProxyError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import { BodyKind, type BodyLength } from '../http/body.ts'
import type { ClientCodec, ClientCodecOwner, ReplyReceiver } from '../http/codec.ts'
import type { RequestHead } from '../http/head.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'
import { BodyReader, type BodyReaderOwner } from './body-reader.ts'
import type { BodyWriter } from './body-writer.ts'
import { Fault, incomplete, replyError } from './faults.ts'
import { type ByteConsumer, Inlet } from './inlet.ts'
import { clientDefaults, type Http1ClientOptions } from './options.ts'
import { type HeadLimits, parsed, parseReplyHead } from './parse-head.ts'
import { closedAwaitingReply, closedError, cutError, unsolicitedBytes } from './upstream-end.ts'
import { Http1UpstreamStream, requestFraming, type UpstreamStreamCodec } from './upstream-stream.ts'
import { requestText } from './write-head.ts'

const Phase = {
  Idle: 0,
  /** A request is open, its reply head has not come. */
  Head: 1,
  Body: 2,
  Tunnel: 3,
  Closed: 4,
} as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class Http1ClientCodec
  implements ClientCodec, ByteReceiver, ByteConsumer, BodyReaderOwner, UpstreamStreamCodec
{
  readonly connection: Connection
  readonly limits: HeadLimits
  opened = 0
  starved = false
  private readonly owner: ClientCodecOwner
  private readonly options: Http1ClientOptions
  private readonly inlet: Inlet
  private phase: Phase = Phase.Idle
  private stream: Http1UpstreamStream | undefined = undefined
  private reader: BodyReader | undefined = undefined
  private persistent = true
  private draining = false
  private idleMs = -1
  /** Inside consume: what follows the reply in the same bytes is not known yet. */
  private consuming = false
  private replyRead = false
  /** Nobody waits for the end of the reply. */
  private untold = false
  /** The upstream sent FIN, or the connection is gone (then with `failure` if it broke). */
  private ended = false
  private failure: ProxyError | undefined = undefined

  /** Becomes the receiver of `connection`. */
  constructor(
    connection: Connection,
    owner: ClientCodecOwner,
    options: Http1ClientOptions = clientDefaults,
  ) {
    this.connection = connection
    this.owner = owner
    this.options = options
    this.limits = options.limits
    this.inlet = new Inlet(connection, this, options.limits.headBytes)
    connection.receiveWith(this)
  }

  get capacity(): number {
    return this.phase === Phase.Idle && !this.draining && !this.connection.closing ? 1 : 0
  }

  open(head: RequestHead, length: BodyLength, replies: ReplyReceiver): Http1UpstreamStream {
    invariant(this.capacity === 1, 'an HTTP/1 connection takes one request at a time')
    const stream = new Http1UpstreamStream(this, head, length, replies)
    this.opened++
    this.stream = stream
    this.reader = undefined
    this.phase = Phase.Head
    this.replyRead = false
    stream.sink.start(requestText(head, requestFraming(head, length)))
    return stream
  }

  drain(): void {
    this.draining = true
    if (this.phase === Phase.Idle) this.shut(undefined)
  }

  destroy(error?: ProxyError): void {
    if (this.phase === Phase.Closed) return
    if (this.stream === undefined) this.shut(error)
    else this.fail(error ?? closedError('destroyed', this.failure))
  }

  // ByteReceiver

  onBytes(buffer: Buffer, start: number, end: number): void {
    this.inlet.receive(buffer, start, end)
    if (this.ended) this.checkEnd()
  }

  onEnd(): void {
    this.ended = true
    this.checkEnd()
  }

  onWritable(): void {
    this.stream?.sink.onWritable()
  }

  onClose(error: ProxyError | undefined): void {
    if (this.phase === Phase.Closed) return
    this.ended = true
    this.failure = error
    this.checkEnd()
  }

  // ByteConsumer

  consume(bytes: Buffer, start: number, end: number): number {
    this.starved = false
    this.consuming = true
    const at = this.consumeAll(bytes, start, end)
    this.consuming = false
    return at
  }

  private consumeAll(bytes: Buffer, start: number, end: number): number {
    let at = start
    while (at < end) {
      if (this.phase === Phase.Head) {
        const next = this.readHead(bytes, at, end)
        if (next === incomplete) {
          this.starved = true
          return at
        }
        at = next
      } else if (this.phase === Phase.Body || this.phase === Phase.Tunnel) {
        const reader = this.reader!
        if (!reader.wanted || reader.holding) return at
        at = reader.feed(bytes, at, end)
        if (reader.starved) {
          this.starved = true
          return at
        }
      } else if (this.phase === Phase.Idle) {
        this.shut(unsolicitedBytes(bytes, at, end))
        return end
      } else return end
      if (this.replyRead) this.finishReply(at < end)
    }
    return at
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    const stream = this.stream!
    const at = parseReplyHead(bytes, start, end, this.limits, stream)
    if (at === incomplete) return incomplete
    if (at < 0) {
      this.fail(replyError(at as Fault))
      return end
    }
    const head = parsed.reply!
    const { length, untilClose, persistent, idleMs } = parsed
    if (head.status < 200 && head.status !== 101) {
      if (++stream.interimReplies > this.options.interimReplies) {
        this.fail(replyError(Fault.TooManyInterim))
        return end
      }
      stream.replies.onInform(head)
      return at
    }
    this.persistent = persistent
    this.idleMs = idleMs
    this.beginReply(stream, new BodyReader(this, length, untilClose))
    stream.replies.onReply(head, this.reader!)
    return at
  }

  private beginReply(stream: Http1UpstreamStream, reader: BodyReader): void {
    this.reader = reader
    if (reader.length === BodyKind.Tunnel) {
      this.phase = Phase.Tunnel
      stream.sink.becomeTunnel()
    } else this.phase = Phase.Body
  }

  // BodyReaderOwner

  pump(): void {
    this.inlet.pump()
    this.checkEnd()
  }

  onBodyRead(reader: BodyReader): void {
    const { stream } = this
    if (stream === undefined || this.reader !== reader) return
    if (this.phase === Phase.Tunnel) {
      stream.replies.onReplyEnd()
      this.finishTunnel()
      return
    }
    this.replyDone()
  }

  onBodyFault(_reader: BodyReader, fault: Fault): void {
    this.fail(replyError(fault))
  }

  onBodyCancelled(reader: BodyReader, error: ProxyError): void {
    const { stream } = this
    if (stream === undefined || this.reader !== reader) return
    this.cancelStream(stream, error)
  }

  private replyDone(): void {
    if (this.consuming) this.replyRead = true
    else this.finishReply(this.inlet.size > 0)
  }

  /** `surplus`: more bytes came than the reply has. */
  private finishReply(surplus: boolean): void {
    const stream = this.stream!
    const tell = !this.untold
    this.stream = undefined
    this.replyRead = false
    this.untold = false
    const doubtful = surplus || !this.persistent || !stream.requestSent
    if (doubtful || this.draining || this.ended || this.connection.closing) {
      stream.sink.abandon()
      this.close(undefined)
      if (tell) stream.replies.onReplyEnd()
      this.owner.onClosed(this, undefined)
      return
    }
    this.phase = Phase.Idle
    if (this.idleMs >= 0) this.owner.onIdleLimit(this, this.idleMs)
    if (tell) stream.replies.onReplyEnd()
    if (this.capacity === 1) this.owner.onCapacity(this)
  }

  // UpstreamStreamCodec

  onBodyWritten(writer: BodyWriter): void {
    if (this.phase !== Phase.Tunnel || this.stream?.sink !== writer) return
    this.connection.end()
    this.finishTunnel()
  }

  /** Whoever sends the request knows why it broke off; the upstream learns it by a cut. */
  onBodyCut(writer: BodyWriter, error: ProxyError, unexpected: boolean): void {
    const { stream } = this
    if (stream?.sink !== writer) return
    if (unexpected) this.fail(error)
    else this.cancelStream(stream, error)
  }

  cancelStream(stream: Http1UpstreamStream, error: ProxyError): void {
    if (stream !== this.stream || this.untold) return
    if (this.phase === Phase.Body && this.reader!.length === 0) {
      // A reply without body is complete: the connection is as good as before.
      this.untold = true
      this.reader!.discard()
      this.replyDone()
      return
    }
    const tunnel = this.phase === Phase.Tunnel
    this.stream = undefined
    stream.sink.abandon()
    this.reader?.discard()
    if (tunnel) this.connection.reset(error)
    this.shut(error)
  }

  // Ends

  /** Both directions of a tunnel are complete. */
  private finishTunnel(): void {
    const stream = this.stream!
    if (!this.reader!.done || !stream.sink.done) return
    this.stream = undefined
    this.phase = Phase.Closed
    this.inlet.close()
    // Both sides have ended: what is still queued goes out, then the connection closes by itself.
    if (this.connection.queuedBytes === 0) this.connection.destroy()
    this.owner.onClosed(this, undefined)
  }

  /** The upstream sent FIN or is gone: whether that is right depends on where we are, once all is used. */
  private checkEnd(): void {
    if (!this.ended || this.consuming) return
    if (this.starved) this.inlet.pump()
    switch (this.phase) {
      case Phase.Idle:
        this.shut(this.failure)
        return
      case Phase.Head:
        this.fail(closedAwaitingReply(this.stream!, this.inlet.size, this.failure))
        return
      case Phase.Body:
      case Phase.Tunnel:
        this.checkBodyEnd(this.reader!)
        return
      default:
        return
    }
  }

  private checkBodyEnd(reader: BodyReader): void {
    if (reader.holding || (this.inlet.size > 0 && !this.starved)) return
    if (!reader.open) {
      // A tunnel whose other half lives on, unless the connection is gone; a reply without body not yet taken.
      if (this.phase === Phase.Tunnel && this.connection.closing)
        this.fail(closedError('closed_in_tunnel', this.failure))
      return
    }
    if (this.failure === undefined && !reader.counted) {
      if (reader.wanted) reader.finishAtClose()
      return
    }
    this.fail(cutError('closed_in_body', this.failure))
  }

  private fail(error: ProxyError): void {
    const { stream, reader } = this
    this.stream = undefined
    this.close(error)
    if (stream !== undefined) {
      stream.sink.abandon()
      reader?.fail(error)
      stream.replies.onFailure(error)
    }
    this.owner.onClosed(this, error)
  }

  private shut(error: ProxyError | undefined): void {
    if (this.phase === Phase.Closed) return
    this.close(error)
    this.owner.onClosed(this, error)
  }

  private close(error: ProxyError | undefined): void {
    this.phase = Phase.Closed
    this.inlet.close()
    this.connection.destroy(error)
  }
}
