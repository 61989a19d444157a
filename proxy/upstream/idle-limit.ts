/**
 * How long a connection to one endpoint may lie idle before it must not be used again: shorter than
 * the endpoint's own patience, so that a request never meets a closing connection.
 */

/** Without any knowledge: below the 5 s at which many servers close. */
const unknownMs = 4_000
/** What was learnt is forgotten after this long: a restart looks like an idle limit. */
const forgetMs = 300_000

export class IdleLimit {
  private readonly capMs: number
  private hintMs: number | undefined = undefined
  private learntMs: number | undefined = undefined
  private learntAt = 0
  private lastAgeMs: number | undefined = undefined
  /** Computed from the above. */
  private limitMs: number

  /** `capMs`: the configured idle timeout; 0: none. */
  constructor(capMs: number) {
    this.capMs = capMs === 0 ? Number.POSITIVE_INFINITY : capMs
    this.limitMs = this.compute()
  }

  /** A connection idle for longer than this must not be used. */
  at(now: number): number {
    if (this.learntMs !== undefined && now - this.learntAt > forgetMs) {
      this.learntMs = undefined
      this.limitMs = this.compute()
    }
    return this.limitMs
  }

  /** The endpoint named its limit. */
  hint(idleMs: number): void {
    if (this.hintMs === idleMs) return
    this.hintMs = idleMs
    this.limitMs = this.compute()
  }

  /**
   * The endpoint closed a connection that was idle for this long. Believed when two closings agree:
   * one alone may be a restart.
   */
  closedAfter(ageMs: number, now: number): void {
    const last = this.lastAgeMs
    this.lastAgeMs = ageMs
    if (last === undefined || Math.abs(last - ageMs) > Math.max(25, 0.15 * last)) return
    this.learntMs = Math.min(last, ageMs)
    this.learntAt = now
    this.limitMs = this.compute()
  }

  private compute(): number {
    let limit = this.hintMs === undefined ? unknownMs : withMargin(this.hintMs, 1_000)
    if (this.learntMs !== undefined) limit = Math.min(limit, withMargin(this.learntMs, 20))
    return Math.min(limit, this.capMs)
  }
}

/** A fifth less, at least `leastMs` less, but never less than half. */
function withMargin(ms: number, leastMs: number): number {
  return ms - Math.min(Math.max(leastMs, ms / 5), ms / 2)
}
