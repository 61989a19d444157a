/**
 * Copies of requests for mirrors (Istio mirror, mirrors): sent beside the request, answered into
 * nothing. They never hold the request up: what a mirror cannot take in time is kept within bounds, and
 * beyond them the copy is dropped and counted.
 */
import type { HashKeySpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { BodyLength, BodySink, BodySource } from '../http/body.ts'
import type { ServerStream } from '../http/codec.ts'
import { setAttemptCount, setExpectedTimeout } from '../http/forwarded.ts'
import { RequestHead, type ResponseHead } from '../http/head.ts'
import { Headers } from '../http/headers.ts'
import type { Address } from '../net/address.ts'
import type { Mirror } from '../routing/route.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import { HashText } from './hash-text.ts'
import type { HttpScope, Target } from './scope.ts'

/** What copies may take of one worker. */
export const mirrorBounds = {
  /** Copies on their way. */
  copies: 1024,
  /** Body bytes that wait for one mirror, and for all. */
  copyBytes: 1024 * 1024,
  allBytes: 16 * 1024 * 1024,
}
/** What they take now: a leak counter. */
export const mirrorUse = { copies: 0, bytes: 0 }
/** Where the rule has no timeout: Envoy's for idle streams. */
const longestMs = 300_000

/** Whose request is copied: the exchange. */
export interface Mirrored {
  readonly stream: ServerStream
  readonly scope: HttpScope
  readonly originalDestination: Address | undefined
}

/** The copies of one request; stands between its body and the delivery as a tee. */
export class Mirroring implements BodySource, BodySink {
  source: BodySource | undefined = undefined
  private readonly body: BodySource
  private readonly copies: readonly Copy[]
  private sink: BodySink | undefined = undefined

  private constructor(body: BodySource, copies: readonly Copy[]) {
    this.body = body
    this.copies = copies
  }

  /** Undefined: no mirror gets this request. The head must be as it will be sent. */
  static of(
    mirrors: ReadonlyArray<Mirror<Target>>,
    request: Mirrored,
    timeoutMs: number | undefined,
  ): Mirroring | undefined {
    const { scope, stream } = request
    const { random } = scope.services
    const copies: Copy[] = []
    for (const { spec, target } of mirrors) {
      if (target === undefined) continue
      if (spec.fraction < 1 && random.fraction() >= spec.fraction) continue
      if (mirrorUse.copies >= mirrorBounds.copies) target.instruments.mirrored('dropped')
      else copies.push(new Copy(target, copyOf(stream.head, scope, timeoutMs), request, timeoutMs))
    }
    return copies.length === 0 ? undefined : new Mirroring(stream.body, copies)
  }

  /** The request itself is on its way. */
  start(): void {
    for (const copy of this.copies) copy.start()
  }

  /** The exchange is over: copies whose body is not complete cannot be completed. */
  finish(): void {
    for (const copy of this.copies) copy.abandon()
  }

  // --- BodySource, for the delivery
  get length(): BodyLength {
    return this.body.length
  }

  get bytes(): number {
    return this.body.bytes
  }

  flowInto(sink: BodySink): void {
    this.sink = sink
    sink.source = this
    this.body.flowInto(this)
  }

  resume(): void {
    this.source?.resume()
  }

  cancel(error: ProxyError): void {
    this.source?.cancel(error)
  }

  // --- BodySink, for the client's side
  write(chunk: Buffer): boolean {
    for (const copy of this.copies) copy.write(chunk)
    return this.sink!.write(chunk)
  }

  end(trailers?: Headers): void {
    for (const copy of this.copies) copy.end(trailers)
    this.sink!.end(trailers)
  }

  fail(error: ProxyError): void {
    this.sink!.fail(error)
  }
}

/** As Envoy's copies look (istio-observed 32): the authority stays, the proxy names itself as a hop. */
function copyOf(head: RequestHead, scope: HttpScope, timeoutMs: number | undefined): RequestHead {
  const copy = new RequestHead(head.method, head.target, head.version, new Headers())
  copy.authority = head.authority
  copy.scheme = head.scheme
  const { headers } = copy
  for (let i = 0; i < head.headers.length; i++)
    headers.received(head.headers.names[i]!, head.headers.values[i]!)
  headers.remove('expect')
  setAttemptCount(headers, 1)
  if (timeoutMs !== undefined) setExpectedTimeout(headers, timeoutMs)
  headers.set('x-envoy-internal', 'true')
  const { ownAddress } = scope
  const hops = headers.all('x-forwarded-for')
  if (ownAddress !== '') headers.set('x-forwarded-for', [...hops, ownAddress].join(','))
  return copy
}

const noneTried: readonly Endpoint[] = []

/** One copy, from its draw to the end of its reply. */
class Copy implements AttemptOwner, BodySource, DeadlineOwner, PickRequest {
  readonly length: BodyLength
  bytes = 0
  readonly tried = noneTried
  readonly originalDestination: Address | undefined
  private readonly cluster: Cluster
  private readonly head: RequestHead
  private readonly wheel: TimerWheel
  private readonly timeoutMs: number
  private readonly hashing: HashText
  private readonly deadline = new Timer(this)
  private attempt: Attempt | undefined = undefined
  private sink: BodySink | undefined = undefined
  /** Came before the mirror could take it. */
  private queue: Buffer[] = []
  private queued = 0
  private held = false
  private ended = false
  private trailers: Headers | undefined = undefined
  private over = false

  constructor(
    cluster: Cluster,
    head: RequestHead,
    { originalDestination, scope, stream }: Mirrored,
    timeoutMs = longestMs,
  ) {
    this.cluster = cluster
    this.head = head
    this.length = stream.body.length
    this.originalDestination = originalDestination
    this.wheel = scope.services.wheel
    this.timeoutMs = timeoutMs
    this.hashing = new HashText(stream)
    mirrorUse.copies++
  }

  hashText(key: HashKeySpec): string | undefined {
    return this.hashing.of(key)
  }

  start(): void {
    if (this.over) return
    if (this.length === 0) this.end(undefined)
    const picked = this.cluster.pick(this)
    if (picked.kind === 'refuse') {
      this.finish('failed')
      return
    }
    this.attempt = new Attempt(this, picked.endpoint, this.head, this.length, this.wheel)
    this.attempt.start()
  }

  write(chunk: Buffer): void {
    if (this.over) return
    // Copied: a mirror that keeps the buffer itself would keep the client's connection from reading on.
    const own = Buffer.from(chunk)
    if (this.sink !== undefined && !this.held && this.queued === 0) this.pass(own)
    else this.keep(own)
  }

  /** The request is complete: from here on the copy lives on its own. */
  end(trailers: Headers | undefined): void {
    if (this.over) return
    this.ended = true
    this.trailers = trailers
    this.wheel.arm(this.deadline, this.timeoutMs)
    this.flush()
  }

  abandon(): void {
    if (!this.over && !this.ended) this.drop('failed', 'the request it copies was not complete')
  }

  // --- what the attempt tells
  onSent(attempt: Attempt): void {
    if (this.length === 0) return
    this.sink = attempt.stream!.sink
    this.sink.source = this
    this.flush()
  }

  onInform(): void {
    // Nobody waits for it.
  }

  onReply(_attempt: Attempt, _head: ResponseHead, body: BodySource): void {
    body.flowInto(new Nowhere())
  }

  onReplyBody(): void {
    this.finish('answered')
  }

  onAttemptFailed(): void {
    this.finish('failed')
  }

  onDeadline(): void {
    this.drop('failed', 'the mirror did not answer in time')
  }

  // --- BodySource, for the mirror
  flowInto(sink: BodySink): void {
    this.sink = sink
  }

  resume(): void {
    this.held = false
    this.flush()
  }

  /** It wants no more: what still comes is kept within the bounds until its reply ends. */
  cancel(): void {
    this.held = true
  }

  private pass(chunk: Buffer): void {
    this.bytes += chunk.length
    this.held = !this.sink!.write(chunk)
  }

  private keep(chunk: Buffer): void {
    const { allBytes, copyBytes } = mirrorBounds
    if (this.queued + chunk.length > copyBytes || mirrorUse.bytes + chunk.length > allBytes) {
      this.drop('dropped', 'the mirror is slower than the request')
      return
    }
    this.queue.push(chunk)
    this.queued += chunk.length
    mirrorUse.bytes += chunk.length
  }

  private flush(): void {
    if (this.sink === undefined) return
    while (this.queued > 0 && !this.held && !this.over) {
      const chunk = this.queue.shift()!
      this.queued -= chunk.length
      mirrorUse.bytes -= chunk.length
      this.pass(chunk)
    }
    if (this.ended && this.queued === 0 && !this.over) this.sink.end(this.trailers)
  }

  private drop(result: 'failed' | 'dropped', message: string): void {
    this.finish(result)
    this.attempt?.cancel(new ProxyError(ErrorCode.UpstreamReset, Side.Proxy, { message }))
  }

  private finish(result: 'answered' | 'failed' | 'dropped'): void {
    if (this.over) return
    this.over = true
    this.wheel.cancel(this.deadline)
    mirrorUse.copies--
    mirrorUse.bytes -= this.queued
    this.queued = 0
    this.queue = []
    this.cluster.instruments.mirrored(result)
  }
}

/** Where replies of mirrors go. */
class Nowhere implements BodySink {
  source: BodySource | undefined = undefined

  write(): boolean {
    return true
  }

  end(): void {}

  fail(): void {}
}
