/** How long an endpoint takes to answer: remembered at its peak, forgotten slowly; a failure is very slow. */
import type { Clock } from '../base/clock.ts'

/** Nothing was measured yet. */
export const unknownMs = 30
const leastMs = 1
/** In this time an estimate falls to 1/e. */
const decayMs = 10_000
const failureMs = 5_000
const longestHintMs = 300_000

/** The reply time of one endpoint. */
export class ReplyTime {
  private readonly clock: Clock
  private estimate = unknownMs
  private at: number

  constructor(clock: Clock) {
    this.clock = clock
    this.at = clock.now
  }

  /** Fades while nothing is measured: slow ones are asked again some time. */
  get ms(): number {
    return Math.max(leastMs, this.estimate * this.kept)
  }

  answered(ms: number): void {
    const { kept } = this
    const faded = this.estimate * kept
    this.estimate = ms > faded ? ms : this.estimate * kept + ms * (1 - kept)
    this.at = this.clock.now
  }

  /** Nobody waited for the end. */
  atLeast(ms: number): void {
    if (ms > this.ms) this.answered(ms)
  }

  /** `hintMs`: how long the endpoint wants to be left alone, 0 if it did not say. */
  failed(hintMs: number): void {
    this.estimate = Math.max(failureMs, this.estimate * this.kept, Math.min(hintMs, longestHintMs))
    this.at = this.clock.now
  }

  private get kept(): number {
    return Math.exp((this.at - this.clock.now) / decayMs)
  }
}
