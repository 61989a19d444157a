/**
 * One HTTP request from its head to its log line: routed once by the table it started with, sent in
 * one or more attempts, answered once, recorded once. Hot: bench/main.ts.
 */
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import { BodyKind, type BodySource } from '../http/body.ts'
import type { ServerStream, StreamOwner } from '../http/codec.ts'
import { setAttemptCount, setExpectedTimeout, stripClientControls } from '../http/forwarded.ts'
import type { ResponseHead } from '../http/head.ts'
import { canonicalTarget, pathOf } from '../http/path.ts'
import type { Address } from '../net/address.ts'
import type { Choice, ForwardAction, Route } from '../routing/route.ts'
import { ExchangeRecord, Flag } from '../telemetry/exchange-record.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import { answerDirectly, answerFailure, answerRedirect } from './answer.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { describeReply, describeRequest, hasAuthority } from './describe.ts'
import { failureDetails, failureRow } from './failure.ts'
import {
  noCluster,
  noHost,
  noRoute,
  serviceEntryHint,
  unusablePath,
  upgradeRefused,
} from './refusals.ts'
import { retryPolicy } from './retry.ts'
import { Retrying } from './retrying.ts'
import type { HttpScope, Target } from './scope.ts'

const Deadline = { Route: 0, Backoff: 1 } as const
const noneTried: readonly Endpoint[] = []

export class Exchange implements StreamOwner, AttemptOwner, DeadlineOwner, PickRequest {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly record: ExchangeRecord
  readonly originalDestination: Address | undefined
  private route: Route<Target> | undefined = undefined
  private forward: ForwardAction<Target> | undefined = undefined
  private choice: Choice<Target> | undefined = undefined
  private retrying: Retrying | undefined = undefined
  private cluster: Cluster | undefined = undefined
  private attempt: Attempt | undefined = undefined
  private replyBody: BodySource | undefined = undefined
  private over = false
  private requestEndedAt = -1
  private readonly deadline = new Timer(this, Deadline.Route)
  private backoff: Timer | undefined = undefined

  constructor(stream: ServerStream, scope: HttpScope) {
    const { local, remote } = stream.connection
    this.stream = stream
    this.scope = scope
    this.originalDestination = scope.destination(stream.head, stream.connection)
    const at = stream.connection.originalDestination ?? local
    this.record = new ExchangeRecord(scope.direction, clock.wall(), clock.now, at, remote)
    stream.owner = this
  }

  /** For the picker: endpoints to avoid. */
  get tried(): readonly Endpoint[] {
    return this.retrying?.tried ?? noneTried
  }

  start(): void {
    const { scope, stream } = this
    const { head } = stream
    scope.services.exchanges.add(this)
    scope.services.recorder.requestStarted(scope.direction)
    describeRequest(this.record, head, scope.version)
    if (!hasAuthority(head, this.originalDestination)) {
      this.fail(noHost())
      return
    }
    const target = canonicalTarget(head.target, scope.normalization)
    if (target === '') {
      this.fail(unusablePath(head.target))
      return
    }
    head.target = target
    const host = scope.routes.host(head.authority)
    const route = host?.match(head, pathOf(target))
    if (route !== undefined) this.follow(route)
    else if (host === undefined) this.toUnknownHost()
    else {
      this.record.origin = host.origin
      this.fail(noRoute(host.spec.name, target))
    }
  }

  /** Headers of the chosen rule, on whatever goes back to the client. */
  editReply(head: ResponseHead): void {
    const edits =
      this.choice?.responseEdits ??
      (this.route !== undefined && this.route.action.kind !== 'forward'
        ? this.route.action.responseEdits
        : undefined)
    if (edits === undefined) return
    this.record.responseHeaders = head.headers
    edits.apply(head.headers, this.record)
  }

  private toUnknownHost(): void {
    const { record, scope, stream } = this
    record.origin = scope.policyOrigin
    const cluster = scope.unknownHost(stream.head, stream.connection)
    if (cluster instanceof ProxyError) {
      this.fail(cluster, serviceEntryHint(cluster, stream.head, this.originalDestination))
      return
    }
    record.routeName = 'allow_any'
    this.forward = scope.passthrough
    this.send(cluster)
  }

  private follow(route: Route<Target>): void {
    const { record, scope, stream } = this
    this.route = route
    record.routeName = route.name
    record.origin = route.origin
    const { action } = route
    if (action.kind === 'redirect') answerRedirect(this, action)
    else if (action.kind === 'direct') answerDirectly(this, action)
    else {
      const choice = action.split.pick(scope.services.random)
      this.forward = action
      this.choice = choice
      record.cluster = choice.spec.cluster
      const cluster = choice.target
      if (cluster === undefined) {
        record.origin = choice.spec.origin
        this.fail(noCluster(choice.spec.cluster))
        return
      }
      choice.requestEdits?.apply(stream.head.headers, record)
      choice.rewrite?.apply(stream.head)
      this.send(cluster)
    }
  }

  /** Everything about the request is settled: first attempt. */
  private send(cluster: Cluster): void {
    const { forward, record, scope, stream } = this
    const { body, head } = stream
    this.cluster = cluster
    record.cluster = cluster.name
    record.clusterMetrics = cluster.metrics
    if (head.upgrade !== '' && head.upgrade !== 'websocket') {
      this.fail(upgradeRefused(head.upgrade))
      return
    }
    if (scope.direction === 'outbound') stripClientControls(head.headers)
    this.retrying = new Retrying(retryPolicy(forward!.retries), body, record.grpc)
    this.tryOnce()
  }

  private tryOnce(): void {
    const { record, scope, stream } = this
    const picked = this.cluster!.pick(this)
    if (picked.kind === 'refuse') {
      this.fail(picked.error)
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
    if (forward === undefined) return undefined
    const perTry = forward.retries.perTryTimeoutMs
    if (forward.timeoutMs === undefined) return perTry
    const since = this.requestEndedAt < 0 ? 0 : clock.now - this.requestEndedAt
    return Math.min(perTry ?? Number.POSITIVE_INFINITY, forward.timeoutMs - since)
  }

  // --- what the attempt tells
  onSent(attempt: Attempt): void {
    this.limitTry(attempt)
    if (this.stream.body.length !== 0) this.retrying!.flowInto(attempt.stream!.sink)
  }

  onInform(_attempt: Attempt, head: ResponseHead): void {
    this.retrying!.informed = true
    this.stream.inform(head)
  }

  onReply(attempt: Attempt, head: ResponseHead, body: BodySource): void {
    const { record, scope, stream } = this
    const retrying = this.retrying!
    const covered = retrying.policy.attempts > 0 && retrying.policy.coversReply(head)
    if (covered && retrying.reserve(this.cluster!)) {
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
    this.editReply(head)
    body.flowInto(stream.reply(head, body.length))
    if (body.length === BodyKind.Tunnel) {
      scope.services.wheel.cancel(this.deadline)
      stream.body.flowInto(attempt.stream!.sink)
    }
  }

  onReplyBody(): void {
    // The stream tells its own end once everything is on its way to the client.
  }

  onAttemptFailed(attempt: Attempt, error: ProxyError): void {
    const { record, stream } = this
    record.upstreamFailure = error.message
    if (stream.replied) {
      record.flags |= failureRow(error).flags
      record.details = failureDetails(error, true)
      this.finish()
      return
    }
    const retrying = this.retrying!
    if (retrying.isReuseRace(attempt, error, stream.head.method)) {
      this.tryOnce()
      return
    }
    const covered = retrying.policy.coversFailure(error)
    if (covered && retrying.reserve(this.cluster!)) {
      this.retryLater(attempt)
      return
    }
    this.noteExhausted(covered)
    this.fail(error)
  }

  private noteExhausted(covered: boolean): void {
    if (covered && this.retrying!.retries > 0) this.record.flags |= Flag.URX
  }

  private retryLater(attempt: Attempt): void {
    const { random, wheel } = this.scope.services
    const retrying = this.retrying!
    this.attempt = undefined
    const waitMs = retrying.policy.backoffMs(retrying.retries, random)
    retrying.pause(attempt.endpoint)
    this.backoff ??= new Timer(this, Deadline.Backoff)
    wheel.arm(this.backoff, waitMs)
  }

  private limitTry(attempt: Attempt): void {
    const ms = this.forward!.retries.perTryTimeoutMs
    if (ms !== undefined && this.requestEndedAt >= 0) attempt.limit(ms)
  }

  // --- what the client's side tells
  onRequestEnd(): void {
    this.requestEndedAt = clock.now
    if (this.over) return
    const timeoutMs = this.forward?.timeoutMs
    if (timeoutMs !== undefined) this.scope.services.wheel.arm(this.deadline, timeoutMs)
    if (this.attempt?.stream !== undefined) this.limitTry(this.attempt)
  }

  onReplyEnd(): void {
    this.finish()
  }

  onAbort(error: ProxyError): void {
    const { record, stream } = this
    const { flags, status } = failureRow(error)
    record.flags |= flags
    if (!stream.replied) {
      record.status = status
      record.details = error.detail
    } else if (record.details === 'via_upstream') record.details = error.detail
    this.attempt?.cancel(error)
    this.finish()
  }

  onDeadline(timer: Timer): void {
    if (this.over) return
    if (timer.kind === Deadline.Backoff) {
      this.tryOnce()
      return
    }
    const message = `no complete reply within the route's timeout of ${this.forward!.timeoutMs} ms`
    const error = new ProxyError(ErrorCode.ResponseTimeout, Side.Upstream, { message })
    this.attempt?.cancel(error)
    if (!this.stream.replied) {
      this.fail(error)
      return
    }
    this.record.flags |= Flag.UT
    this.record.details = error.detail
    this.stream.reset(error)
    this.finish()
  }

  /** Drain time is over. */
  cut(): void {
    const message = 'the proxy is shutting down'
    const error = new ProxyError(ErrorCode.Draining, Side.Proxy, { message })
    this.attempt?.cancel(error)
    this.stream.reset(error)
    this.record.details = error.detail
    this.finish()
  }

  /** The proxy answers itself. */
  private fail(error: ProxyError, hint = ''): void {
    const { record } = this
    record.flags |= failureRow(error).flags
    record.details = failureDetails(error, false)
    if (error.side === Side.Upstream && record.upstreamFailure === '')
      record.upstreamFailure = error.message
    answerFailure(this, error, hint)
  }

  private finish(): void {
    if (this.over) return
    this.over = true
    const { record, scope, stream } = this
    const { exchanges, recorder, wheel } = scope.services
    wheel.cancel(this.deadline)
    if (this.backoff !== undefined) wheel.cancel(this.backoff)
    if (this.cluster !== undefined) this.retrying?.release(this.cluster)
    exchanges.delete(this)
    record.requestBytes = stream.body.bytes
    if (this.replyBody !== undefined) record.responseBytes = this.replyBody.bytes
    record.duration = clock.now - record.start
    recorder.requestEnded(scope.direction)
    recorder.finishExchange(record)
  }
}
