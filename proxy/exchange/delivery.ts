/**
 * The sending of one request to its cluster, in one or more attempts: timeouts, retries, and the
 * reply's way back. One per exchange that is forwarded. Hot: bench/main.ts.
 */
import type { HashKeySpec } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import type { ProxyError } from '../base/errors.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import { BodyKind, type BodySink, type BodySource } from '../http/body.ts'
import type { ServerStream } from '../http/codec.ts'
import {
  grpcTimeoutMs,
  setAttemptCount,
  setExpectedTimeout,
  setGrpcTimeout,
} from '../http/forwarded.ts'
import type { ResponseHead } from '../http/head.ts'
import { type Address, hostOf } from '../net/address.ts'
import type { ForwardAction } from '../routing/route.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { declinesSwitch, describeReply } from './describe.ts'
import { failureDetails, failureRow } from './failure.ts'
import { HashText } from './hash-text.ts'
import { callerTimeout, routeTimeout } from './refusals.ts'
import { retryPolicy } from './retry.ts'
import { longestRetryAfterMs, retryAfterMs } from './retry-after.ts'
import { comeBackLater, notRetried, type RetryRefusal, triedText } from './retry-refusal.ts'
import { Retrying } from './retrying.ts'
import type { HttpScope, Target } from './scope.ts'
import { drawTryFault } from './try-fault.ts'

/** Whose request is delivered: the exchange. */
export interface Delivering {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly record: ExchangeRecord
  readonly originalDestination: Address | undefined
  /** Headers of the chosen rule, on the reply. */
  editReply(head: ResponseHead): void
  /** No reply has gone down: the proxy answers. */
  fail(error: ProxyError, hint?: string): void
  finish(): void
}

const Deadline = { Route: 0, Backoff: 1, Caller: 2 } as const
const noneTried: readonly Endpoint[] = []
const forever = Number.POSITIVE_INFINITY

export class Delivery implements AttemptOwner, DeadlineOwner, PickRequest {
  private readonly exchange: Delivering
  private readonly cluster: Cluster
  private readonly forward: ForwardAction<Target>
  private readonly retrying: Retrying
  private attempt: Attempt | undefined = undefined
  private replyBody: BodySource | undefined = undefined
  private over = false
  private hashing: HashText | undefined = undefined
  /** Why the last attempt is not followed by another, where the rule wants one. */
  private refusal: RetryRefusal | undefined = undefined
  /** Monotonic ms; -1 while the request is still coming in. */
  private requestEndedAt = -1
  private deadline: Timer | undefined = undefined
  private backoff: Timer | undefined = undefined
  /** What a gRPC caller gives it, from the start of the exchange. */
  private readonly callerMs: number | undefined
  private callerDeadline: Timer | undefined = undefined

  /** `body`: what attempts are given of the request, that of the stream or a tee in it. */
  constructor(
    exchange: Delivering,
    cluster: Cluster,
    forward: ForwardAction<Target>,
    body: BodySource,
  ) {
    const { record, scope, stream } = exchange
    this.exchange = exchange
    this.cluster = cluster
    this.forward = forward
    const policy = retryPolicy(forward.retries)
    this.retrying = new Retrying(policy, body, record.grpc)
    if (policy.attempts > 0) cluster.retryBudget.asked()
    const caller = record.grpc && scope.direction === 'outbound'
    this.callerMs = caller ? grpcTimeoutMs(stream.head.headers) : undefined
    if (this.callerMs !== undefined) this.limitByCaller(this.callerMs)
  }

  /** Istio lets the rule's timeout cap what the caller asks for: then it is that which ends the call. */
  private limitByCaller(ms: number): void {
    const { timeoutMs } = this.forward
    if (timeoutMs !== undefined && timeoutMs <= ms) return
    const { record, scope } = this.exchange
    this.callerDeadline = new Timer(this, Deadline.Caller)
    scope.services.wheel.arm(this.callerDeadline, ms - (clock.now - record.start))
  }

  /** For the picker: endpoints to avoid. */
  get tried(): readonly Endpoint[] {
    return this.retrying.tried ?? noneTried
  }

  get triedLevels(): readonly number[] | undefined {
    return this.retrying.triedLevels
  }

  /** For the picker, where names are resolved on demand. */
  get hostName(): string {
    return hostOf(this.exchange.stream.head.authority)
  }

  get originalDestination(): Address | undefined {
    return this.exchange.originalDestination
  }

  /** For the picker, where one hashes. */
  hashText(key: HashKeySpec): string | undefined {
    this.hashing ??= new HashText(this.exchange.stream)
    return this.hashing.of(key)
  }

  /** Another attempt: the first, or one after a failed one. */
  tryOnce(): void {
    const { record, scope, stream } = this.exchange
    const picked = this.cluster.pick(this)
    if (picked.kind === 'refuse') {
      this.exchange.fail(picked.error)
      return
    }
    const { endpoint } = picked
    record.attempts++
    record.upstreamHost = endpoint.text
    record.clusterMetrics = endpoint.metrics
    if (scope.direction === 'outbound') setAttemptCount(stream.head.headers, record.attempts)
    const left = this.timeLeft()
    if (left !== undefined) this.tellTimeLeft(left)
    const { wheel } = scope.services
    const attempt = new Attempt(this, endpoint, stream.head, stream.body.length, wheel)
    this.attempt = attempt
    const fault = drawTryFault(this.forward.faults, scope.services.faults, record, scope.services)
    attempt.start(fault)
    // A try that is delayed on purpose is as slow as one whose endpoint is.
    if (fault !== undefined && this.attempt === attempt) this.limitTry(attempt)
  }

  /** What the upstream has, of the route's, the try's or the caller's limit. */
  private timeLeft(): number | undefined {
    const { callerDeadline, forward } = this
    const { perTryTimeoutMs } = forward.retries
    if (
      perTryTimeoutMs === undefined &&
      forward.timeoutMs === undefined &&
      callerDeadline === undefined
    )
      return undefined
    const caller = callerDeadline === undefined ? forever : callerDeadline.deadline - clock.now
    return Math.min(perTryTimeoutMs ?? forever, this.routeTimeLeft(), caller)
  }

  private routeTimeLeft(): number {
    const since = this.requestEndedAt < 0 ? 0 : clock.now - this.requestEndedAt
    return (this.forward.timeoutMs ?? forever) - since
  }

  private tellTimeLeft(ms: number): void {
    const { record, stream } = this.exchange
    setExpectedTimeout(stream.head.headers, ms)
    const { callerMs } = this
    // As long as it is true the caller's own words go on.
    if (callerMs !== undefined && (record.attempts > 1 || ms < callerMs / 2))
      setGrpcTimeout(stream.head.headers, ms)
  }

  // --- what the attempt tells
  onSent(attempt: Attempt): void {
    this.limitTry(attempt)
    if (this.exchange.stream.body.length !== 0) this.retrying.flowInto(attempt.stream!.sink)
  }

  onInform(_attempt: Attempt, head: ResponseHead): void {
    this.retrying.informed = true
    this.exchange.stream.inform(head)
  }

  onReply(attempt: Attempt, head: ResponseHead, body: BodySource): void {
    const { exchange, retrying } = this
    const { record, scope, stream } = exchange
    const covered = retrying.policy.attempts > 0 && retrying.policy.coversReply(head)
    if (covered && this.retry(attempt, retryAfterMs(head, clock.wall()))) {
      attempt.discard(body)
      return
    }
    retrying.settled(this.cluster, !covered)
    if (this.refusal !== undefined) record.upstreamFailure = notRetried(record, this.refusal)
    if (scope.services.recorder.log !== undefined) record.upstreamLocal = attempt.localAddress
    describeReply(record, head, this.requestEndedAt)
    if (attempt.answeredByFault) record.details = 'fault_filter_abort'
    if (this.hashing !== undefined && this.hashing.setCookie !== '')
      head.headers.append('set-cookie', this.hashing.setCookie)
    if (declinesSwitch(stream.head, head)) {
      this.endUnswitched(attempt, head, body)
      return
    }
    const given = attempt.shape(body)
    this.replyBody = given
    exchange.editReply(head)
    given.flowInto(stream.reply(head, given.length))
    if (body.length === BodyKind.Tunnel) {
      if (this.deadline !== undefined) scope.services.wheel.cancel(this.deadline)
      stream.body.flowInto(attempt.stream!.sink)
    }
  }

  /** As Envoy: the client gets the head alone, and the connection ends (istio-observed 43). */
  private endUnswitched(attempt: Attempt, head: ResponseHead, body: BodySource): void {
    this.exchange.record.details = 'websocket_handshake_unsuccessful'
    attempt.discard(body)
    this.exchange.editReply(head)
    this.exchange.stream.reply(head, 0).end()
  }

  onReplyBody(): void {
    // The stream tells its own end once everything is on its way to the client.
  }

  onAttemptFailed(attempt: Attempt, error: ProxyError): void {
    const { exchange, retrying } = this
    const { record, stream } = exchange
    record.upstreamFailure = error.message
    if (stream.replied) {
      record.flags |= failureRow(error).flags
      record.details = failureDetails(error, true)
      exchange.finish()
      return
    }
    if (retrying.isReuseRace(attempt, error, stream.head.method)) {
      this.tryOnce()
      return
    }
    const { policy } = retrying
    if (policy.attempts > 0 && policy.coversFailure(error) && this.retry(attempt, undefined)) return
    if (this.refusal !== undefined) record.upstreamFailure = notRetried(record, this.refusal)
    exchange.fail(error, triedText(record, this.refusal))
  }

  onBrokenOff(attempt: Attempt, sink: BodySink, error: ProxyError, reset: boolean): void {
    const cut = () => {
      if (this.over) return
      if (reset) this.exchange.stream.connection.reset(error)
      sink.fail(error)
      this.onAttemptFailed(attempt, error)
    }
    // A reset drops what is not with the kernel yet.
    if (reset) setImmediate(cut)
    else cut()
  }

  /** True when another attempt will follow; else `refusal` says why not. */
  private retry(attempt: Attempt, afterMs: number | undefined): boolean {
    const { record, scope } = this.exchange
    const { random, wheel } = scope.services
    const { retrying } = this
    this.refusal = this.tooLate(afterMs) ?? retrying.reserve(this.cluster)
    if (this.refusal !== undefined) {
      record.flags |= this.refusal.flags
      return false
    }
    this.attempt = undefined
    const waitMs = retrying.policy.backoffMs(retrying.retries, afterMs, random)
    retrying.pause(attempt.endpoint, this.cluster.spec.loadBalancer.hash !== undefined)
    this.backoff ??= new Timer(this, Deadline.Backoff)
    wheel.arm(this.backoff, waitMs)
    return true
  }

  /** A reply that asks for more patience than there is goes to the client. */
  private tooLate(afterMs: number | undefined): RetryRefusal | undefined {
    if (afterMs === undefined) return undefined
    // The wait has jitter upwards: it must fit all the same.
    const left = Math.min(this.routeTimeLeft() / 1.5, longestRetryAfterMs)
    if (afterMs < left) return undefined
    this.cluster.instruments.retrySkipped('retry_after')
    return comeBackLater(afterMs, left)
  }

  /** Envoy: a limit per try that is not below the route's means nothing. */
  private limitTry(attempt: Attempt): void {
    const { retries, timeoutMs = forever } = this.forward
    const ms = retries.perTryTimeoutMs
    if (ms !== undefined && ms < timeoutMs && this.requestEndedAt >= 0) attempt.limit(ms)
  }

  // --- what the exchange tells
  /** The request is complete: timeouts start. */
  onRequestEnd(): void {
    this.requestEndedAt = clock.now
    const { timeoutMs } = this.forward
    if (timeoutMs !== undefined) {
      this.deadline = new Timer(this, Deadline.Route)
      this.exchange.scope.services.wheel.arm(this.deadline, timeoutMs)
    }
    if (this.attempt?.running) this.limitTry(this.attempt)
  }

  /** Nobody waits for the reply any more. */
  cancel(error: ProxyError): void {
    this.attempt?.cancel(error)
  }

  /** The exchange is over. */
  end(): void {
    const { record, scope } = this.exchange
    const { wheel } = scope.services
    if (this.deadline !== undefined) wheel.cancel(this.deadline)
    if (this.backoff !== undefined) wheel.cancel(this.backoff)
    if (this.callerDeadline !== undefined) wheel.cancel(this.callerDeadline)
    this.over = true
    this.attempt?.stop()
    this.retrying.release(this.cluster)
    if (this.replyBody !== undefined) record.responseBytes = this.replyBody.bytes
  }

  onDeadline(timer: Timer): void {
    if (timer.kind === Deadline.Backoff) {
      this.tryOnce()
      return
    }
    const { exchange } = this
    const { record, stream } = exchange
    const error = this.timeoutError(timer)
    if (this.backoff !== undefined) exchange.scope.services.wheel.cancel(this.backoff)
    this.attempt?.cancel(error)
    if (!stream.replied) {
      exchange.fail(error, triedText(record, undefined))
      return
    }
    record.flags |= failureRow(error).flags
    record.details = error.detail
    stream.reset(error)
    exchange.finish()
  }

  private timeoutError(timer: Timer): ProxyError {
    const { timeoutMs = forever } = this.forward
    if (timer.kind === Deadline.Route) return routeTimeout(timeoutMs)
    return callerTimeout(this.callerMs!)
  }
}
