/**
 * What a filter is: something a rule does with requests before they are sent on, and with replies
 * before they go back. Filters are made once per route at link time and keep nothing of an exchange
 * but what they write into its context.
 */
import type { Random } from '../base/random.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ServerStream } from '../http/codec.ts'
import type { ResponseHead } from '../http/head.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'

/** The request goes to the next filter, then to its destination. */
export const Continue = 0
/** The filter has called `answer` or `answerAsIs`: nothing more happens to the request. */
export const Answered = 1
/** The filter has called `waitFor`: it will call `proceed`, exactly once unless it is cancelled. */
export const Waiting = 2
export type Verdict = typeof Continue | typeof Answered | typeof Waiting

/** What a filter waits for; `cancel` is called when the exchange ends before. */
export interface Pause {
  cancel(): void
}

/** What the filters of an exchange share with it and with each other; one per exchange that has any. */
export interface FilterContext {
  readonly stream: ServerStream
  readonly record: ExchangeRecord
  readonly wheel: TimerWheel
  readonly random: Random
  /** The caller may be told which file decided (http/local-reply.ts). */
  readonly tellOrigin: boolean
  /** The Origin that the CORS filter found allowed; `` otherwise. */
  allowedOrigin: string
  /** A reply made here: with the rule's header edits, past the filters' reply hooks. */
  answer(head: ResponseHead, body: Buffer, details: string): void
  /** The same, but the rule's header edits and the reply hooks leave it alone. */
  answerAsIs(head: ResponseHead, details: string): void
  /** `return context.waitFor(...)`: the request stands still until `proceed`. */
  waitFor(pause: Pause): typeof Waiting
  proceed(): void
}

export interface Filter {
  /** In the chain's order, after the destination was drawn, before the rule's header edits and rewrite. */
  onRequest(context: FilterContext): Verdict
  /** Final reply heads, those made here among them, in the reverse order, after the rule's header edits. */
  onReply?(context: FilterContext, head: ResponseHead): void
}
