/**
 * Delays and aborts before a request is sent at all (Istio HTTPFaultInjection): no timeout runs yet
 * and nothing is retried. Several delays add up; the first abort answers, after the delays.
 */
import type { FaultSpec } from '../../config/snapshot.ts'
import { type DeadlineOwner, Timer } from '../base/timer-wheel.ts'
import { makeLocalReply } from '../http/local-reply.ts'
import { type FaultPlan, faultText, shareText } from './fault-plan.ts'
import {
  Answered,
  Continue,
  type Filter,
  type FilterContext,
  type Pause,
  type Verdict,
} from './filter.ts'

export class FaultFilter implements Filter {
  private readonly plan: FaultPlan

  constructor(plan: FaultPlan) {
    this.plan = plan
  }

  onRequest(context: FilterContext): Verdict {
    const { record, random } = context
    const hits = this.plan.draw(this.plan.spec.beforeRetries, record, 0, random)
    return hits === undefined ? Continue : disturb(context, hits)
  }
}

/** What the faults that were drawn do with the request. */
export function disturb(context: FilterContext, hits: readonly FaultSpec[]): Verdict {
  let delayMs = 0
  let abort: FaultSpec | undefined
  for (const hit of hits)
    if (hit.action.kind === 'delay') delayMs += hit.action.ms
    else abort ??= hit
  if (delayMs > 0) return context.waitFor(new FaultDelay(context, delayMs, abort))
  if (abort === undefined) return Continue
  answerAborted(context, abort)
  return Answered
}

class FaultDelay implements Pause, DeadlineOwner {
  private readonly context: FilterContext
  private readonly abort: FaultSpec | undefined
  private readonly timer = new Timer(this)

  constructor(context: FilterContext, delayMs: number, abort: FaultSpec | undefined) {
    this.context = context
    this.abort = abort
    context.wheel.arm(this.timer, delayMs)
  }

  onDeadline(): void {
    if (this.abort === undefined) this.context.proceed()
    else answerAborted(this.context, this.abort)
  }

  cancel(): void {
    this.context.wheel.cancel(this.timer)
  }
}

function answerAborted(context: FilterContext, { action, origin, share }: FaultSpec): void {
  if (action.kind !== 'abort') return
  const { status, grpcStatus } = action
  const { head, body } = makeLocalReply(
    context.stream.head,
    {
      status,
      ...(grpcStatus === undefined ? {} : { grpcStatus }),
      reason: 'fault_filter_abort',
      text: 'fault filter abort',
      sentence: `On purpose ${shareText(share)} of these requests are ${faultText(action)}.`,
      origin,
    },
    context.tellOrigin,
  )
  context.answer(head, body, 'fault_filter_abort')
}
