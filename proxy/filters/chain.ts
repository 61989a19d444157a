/**
 * The filters of a route in their order, and their way through one exchange. Hot: routes without
 * filters have no chain, and their exchanges make no Filtering.
 */
import type { Random } from '../base/random.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ServerStream } from '../http/codec.ts'
import type { ResponseHead } from '../http/head.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import { Continue, type Filter, type FilterContext, type Pause, Waiting } from './filter.ts'
import { regexWork } from './regex.ts'

export class FilterChain {
  readonly filters: readonly Filter[]

  private constructor(filters: readonly Filter[]) {
    this.filters = filters
  }

  /** Undefined when there are none: one check per request. */
  static of(filters: ReadonlyArray<Filter | undefined>): FilterChain | undefined {
    const present = filters.filter((filter) => filter !== undefined)
    return present.length === 0 ? undefined : new FilterChain(present)
  }
}

/** Whose request is filtered: the exchange. */
export interface FilterHost {
  readonly stream: ServerStream
  readonly record: ExchangeRecord
  readonly scope: {
    readonly tellOrigin: boolean
    readonly services: { readonly wheel: TimerWheel; readonly random: Random }
  }
  answer(head: ResponseHead, body: Buffer, details: string): void
  answerAsIs(head: ResponseHead, details: string): void
  /** A filter had waited, and now the last one let the request pass. */
  onFiltered(): void
}

/** One exchange on its way through its route's filters. */
export class Filtering implements FilterContext {
  allowedOrigin = ''
  private readonly chain: FilterChain
  private readonly host: FilterHost
  private at = 0
  private pause: Pause | undefined = undefined

  constructor(chain: FilterChain, host: FilterHost) {
    this.chain = chain
    this.host = host
  }

  get stream(): ServerStream {
    return this.host.stream
  }

  get record(): ExchangeRecord {
    return this.host.record
  }

  get wheel(): TimerWheel {
    return this.host.scope.services.wheel
  }

  get random(): Random {
    return this.host.scope.services.random
  }

  get tellOrigin(): boolean {
    return this.host.scope.tellOrigin
  }

  /** True when all filters let the request pass at once; otherwise it was answered, or it waits. */
  run(): boolean {
    const { filters } = this.chain
    while (this.at < filters.length) {
      if (filters[this.at]!.onRequest(this) !== Continue) return false
      this.at++
    }
    return true
  }

  waitFor(pause: Pause): typeof Waiting {
    this.pause = pause
    return Waiting
  }

  proceed(): void {
    this.pause = undefined
    this.at++
    // Other requests were matched meanwhile.
    regexWork.renew()
    if (this.run()) this.host.onFiltered()
  }

  answer(head: ResponseHead, body: Buffer, details: string): void {
    this.host.answer(head, body, details)
  }

  answerAsIs(head: ResponseHead, details: string): void {
    this.host.answerAsIs(head, details)
  }

  /** The final reply head, whoever made it. */
  editReply(head: ResponseHead): void {
    const { filters } = this.chain
    for (let i = filters.length - 1; i >= 0; i--) filters[i]!.onReply?.(this, head)
  }

  /** The exchange is over. */
  cancel(): void {
    this.pause?.cancel()
    this.pause = undefined
  }
}
