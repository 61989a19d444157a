/**
 * HTTP/1.0 and 1.1 towards a client: one request at a time, answered in order; pipelined requests wait
 * in the connection. What is not a proper request is answered here and the connection closed so that
 * the client can read why. Hot: bench/micro/http1-codec.bench.ts.
 */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import { BodyKind, type BodyLength, type BodySink } from '../http/body.ts'
import type { ServerCodec, ServerCodecOwner } from '../http/codec.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'
import { BodyReader, type BodyReaderOwner } from './body-reader.ts'
import { BodyFrame, BodyWriter, type BodyWriterOwner } from './body-writer.ts'
import { Fault, incomplete, requestError } from './faults.ts'
import { cr, lf } from './grammar.ts'
import { type ByteConsumer, Inlet } from './inlet.ts'
import { type Http1ServerOptions, serverDefaults } from './options.ts'
import { type HeadLimits, parsed, parseRequestHead } from './parse-head.ts'
import { refusalStatus, refusalText } from './refusal.ts'
import { keepsLength, replyFrame, replyFraming } from './reply-frame.ts'
import { Http1ServerStream, type StreamCodec } from './server-stream.ts'
import { replyText } from './write-head.ts'

const Phase = {
  /** Between requests, or inside a head. */
  Head: 0,
  /** The request body is arriving; the reply may have begun. */
  Body: 1,
  /** The request is complete, its reply is not. */
  Reply: 2,
  Tunnel: 3,
  /** FIN sent; what still comes is dropped, so that the client can read the reply. */
  Linger: 4,
  Closed: 5,
} as const
type Phase = (typeof Phase)[keyof typeof Phase]

export class Http1ServerCodec
  implements
    ServerCodec,
    ByteReceiver,
    ByteConsumer,
    BodyReaderOwner,
    BodyWriterOwner,
    StreamCodec,
    DeadlineOwner
{
  readonly connection: Connection
  readonly limits: HeadLimits
  starved = false
  private readonly owner: ServerCodecOwner
  private readonly options: Http1ServerOptions
  private readonly inlet: Inlet
  private readonly timer: Timer
  /** When the phase has taken too long, on the clock; Infinity: never. The timer may fire earlier. */
  private deadline = Number.POSITIVE_INFINITY
  private phase: Phase = Phase.Head
  private stream: Http1ServerStream | undefined = undefined
  /** The owner is being told of the stream: its end must wait. */
  private announcing = false
  private persistent = true
  private replySent = false
  private draining = false
  /** The client sent FIN. */
  private ended = false
  private headBegun = false
  private emptyLineSkipped = false
  /** Bytes with the kernel when the reply was last seen to stall, or queued when lingering. */
  private progress = -1
  private stalledSince = 0

  constructor(
    connection: Connection,
    owner: ServerCodecOwner,
    options: Http1ServerOptions = serverDefaults,
  ) {
    this.connection = connection
    this.owner = owner
    this.options = options
    this.limits = options.limits
    this.inlet = new Inlet(connection, this, options.limits.headBytes)
    this.timer = new Timer(this)
  }

  /** Takes the connection over; `already`: read by a former receiver; `ended`: which also saw the FIN. */
  start(already?: Buffer, ended = false): void {
    this.due(this.options.idleTimeoutMs)
    this.connection.receiveWith(this, already)
    if (ended) this.onEnd()
  }

  get openStreams(): number {
    return this.stream === undefined ? 0 : 1
  }

  drain(): void {
    this.draining = true
    if (this.phase === Phase.Head && this.inlet.size === 0) this.closeGracefully()
  }

  // ByteReceiver

  onBytes(buffer: Buffer, start: number, end: number): void {
    this.inlet.receive(buffer, start, end)
  }

  onEnd(): void {
    this.ended = true
    this.checkEnd()
  }

  onWritable(): void {
    this.stream?.writer?.onWritable()
    if (this.replySent && this.stream !== undefined) this.finishReply()
  }

  onClose(error: ProxyError | undefined): void {
    const { phase, stream } = this
    const unfinished = phase === Phase.Head && this.inlet.size > 0
    this.phase = Phase.Closed
    this.inlet.close()
    this.deadline = Number.POSITIVE_INFINITY
    this.options.wheel.cancel(this.timer)
    if (stream !== undefined) this.abort(stream, disconnect(error))
    else if (unfinished) this.owner.onRefused(this, disconnect(error), 0, undefined)
    this.owner.onClosed(this)
  }

  // ByteConsumer

  consume(bytes: Buffer, start: number, end: number): number {
    this.starved = false
    let at = start
    while (at < end) {
      const phase = this.phase
      if (phase === Phase.Head) {
        const next = this.readHead(bytes, at, end)
        if (next === incomplete) {
          this.starved = true
          return at
        }
        at = next
      } else if (phase === Phase.Body || phase === Phase.Tunnel) {
        const { body } = this.stream!
        if (!body.wanted || body.holding) return at
        if (phase === Phase.Body) this.due(this.options.stallTimeoutMs)
        at = body.feed(bytes, at, end)
        if (body.starved) {
          this.starved = true
          return at
        }
      } else return phase === Phase.Reply ? at : end
    }
    return at
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    if (bytes[start] === cr && !this.emptyLineSkipped) {
      // RFC 9112 2.2: one empty line before a request is let pass.
      if (end - start === 1) return this.headUnfinished()
      if (bytes[start + 1] === lf) {
        this.emptyLineSkipped = true
        return start + 2
      }
    }
    const at = parseRequestHead(bytes, start, end, this.limits)
    if (at === incomplete) return this.headUnfinished()
    this.headBegun = false
    this.emptyLineSkipped = false
    if (at < 0) {
      this.refuse(requestError(at as Fault), parsed.request)
      return end
    }
    this.begin(parsed.request!, parsed.length)
    return at
  }

  private headUnfinished(): number {
    if (!this.headBegun) {
      this.headBegun = true
      this.due(this.options.headTimeoutMs)
    }
    return incomplete
  }

  private begin(head: RequestHead, length: BodyLength): void {
    head.scheme = this.options.scheme
    this.persistent = parsed.persistent
    this.replySent = false
    const body = new BodyReader(this, length, false)
    const stream = new Http1ServerStream(this, head, body)
    this.stream = stream
    this.phase = length === 0 ? Phase.Reply : Phase.Body
    this.due(this.options.stallTimeoutMs)
    this.announcing = true
    this.owner.onStream(stream)
    if (length === 0 && this.stream === stream) stream.owner?.onRequestEnd()
    this.announcing = false
    if (this.replySent && this.stream === stream) this.finishReply()
  }

  // BodyReaderOwner

  pump(): void {
    this.inlet.pump()
    this.checkEnd()
  }

  onBodyRead(reader: BodyReader): void {
    const { stream } = this
    if (stream === undefined || stream.body !== reader) return
    if (this.phase === Phase.Tunnel) {
      this.finishTunnel()
      return
    }
    if (this.phase !== Phase.Body) return
    this.phase = Phase.Reply
    this.due(this.options.stallTimeoutMs)
    stream.owner?.onRequestEnd()
  }

  onBodyFault(_reader: BodyReader, fault: Fault): void {
    this.breakOff(requestError(fault))
  }

  /** The exchange wants no more of it: the rest is dropped; the reply, when complete, ends the connection. */
  onBodyCancelled(): void {
    if (this.phase === Phase.Tunnel) this.stream!.body.finishAtClose()
    else this.pump()
  }

  // StreamCodec

  sendInterim(stream: Http1ServerStream, head: ResponseHead): void {
    if (stream !== this.stream || stream.replied || stream.head.version === 10) return
    this.connection.writeText(replyText(head, '', false))
  }

  startReply(stream: Http1ServerStream, head: ResponseHead, length: BodyLength): BodySink {
    invariant(!stream.replied, 'a stream is replied to once')
    const { head: asked } = stream
    const { status } = head
    const frame = replyFrame(asked, status, length)
    const writer = new BodyWriter(this, frame, length)
    if (stream !== this.stream) {
      writer.abandon()
      return writer
    }
    stream.status = status
    stream.writer = writer
    const switching = asked.upgrade !== '' || asked.method === 'CONNECT'
    if (this.draining || this.phase === Phase.Body || switching || frame === BodyFrame.Close)
      this.persistent = false
    const framing = replyFraming(asked, head, frame, length, !this.persistent)
    writer.start(replyText(head, framing, keepsLength(asked, status)))
    if (length === BodyKind.Tunnel) this.openTunnel(stream)
    return writer
  }

  resetStream(stream: Http1ServerStream, error: ProxyError): void {
    if (stream !== this.stream) return
    this.stream = undefined
    stream.writer?.abandon()
    this.cut(stream, error)
  }

  private openTunnel(stream: Http1ServerStream): void {
    this.phase = Phase.Tunnel
    this.deadline = Number.POSITIVE_INFINITY
    stream.body.becomeTunnel()
  }

  // BodyWriterOwner

  onBodyWritten(writer: BodyWriter): void {
    if (this.stream?.writer !== writer) return
    if (this.phase === Phase.Tunnel) {
      this.connection.end()
      this.finishTunnel()
      return
    }
    this.replySent = true
    this.finishReply()
  }

  onBodyCut(writer: BodyWriter, error: ProxyError): void {
    const { stream } = this
    if (stream?.writer !== writer) return
    this.stream = undefined
    this.cut(stream, error)
  }

  onBodyMismatch(writer: BodyWriter, error: ProxyError): void {
    const { stream } = this
    if (stream?.writer !== writer) return
    this.stream = undefined
    this.cut(stream, error)
    stream.owner?.onAbort(error)
  }

  /** The reply is complete; once the kernel has it, the stream is. */
  private finishReply(): void {
    const stream = this.stream!
    if (this.announcing || stream.writer!.waiting) return
    const early = this.phase === Phase.Body
    this.stream = undefined
    this.replySent = false
    if (early || !this.persistent || this.draining) {
      if (early) stream.body.discard()
      this.closeGracefully()
    } else {
      this.phase = Phase.Head
      this.due(this.options.idleTimeoutMs)
    }
    stream.owner?.onReplyEnd()
    if (this.phase === Phase.Head) this.pump()
  }

  private finishTunnel(): void {
    const { stream } = this
    if (stream === undefined || !stream.body.done || stream.writer?.done !== true) return
    this.stream = undefined
    this.closeGracefully()
    stream.owner?.onReplyEnd()
  }

  // Ends

  /** The client sent FIN: whether that is right depends on where we are, once all it sent is used. */
  private checkEnd(): void {
    if (!this.ended) return
    switch (this.phase) {
      case Phase.Head:
        if (this.inlet.size > 0 && this.headBegun)
          this.refuse(requestError(Fault.HeadIncomplete), undefined)
        else if (this.inlet.size === 0) this.closeGracefully()
        return
      case Phase.Body:
      case Phase.Tunnel: {
        const { body } = this.stream!
        if (body.holding || (this.inlet.size > 0 && !this.starved)) return
        if (this.phase === Phase.Tunnel && !body.wanted) return
        if (!body.finishAtClose()) this.disconnected()
        return
      }
      default:
        return
    }
  }

  private disconnected(): void {
    const stream = this.stream!
    const error = disconnect(undefined)
    this.phase = Phase.Linger
    this.inlet.close()
    this.connection.destroy(error)
    this.abort(stream, error)
  }

  /** The request went wrong behind its head: answered if nothing was, else cut. */
  private breakOff(error: ProxyError): void {
    const stream = this.stream!
    const answer = !stream.replied
    if (answer) {
      stream.status = refusalStatus(error)
      this.connection.writeText(refusalText(error, stream.head.method === 'HEAD'))
      this.closeGracefully()
    } else this.cut(stream, error)
    this.abort(stream, error)
  }

  private abort(stream: Http1ServerStream, error: ProxyError): void {
    this.stream = undefined
    stream.writer?.abandon()
    stream.body.fail(error)
    stream.owner?.onAbort(error)
  }

  /** Ends the connection so that an unfinished reply cannot be taken for a finished one. */
  private cut(stream: Http1ServerStream, error: ProxyError): void {
    stream.body.discard()
    const frame = stream.writer?.frame
    if (frame === BodyFrame.Close || frame === BodyFrame.Tunnel) {
      this.phase = Phase.Linger
      this.inlet.close()
      this.connection.reset(error)
    } else this.closeGracefully()
  }

  private refuse(error: ProxyError, head: RequestHead | undefined): void {
    this.connection.writeText(refusalText(error, head?.method === 'HEAD'))
    this.closeGracefully()
    this.owner.onRefused(this, error, refusalStatus(error), head)
  }

  private closeGracefully(): void {
    if (this.phase >= Phase.Linger) return
    this.phase = Phase.Linger
    this.inlet.close()
    this.connection.end()
    this.progress = -1
    this.due(this.options.lingerMs)
  }

  // Deadlines

  /** The phase may take `ms` from now. Later deadlines cost nothing: the timer finds out when it fires. */
  private due(ms: number): void {
    const { clock, wheel } = this.options
    const at = clock.now + ms
    this.deadline = at
    if (!this.timer.armed || this.timer.deadline > at) wheel.arm(this.timer, ms)
  }

  onDeadline(): void {
    const { clock, wheel } = this.options
    if (this.deadline === Number.POSITIVE_INFINITY) return
    const left = this.deadline - clock.now
    if (left > 0) wheel.arm(this.timer, left)
    else this.expire()
  }

  private expire(): void {
    switch (this.phase) {
      case Phase.Head:
        if (this.headBegun) this.refuse(requestError(Fault.HeadTimeout), undefined)
        else this.closeGracefully()
        return
      case Phase.Body: {
        const { body } = this.stream!
        if (body.wanted && !body.holding) this.breakOff(requestError(Fault.BodyTimeout))
        else this.due(this.options.stallTimeoutMs)
        return
      }
      case Phase.Reply:
        this.expireReply()
        return
      case Phase.Linger:
        this.expireLinger()
        return
      default:
        return
    }
  }

  /** A client that reads nothing of its reply loses it; waiting for the upstream is not our affair. */
  private expireReply(): void {
    const { connection } = this
    const stream = this.stream!
    const flushed = connection.bytesWritten - connection.queuedBytes
    if (stream.writer?.waiting === true && flushed === this.progress) {
      const error = requestError(Fault.BodyTimeout)
      connection.destroy(error)
      this.phase = Phase.Linger
      this.abort(stream, error)
      return
    }
    this.progress = flushed
    this.due(this.options.stallTimeoutMs)
  }

  /** The queue goes first: a slow reader is given time as long as it reads. */
  private expireLinger(): void {
    const { connection } = this
    const { clock, lingerMs, stallTimeoutMs } = this.options
    const queued = connection.queuedBytes
    if (queued !== this.progress) {
      this.progress = queued
      this.stalledSince = clock.now
    }
    if (queued > 0 && clock.now - this.stalledSince < stallTimeoutMs) this.due(lingerMs)
    else connection.destroy()
  }
}

function disconnect(cause: ProxyError | undefined): ProxyError {
  return new ProxyError(ErrorCode.DownstreamClosed, Side.Downstream, {
    message: 'The client closed the connection before its reply was complete.',
    cause,
  })
}
