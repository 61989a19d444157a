/** Reads request heads off a connection and keeps what has to be known between reads of one head. */
import { Fault, incomplete } from './faults.ts'
import { cr, lf } from './grammar.ts'
import { type HeadLimits, parsed, parseRequestHead } from './parse-head.ts'

export class RequestIntake {
  /** The first bytes of a head came, the last did not. */
  begun = false
  private readonly limits: HeadLimits
  private emptyLineSkipped = false

  constructor(limits: HeadLimits) {
    this.limits = limits
  }

  /** As parseRequestHead; also returns, with `parsed.request` undefined, behind an empty line. */
  read(bytes: Buffer, start: number, end: number): number {
    if (bytes[start] === cr && !this.emptyLineSkipped) {
      // RFC 9112 2.2: one empty line before a request is let pass.
      if (end - start === 1) return this.more()
      if (bytes[start + 1] !== lf) return Fault.BareCr
      this.emptyLineSkipped = true
      parsed.request = undefined
      return start + 2
    }
    const at = parseRequestHead(bytes, start, end, this.limits)
    if (at === incomplete) return this.more()
    this.begun = false
    this.emptyLineSkipped = false
    return at
  }

  private more(): number {
    this.begun = true
    return incomplete
  }
}
