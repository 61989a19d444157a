/**
 * HTTP/1.0 and 1.1 towards a client: one request at a time, answered in order; pipelined requests wait
 * in the connection. What is not a proper request is answered here and the connection closed so that
 * the client can read why. Hot: bench/micro/http1-codec.bench.ts.
 */
import type { ProxyError } from '../base/errors.ts'
import type { BodyLength } from '../http/body.ts'
import type { ServerCodec, ServerCodecOwner } from '../http/codec.ts'
import type { RequestHead } from '../http/head.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'
import { BodyReader } from './body-reader.ts'
import { BodyFrame, type BodyWriter } from './body-writer.ts'
import { Fault, incomplete, requestError } from './faults.ts'
import { type ByteConsumer, Inlet } from './inlet.ts'
import { type Http1ServerOptions, serverDefaults } from './options.ts'
import { type HeadLimits, parsed } from './parse-head.ts'
import { clientGone } from './refusal.ts'
import { RequestIntake } from './request-intake.ts'
import { ServerExit } from './server-exit.ts'
import { Phase } from './server-phase.ts'
import { Http1ServerStream, type StreamCodec } from './server-stream.ts'
import { ServerWatch, type ServerWatchOwner } from './server-watch.ts'

export class Http1ServerCodec
  implements ServerCodec, ByteReceiver, ByteConsumer, StreamCodec, ServerWatchOwner
{
  readonly connection: Connection
  readonly limits: HeadLimits
  starved = false
  private readonly owner: ServerCodecOwner
  private readonly scheme: string
  private readonly inlet: Inlet
  private readonly watch: ServerWatch
  private readonly intake: RequestIntake
  private readonly exit: ServerExit
  private phase: Phase = Phase.Head
  private stream: Http1ServerStream | undefined = undefined
  /** The owner is being told of the stream: its end must wait. */
  private announcing = false
  private persistent = true
  private replySent = false
  private retired = false
  /** The client sent FIN. */
  ended = false

  constructor(
    connection: Connection,
    owner: ServerCodecOwner,
    options: Http1ServerOptions = serverDefaults,
  ) {
    this.connection = connection
    this.owner = owner
    this.scheme = options.scheme
    this.limits = options.limits
    this.inlet = new Inlet(connection, this, options.limits.headBytes)
    this.watch = new ServerWatch(this, options)
    this.intake = new RequestIntake(options.limits)
    this.exit = new ServerExit(connection, this.inlet, this.watch)
  }

  /** Takes the connection over; `already`: read by a former receiver; `ended`: which also saw the FIN. */
  start(already?: Buffer, ended = false): void {
    this.watch.awaitRequest()
    this.connection.receiveWith(this, already)
    if (ended) this.onEnd()
  }

  get openStreams(): number {
    return this.stream === undefined ? 0 : 1
  }

  retire(): void {
    this.retired = true
  }

  drain(): void {
    this.retired = true
    if (this.phase === Phase.Head && this.inlet.size === 0) this.closeGracefully()
  }

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
    this.watch.stop()
    if (stream !== undefined) this.abort(stream, clientGone(error))
    else if (unfinished) this.owner.onRefused(this, clientGone(error), 0, undefined)
    this.owner.onClosed(this)
  }

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
        if (phase === Phase.Body) this.watch.awaitBody()
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
    const { intake } = this
    const unbegun = !intake.begun
    const at = intake.read(bytes, start, end)
    if (at === incomplete) {
      if (unbegun) this.watch.awaitHead()
      return incomplete
    }
    if (at < 0) {
      this.refuse(requestError(at as Fault), parsed.request)
      return end
    }
    if (parsed.request !== undefined) this.begin(parsed.request, parsed.length)
    return at
  }

  private begin(head: RequestHead, length: BodyLength): void {
    head.scheme = this.scheme
    this.persistent = parsed.persistent
    this.replySent = false
    const body = new BodyReader(this, length, false)
    const stream = new Http1ServerStream(this, head, body)
    this.stream = stream
    this.phase = length === 0 ? Phase.Reply : Phase.Body
    if (length === 0) this.watch.awaitReply()
    else this.watch.awaitBody()
    this.announcing = true
    this.owner.onStream(stream)
    if (length === 0 && this.stream === stream) stream.owner?.onRequestEnd()
    this.announcing = false
    if (this.replySent && this.stream === stream) this.finishReply()
  }

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
    this.watch.awaitReply()
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

  isOpen(stream: Http1ServerStream): boolean {
    return stream === this.stream
  }

  persistsAfter(stream: Http1ServerStream, frame: BodyFrame): boolean {
    // An early reply leaves a request body behind, a refused switch perhaps bytes of another protocol.
    // A request that names no host is refused: what the client sent behind it is not served.
    const { authority, method, upgrade } = stream.head
    if (this.phase === Phase.Body && !this.announcing) this.dropReceived(stream.body)
    const last = upgrade !== '' || method === 'CONNECT' || authority === ''
    if (this.retired || this.phase === Phase.Body || last || frame === BodyFrame.Close)
      this.persistent = false
    return this.persistent
  }

  /** A body that nobody took, and that is all here, leaves nothing behind once it is dropped. */
  private dropReceived(body: BodyReader): void {
    if (body.wanted) return
    body.discard()
    this.pump()
  }

  onTunnel(stream: Http1ServerStream): void {
    this.phase = Phase.Tunnel
    this.watch.awaitNothing()
    stream.body.becomeTunnel()
  }

  resetStream(stream: Http1ServerStream, error: ProxyError): void {
    if (stream !== this.stream) return
    this.stream = undefined
    stream.writer?.abandon()
    this.phase = Phase.Linger
    this.exit.cutting(stream.writer?.frame, error)
  }

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

  onBodyCut(writer: BodyWriter, error: ProxyError, unexpected: boolean): void {
    const { stream } = this
    if (stream?.writer !== writer) return
    this.resetStream(stream, error)
    if (unexpected) stream.owner?.onAbort(error)
  }

  /** The reply is complete; once the kernel has it, the stream is. */
  private finishReply(): void {
    const stream = this.stream!
    if (this.announcing || stream.writer!.waiting) return
    this.stream = undefined
    this.replySent = false
    if (this.phase === Phase.Body || !this.persistent || this.retired) this.closeGracefully()
    else {
      this.phase = Phase.Head
      this.watch.awaitRequest()
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

  /** The client sent FIN: whether that is right depends on where we are, once all it sent is used. */
  private checkEnd(): void {
    if (!this.ended) return
    if (this.starved) this.inlet.pump()
    switch (this.phase) {
      case Phase.Head:
        if (this.inlet.size === 0) this.closeGracefully()
        else if (this.intake.begun) this.refuse(requestError(Fault.HeadIncomplete), undefined)
        return
      case Phase.Body:
      case Phase.Tunnel: {
        const { body } = this.stream!
        if (body.holding || (this.inlet.size > 0 && !this.starved)) return
        if (this.phase === Phase.Tunnel && !body.wanted) return
        if (!body.finishAtClose()) this.drop(clientGone(undefined))
        return
      }
      default:
        return
    }
  }

  /** The request went wrong behind its head: answered if nothing was, else cut. */
  private breakOff(error: ProxyError): void {
    const stream = this.stream!
    this.phase = Phase.Linger
    if (stream.replied) this.exit.cutting(stream.writer?.frame, error)
    else this.exit.refusing(error, stream.head.method)
    this.abort(stream, error)
  }

  private drop(error: ProxyError): void {
    this.phase = Phase.Linger
    this.exit.atOnce(error)
    this.abort(this.stream!, error)
  }

  private abort(stream: Http1ServerStream, error: ProxyError): void {
    this.stream = undefined
    stream.writer?.abandon()
    stream.body.fail(error)
    stream.owner?.onAbort(error)
  }

  private refuse(error: ProxyError, head: RequestHead | undefined): void {
    this.phase = Phase.Linger
    const status = this.exit.refusing(error, head?.method)
    this.owner.onRefused(this, error, status, head)
  }

  private closeGracefully(): void {
    if (this.phase >= Phase.Linger) return
    this.phase = Phase.Linger
    this.exit.gracefully()
  }

  onIdleTimeout(): void {
    this.closeGracefully()
  }

  onHeadTimeout(): void {
    this.inlet.pump()
    if (this.phase === Phase.Head) this.refuse(requestError(Fault.HeadTimeout), undefined)
  }

  /**
   * A body that stalls because nobody takes it is not the client's fault. It ends too, or the exchange
   * would stay for ever: a client that leaves is not noticed while nothing is read from it.
   */
  onBodyTimeout(): void {
    const { body, replied } = this.stream!
    if (body.wanted && !body.holding) this.breakOff(requestError(Fault.BodyTimeout))
    else if (body.wanted && !replied) this.breakOff(requestError(Fault.BodyNotTaken))
    else this.watch.awaitBody()
  }

  onReplyStalled(): void {
    this.drop(this.ended ? clientGone(undefined) : requestError(Fault.ReplyStalled))
  }
}
