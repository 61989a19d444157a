/**
 * One try of an exchange at one endpoint: waits for a stream, sends the head, lets the body flow, and
 * tells the exchange what came of it. Exactly one of the owner's end methods is called.
 */
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { BodyLength, BodySink, BodySource } from '../http/body.ts'
import type { ClientCodec, ReplyReceiver, UpstreamStream } from '../http/codec.ts'
import { httpStatusOf } from '../http/grpc-status.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import { isGrpc } from '../http/local-reply.ts'
import { formatAddress } from '../net/address.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { StreamTicket, StreamWaiter } from '../upstream/waiting.ts'
import { DrainedBody, isWorthDraining } from './drained-body.ts'
import { noteFailure, noteReply } from './reply-cost.ts'
import type { TryFault } from './try-fault.ts'

export interface AttemptOwner {
  /** A stream is open and the head on its way: now the body may flow into `attempt.stream.sink`. */
  onSent(attempt: Attempt): void
  onInform(attempt: Attempt, head: ResponseHead): void
  onReply(attempt: Attempt, head: ResponseHead, body: BodySource): void
  onReplyBody(attempt: Attempt): void
  onAttemptFailed(attempt: Attempt, error: ProxyError): void
  /** On purpose: `sink` is to be failed, and the client to see a reset or a cut. */
  onBrokenOff?(attempt: Attempt, sink: BodySink, error: ProxyError, reset: boolean): void
}

export class Attempt implements StreamWaiter, ReplyReceiver, DeadlineOwner {
  readonly endpoint: Endpoint
  stream: UpstreamStream | undefined = undefined
  /** The connection had carried a request before: it may have been closing when we used it. */
  reused = false
  /** Some byte of a reply was seen. */
  answered = false
  private readonly owner: AttemptOwner
  private readonly head: RequestHead
  private readonly length: BodyLength
  private readonly wheel: TimerWheel
  private codec: ClientCodec | undefined = undefined
  private ticket: StreamTicket | undefined = undefined
  private perTry: Timer | undefined = undefined
  private over = false
  private startedAt = 0
  /** What is done to it on purpose. */
  private fault: TryFault | undefined = undefined

  constructor(
    owner: AttemptOwner,
    endpoint: Endpoint,
    head: RequestHead,
    length: BodyLength,
    wheel: TimerWheel,
  ) {
    this.owner = owner
    this.endpoint = endpoint
    this.head = head
    this.length = length
    this.wheel = wheel
  }

  start(fault?: TryFault): void {
    this.startedAt = clock.now
    this.fault = fault
    if (fault === undefined) this.proceed()
    else fault.begin(this)
  }

  /** For a fault: now as usual. */
  proceed(): void {
    if (!this.over) this.ticket = this.endpoint.poolFor(this.head.authority).acquire(this)
  }

  /** The body of its reply as the client is to get it. */
  shape(body: BodySource): BodySource {
    return this.fault === undefined ? body : this.fault.shape(body, this)
  }

  /** For a fault: the reply's body ends here. */
  breakOff(sink: BodySink, error: ProxyError, reset: boolean): void {
    this.cancel(error)
    this.owner.onBrokenOff?.(this, sink, error, reset)
  }

  /** The time of the try runs: it has a stream, or is held back on purpose. */
  get running(): boolean {
    return this.stream !== undefined || this.fault !== undefined
  }

  /** The proxy answered in the endpoint's place. */
  get answeredByFault(): boolean {
    return this.fault?.answers === true
  }

  /** The exchange is over. */
  stop(): void {
    this.fault?.stop()
  }

  /** Istio perTryTimeout: from request complete and stream attached until the reply head. */
  limit(perTryTimeoutMs: number): void {
    if (this.over || this.answered) return
    this.perTry ??= new Timer(this)
    if (!this.perTry.armed) this.wheel.arm(this.perTry, perTryTimeoutMs)
  }

  /** The exchange has no more use for it; no owner method is called afterwards. */
  cancel(error: ProxyError): void {
    if (this.over) return
    this.finish()
    this.fault?.stop()
    const { outlier, replyTime } = this.endpoint
    if (error.code === ErrorCode.ResponseTimeout && outlier !== undefined && this.isWaitedFor)
      outlier.broke(error)
    // Nobody waits any longer: it is at least so slow.
    if (replyTime !== undefined && !this.answered) replyTime.atLeast(clock.now - this.startedAt)
    if (this.stream !== undefined) this.stream.cancel(error)
    else this.ticket?.cancel()
  }

  /** Another attempt follows its reply; no owner method is called afterwards. */
  discard(body: BodySource): void {
    if (isWorthDraining(body)) {
      this.finish()
      this.fault?.stop()
      new DrainedBody(this.wheel).drain(body)
      return
    }
    const message = 'another attempt follows'
    this.cancel(new ProxyError(ErrorCode.UpstreamReset, Side.Proxy, { message }))
  }

  /** `10.0.0.7:41234` of our own side, once connected. */
  get localAddress(): string {
    return this.codec === undefined ? '' : formatAddress(this.codec.connection.local)
  }

  onStream(codec: ClientCodec, reused: boolean): void {
    this.codec = codec
    this.reused = reused
    this.stream = codec.open(this.head, this.length, this)
    if (!this.over) this.owner.onSent(this)
  }

  onNoStream(error: ProxyError): void {
    if (this.over) return
    this.finish()
    this.noteFailure(error)
    this.owner.onAttemptFailed(this, error)
  }

  onInform(head: ResponseHead): void {
    this.answered = true
    if (!this.over) this.owner.onInform(this, head)
  }

  onReply(head: ResponseHead, body: BodySource): void {
    this.answered = true
    if (this.perTry !== undefined) this.wheel.cancel(this.perTry)
    const { outlier, replyTime } = this.endpoint
    if (outlier !== undefined) outlier.replied(this.statusMeant(head))
    if (replyTime !== undefined) noteReply(replyTime, head, clock.now - this.startedAt)
    this.owner.onReply(this, head, body)
  }

  onReplyEnd(): void {
    if (this.over) return
    this.finish()
    this.owner.onReplyBody(this)
  }

  onFailure(error: ProxyError): void {
    if (this.over) return
    this.finish()
    this.noteFailure(error)
    this.owner.onAttemptFailed(this, error)
  }

  onDeadline(): void {
    clock.refresh()
    const message = `${formatAddress(this.endpoint.address)} did not answer within the per-try timeout`
    const error = new ProxyError(ErrorCode.PerTryTimeout, Side.Upstream, { message })
    this.cancel(error)
    this.noteFailure(error)
    this.owner.onAttemptFailed(this, error)
  }

  /** The endpoint has the request; in line for a connection it is not to blame. */
  private get isWaitedFor(): boolean {
    return !this.answered && this.stream !== undefined
  }

  /** A gRPC call that ends with its head carries its status there, under a 200. */
  private statusMeant(head: ResponseHead): number {
    const grpcStatus = head.headers.get('grpc-status')
    return grpcStatus !== undefined && isGrpc(this.head) ? httpStatusOf(grpcStatus) : head.status
  }

  private noteFailure(error: ProxyError): void {
    const { outlier, replyTime } = this.endpoint
    // A kept connection that was being closed when it was used says nothing about the endpoint.
    const race = this.reused && !this.answered && error.code === ErrorCode.UpstreamClosed
    if (outlier !== undefined && !race) outlier.broke(error)
    if (replyTime !== undefined) noteFailure(replyTime, error)
  }

  private finish(): void {
    this.over = true
    if (this.perTry !== undefined) this.wheel.cancel(this.perTry)
  }
}
