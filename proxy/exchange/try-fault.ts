/**
 * One try disturbed on purpose, as if its endpoint did it: slow to answer, refusing, answering a
 * status, breaking off or dribbling the body of its reply.
 */
import type { FaultSpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { FaultLeases } from '../filters/fault-leases.ts'
import type { FaultPlan } from '../filters/fault-plan.ts'
import { BodyKind, type BodySink, type BodySource } from '../http/body.ts'
import { ResponseHead } from '../http/head.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import { BrokenBody, SlowBody, TextBody } from './shaped-body.ts'

/** Of the rule and of leases; undefined: this try is left alone. */
export function drawTryFault(
  plan: FaultPlan | undefined,
  leases: FaultLeases,
  record: ExchangeRecord,
  { random, wheel }: { readonly random: Random; readonly wheel: TimerWheel },
): TryFault | undefined {
  if (plan === undefined && !leases.active) return undefined
  const plans = leases.active ? leases.for(record.cluster, record.routeName) : []
  if (plan !== undefined) plans.push(plan)
  const hits = plans.flatMap(
    (one) => one.draw(one.spec.eachTry, record, record.attempts, random) ?? [],
  )
  return hits.length === 0 ? undefined : new TryFault(hits, wheel)
}

/** The attempt, as far as it can be disturbed. */
export interface Disturbed {
  proceed(): void
  onNoStream(error: ProxyError): void
  onReply(head: ResponseHead, body: BodySource): void
  onReplyEnd(): void
  breakOff(sink: BodySink, error: ProxyError, reset: boolean): void
}

export class TryFault implements DeadlineOwner {
  private readonly hits: readonly FaultSpec[]
  private readonly timer = new Timer(this)
  private readonly wheel: TimerWheel
  private attempt: Disturbed | undefined = undefined
  private slow: SlowBody | undefined = undefined

  constructor(hits: readonly FaultSpec[], wheel: TimerWheel) {
    this.hits = hits
    this.wheel = wheel
  }

  /** The proxy answers instead of the endpoint. */
  get answers(): boolean {
    return this.first('refuse') === undefined && this.first('abort') !== undefined
  }

  /** Instead of the attempt asking for a connection. */
  begin(attempt: Disturbed): void {
    this.attempt = attempt
    let ms = 0
    for (const { action } of this.hits) if (action.kind === 'delay') ms += action.ms
    if (ms > 0) this.wheel.arm(this.timer, ms)
    else this.go(attempt)
  }

  onDeadline(): void {
    this.go(this.attempt!)
  }

  /** Nobody wants anything of this try any more. */
  stop(): void {
    this.wheel.cancel(this.timer)
    this.slow?.stop()
  }

  /** The body of the reply as the client gets it. */
  shape(body: BodySource, attempt: Disturbed): BodySource {
    if (body.length === 0 || body.length === BodyKind.Tunnel) return body
    let shaped = body
    for (const { action, origin } of this.hits) {
      if (action.kind === 'slow')
        shaped = this.slow = new SlowBody(shaped, action.bytesPerSecond, this.wheel)
      else if (action.kind === 'reset' || action.kind === 'truncate') {
        const by = `${origin.kind} ${origin.namespace}/${origin.name}`
        const message = `broken off on purpose behind ${action.afterBytes} bytes of the body (${by}, ${origin.file}:${origin.line})`
        const error = new ProxyError(ErrorCode.UpstreamClosed, Side.Upstream, { message })
        const reset = action.kind === 'reset'
        shaped = new BrokenBody(shaped, action.afterBytes, (sink) =>
          attempt.breakOff(sink, error, reset),
        )
      }
    }
    return shaped
  }

  private go(attempt: Disturbed): void {
    const refuse = this.first('refuse')
    const abort = this.first('abort')
    if (refuse !== undefined) {
      const { file, line } = refuse.origin
      const message = `connection refused on purpose (${file}:${line})`
      const why = { message, retryable: true }
      attempt.onNoStream(new ProxyError(ErrorCode.ConnectFailure, Side.Upstream, why))
    } else if (abort?.action.kind === 'abort') {
      const { grpcStatus, status } = abort.action
      const head = new ResponseHead(status)
      head.headers.append(
        'content-type',
        grpcStatus === undefined ? 'text/plain' : 'application/grpc',
      )
      head.headers.append('date', new Date().toUTCString())
      head.headers.append('x-outrider-reason', 'fault_filter_abort')
      if (grpcStatus !== undefined) head.headers.append('grpc-status', String(grpcStatus))
      attempt.onReply(
        head,
        new TextBody(grpcStatus === undefined ? 'fault filter abort' : '', () =>
          attempt.onReplyEnd(),
        ),
      )
    } else attempt.proceed()
  }

  private first(kind: FaultSpec['action']['kind']): FaultSpec | undefined {
    return this.hits.find(({ action }) => action.kind === kind)
  }
}
