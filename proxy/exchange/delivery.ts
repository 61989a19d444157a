/**
 * The sending of one request to its cluster, in one or more attempts: timeouts, retries, and the
 * reply's way back. One per exchange that is forwarded. Hot: bench/main.ts.
 */
import type { HashKeySpec } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import { BodyKind, type BodySource } from '../http/body.ts'
import type { ServerStream } from '../http/codec.ts'
import { setAttemptCount, setExpectedTimeout } from '../http/forwarded.ts'
import type { ResponseHead } from '../http/head.ts'
import type { Address } from '../net/address.ts'
import type { ForwardAction } from '../routing/route.ts'
import { type ExchangeRecord, Flag } from '../telemetry/exchange-record.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { describeReply } from './describe.ts'
import { failureDetails, failureRow } from './failure.ts'
import { HashText } from './hash-text.ts'
import { routeTimeout } from './refusals.ts'
import { retryPolicy } from './retry.ts'
import { Retrying } from './retrying.ts'
import type { HttpScope, Target } from './scope.ts'

/** Whose request is delivered: the exchange. */
export interface Delivering {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly record: ExchangeRecord
  readonly originalDestination: Address | undefined
  /** Headers of the chosen rule, on the reply. */
  editReply(head: ResponseHead): void
  /** No reply has gone down: the proxy answers. */
  fail(error: ProxyError): void
  finish(): void
}

const Deadline = { Route: 0, Backoff: 1 } as const
const noneTried: readonly Endpoint[] = []

export class Delivery implements AttemptOwner, DeadlineOwner, PickRequest {
  private readonly exchange: Delivering
  private readonly cluster: Cluster
  private readonly forward: ForwardAction<Target>
  private readonly retrying: Retrying
  private attempt: Attempt | undefined = undefined
  private replyBody: BodySource | undefined = undefined
  private hashing: HashText | undefined = undefined
  /** Monotonic ms; -1 while the request is still coming in. */
  private requestEndedAt = -1
  private deadline: Timer | undefined = undefined
  private backoff: Timer | undefined = undefined

  constructor(exchange: Delivering, cluster: Cluster, forward: ForwardAction<Target>) {
    const { record, stream } = exchange
    this.exchange = exchange
    this.cluster = cluster
    this.forward = forward
    this.retrying = new Retrying(retryPolicy(forward.retries), stream.body, record.grpc)
  }

  /** For the picker: endpoints to avoid. */
  get tried(): readonly Endpoint[] {
    return this.retrying.tried ?? noneTried
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
    if (left !== undefined) setExpectedTimeout(stream.head.headers, left)
    const { wheel } = scope.services
    this.attempt = new Attempt(this, endpoint, stream.head, stream.body.length, wheel)
    this.attempt.start()
  }

  /** What the upstream has, of the route's or the try's limit. */
  private timeLeft(): number | undefined {
    const { forward } = this
    const perTry = forward.retries.perTryTimeoutMs
    if (forward.timeoutMs === undefined) return perTry
    const since = this.requestEndedAt < 0 ? 0 : clock.now - this.requestEndedAt
    return Math.min(perTry ?? Number.POSITIVE_INFINITY, forward.timeoutMs - since)
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
    if (covered && retrying.reserve(this.cluster)) {
      const message = `status ${head.status} is followed by a retry`
      attempt.cancel(new ProxyError(ErrorCode.UpstreamReset, Side.Proxy, { message }))
      this.retryLater(attempt)
      return
    }
    this.noteExhausted(covered)
    retrying.settled()
    this.replyBody = body
    if (scope.services.recorder.log !== undefined) record.upstreamLocal = attempt.localAddress
    describeReply(record, head, this.requestEndedAt)
    if (this.hashing !== undefined && this.hashing.setCookie !== '')
      head.headers.append('set-cookie', this.hashing.setCookie)
    exchange.editReply(head)
    body.flowInto(stream.reply(head, body.length))
    if (body.length === BodyKind.Tunnel) {
      if (this.deadline !== undefined) scope.services.wheel.cancel(this.deadline)
      stream.body.flowInto(attempt.stream!.sink)
    }
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
    const covered = retrying.policy.coversFailure(error)
    if (covered && retrying.reserve(this.cluster)) {
      this.retryLater(attempt)
      return
    }
    this.noteExhausted(covered)
    exchange.fail(error)
  }

  private noteExhausted(covered: boolean): void {
    if (covered && this.retrying.retries > 0) this.exchange.record.flags |= Flag.URX
  }

  private retryLater(attempt: Attempt): void {
    const { random, wheel } = this.exchange.scope.services
    const { retrying } = this
    this.attempt = undefined
    const waitMs = retrying.policy.backoffMs(retrying.retries, random)
    retrying.pause(attempt.endpoint)
    this.backoff ??= new Timer(this, Deadline.Backoff)
    wheel.arm(this.backoff, waitMs)
  }

  private limitTry(attempt: Attempt): void {
    const ms = this.forward.retries.perTryTimeoutMs
    if (ms !== undefined && this.requestEndedAt >= 0) attempt.limit(ms)
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
    if (this.attempt?.stream !== undefined) this.limitTry(this.attempt)
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
    const error = routeTimeout(this.forward.timeoutMs!)
    if (this.backoff !== undefined) exchange.scope.services.wheel.cancel(this.backoff)
    this.attempt?.cancel(error)
    if (!stream.replied) {
      exchange.fail(error)
      return
    }
    record.flags |= Flag.UT
    record.details = error.detail
    stream.reset(error)
    exchange.finish()
  }
}
