/**
 * One HTTP request from its head to its log line: routed once by the table it started with, filtered,
 * delivered or answered here, recorded once. Hot: bench/main.ts.
 */
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { Filtering } from '../filters/chain.ts'
import { regexWork } from '../filters/regex.ts'
import type { Rewrite } from '../filters/rewrite.ts'
import type { ServerStream, StreamOwner } from '../http/codec.ts'
import { stripClientControls } from '../http/forwarded.ts'
import type { ResponseHead } from '../http/head.ts'
import { canonicalTarget, pathOf } from '../http/path.ts'
import type { Address } from '../net/address.ts'
import type { Choice, ForwardAction, Route, Sticky } from '../routing/route.ts'
import { ExchangeRecord } from '../telemetry/exchange-record.ts'
import type { Cluster } from '../upstream/cluster.ts'
import { answer, answerAsIs, answerDirectly, answerFailure, answerRedirect } from './answer.ts'
import { Delivery } from './delivery.ts'
import { describeAbort, describeRequest, hasAuthority } from './describe.ts'
import { failureDetails, failureRow } from './failure.ts'
import { HashText } from './hash-text.ts'
import { Mirroring } from './mirror.ts'
import {
  noCluster,
  noHost,
  noRoute,
  serviceEntryHint,
  tooMuchMatching,
  unusablePath,
  upgradeRefused,
} from './refusals.ts'
import type { HttpScope, OpenExchange, Target } from './scope.ts'

export class Exchange implements StreamOwner, OpenExchange {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly record: ExchangeRecord
  readonly originalDestination: Address | undefined
  private route: Route<Target> | undefined = undefined
  private choice: Choice<Target> | undefined = undefined
  private filtering: Filtering | undefined = undefined
  private mirroring: Mirroring | undefined = undefined
  private delivery: Delivery | undefined = undefined
  private requestEnded = false
  private over = false
  /** Among the exchanges that are not over. */
  place = -1

  constructor(stream: ServerStream, scope: HttpScope) {
    const { local, remote } = stream.connection
    this.stream = stream
    this.scope = scope
    this.originalDestination = scope.destination(stream.head, stream.connection)
    const at = stream.connection.originalDestination ?? local
    this.record = new ExchangeRecord(scope.direction, clock.wall(), clock.now, at, remote)
    stream.owner = this
  }

  start(): void {
    const { scope, stream } = this
    const { head } = stream
    scope.services.exchanges.add(this)
    scope.services.recorder.requestStarted(scope.direction)
    describeRequest(this.record, head, scope.version)
    stripClientControls(head.headers, scope.direction === 'inbound')
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
    regexWork.renew()
    const host = scope.routes.host(head.authority)
    const route = host?.match(head, pathOf(target))
    if (regexWork.gaveUp !== '') {
      this.record.origin = host?.origin
      this.fail(tooMuchMatching(regexWork.gaveUp))
    } else if (route !== undefined) this.follow(route)
    else if (host === undefined) this.toUnknownHost()
    else {
      this.record.origin = host.origin
      this.fail(noRoute(host.spec.name, target))
    }
  }

  /** Headers of the chosen rule, on whatever goes back to the client; then what its filters add. */
  editReply(head: ResponseHead): void {
    const edits =
      this.choice?.responseEdits ??
      (this.route !== undefined && this.route.action.kind !== 'forward'
        ? this.route.action.responseEdits
        : undefined)
    if (edits !== undefined) {
      this.record.responseHeaders = head.headers
      this.record.requestBytes = this.stream.body.bytes
      edits.apply(head.headers, this.record)
    }
    if (this.filtering !== undefined) this.filtering.editReply(head)
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
    this.deliver(cluster, scope.passthrough)
  }

  private follow(route: Route<Target>): void {
    const { record, scope } = this
    const { action } = route
    const { faults } = scope.services
    const filters = faults.active ? faults.before(route.filters) : route.filters
    this.route = route
    record.routeName = route.name
    record.origin = route.origin
    if (action.kind === 'forward') {
      this.choice =
        action.sticky === undefined
          ? action.split.pick(scope.services.random)
          : this.stickyChoice(action, action.sticky)
      record.cluster = this.choice.spec.cluster
    }
    if (filters !== undefined) {
      // A filter that answers itself is counted where the request would have gone.
      record.clusterMetrics = this.choice?.target?.metrics
      this.filtering = new Filtering(filters, this)
      if (!this.filtering.run()) return
    }
    this.onFiltered()
  }

  private stickyChoice({ split }: ForwardAction<Target>, sticky: Sticky): Choice<Target> {
    const text = new HashText(this.stream).of(sticky.key)
    if (text === undefined || text === '') return split.pick(this.scope.services.random)
    return split.choices[sticky.split.index(text)]!
  }

  /** The route's filters let the request pass. */
  onFiltered(): void {
    const { record, stream } = this
    const { action } = this.route!
    if (action.kind === 'redirect') answerRedirect(this, action)
    else if (action.kind === 'direct') answerDirectly(this, action)
    else {
      const choice = this.choice!
      const cluster = choice.target
      if (cluster === undefined) {
        record.origin = choice.spec.origin
        this.fail(noCluster(choice.spec.cluster))
        return
      }
      choice.requestEdits?.apply(stream.head.headers, record)
      if (choice.rewrite !== undefined && !this.rewrite(choice.rewrite)) return
      this.deliver(cluster, action)
    }
  }

  private rewrite(rewrite: Rewrite): boolean {
    const { record, stream } = this
    regexWork.renew()
    rewrite.apply(stream.head)
    record.sentPath = stream.head.target
    record.sentAuthority = stream.head.authority
    if (regexWork.gaveUp === '') return true
    this.fail(tooMuchMatching(regexWork.gaveUp))
    return false
  }

  /** Everything about the request is settled. */
  private deliver(cluster: Cluster, forward: ForwardAction<Target>): void {
    const { record, stream } = this
    const { head } = stream
    record.cluster = cluster.name
    record.clusterMetrics = cluster.metrics
    if (head.upgrade !== '' && head.upgrade !== 'websocket') {
      this.fail(upgradeRefused(head.upgrade))
      return
    }
    if (forward.mirrors !== undefined && head.upgrade === '')
      this.mirroring = Mirroring.of(forward.mirrors, this, forward.timeoutMs)
    this.delivery = new Delivery(this, cluster, forward, this.mirroring ?? stream.body)
    if (this.requestEnded) this.delivery.onRequestEnd()
    this.delivery.tryOnce()
    if (this.mirroring !== undefined) this.mirroring.start()
  }

  /** For filters: a reply made here. */
  answer(head: ResponseHead, body: Buffer, details: string): void {
    answer(this, head, body, details)
  }

  answerAsIs(head: ResponseHead, details: string): void {
    answerAsIs(this, head, details)
  }

  // --- what the client's side tells
  onRequestEnd(): void {
    this.requestEnded = true
    if (!this.over) this.delivery?.onRequestEnd()
  }

  onReplyEnd(): void {
    this.finish()
  }

  onAbort(error: ProxyError): void {
    describeAbort(this.record, error, this.stream.replied)
    this.delivery?.cancel(error)
    this.finish()
  }

  /** Drain time is over. */
  cut(): void {
    const message = 'the proxy is shutting down'
    const error = new ProxyError(ErrorCode.Draining, Side.Proxy, { message })
    this.delivery?.cancel(error)
    this.stream.reset(error)
    this.record.details = error.detail
    this.finish()
  }

  /** The proxy answers itself. */
  fail(error: ProxyError, hint = ''): void {
    const { record } = this
    record.flags |= failureRow(error).flags
    record.details = failureDetails(error, false)
    if (error.side === Side.Upstream && record.upstreamFailure === '')
      record.upstreamFailure = error.message
    if (error.origin !== undefined) record.origin = error.origin
    answerFailure(this, error, hint)
  }

  finish(): void {
    if (this.over) return
    this.over = true
    const { record, scope, stream } = this
    const { exchanges, recorder } = scope.services
    this.filtering?.cancel()
    this.delivery?.end()
    this.mirroring?.finish()
    exchanges.delete(this)
    record.requestBytes = stream.body.bytes
    record.duration = clock.now - record.start
    recorder.requestEnded(scope.direction)
    recorder.finishExchange(record)
    const statPrefix = this.route?.spec.statPrefix
    if (statPrefix !== undefined) recorder.routeFinished(statPrefix, record.status)
  }
}
