/**
 * The end of the process: stop being ready, serve a little longer for those who have not heard,
 * drain, say what became of open work, exit. Asked a second time it exits at once.
 */
import type { Log } from './log.ts'
import type { DrainLedger } from './supervisor.ts'

export interface ShutdownOptions {
  readonly log: Log
  /** Readiness turns false. */
  readonly onBegin: () => void
  /** Connections open now. */
  readonly openConnections: () => number
  readonly drain: (direction: 'inbound' | 'all', graceMs: number) => Promise<DrainLedger>
  /** Closes what is left and ends the process. */
  readonly exit: (code: number) => void | Promise<void>
  /** How long to serve after readiness turned false, until every caller has heard. */
  readonly settleMs: number
  /** How long open work may take after that. */
  readonly graceMs: number
  /** The application's own calls go on while inbound drains, and until it is gone. */
  readonly outboundLast: boolean
  /** Whether the application is still there: it may call out, or be called, at any moment. */
  readonly applicationThere: () => boolean
}

/** Idle for this long while settling means that nobody will come any more. */
const quietMs = 1_000
const lookEveryMs = 100

export class Shutdown {
  private readonly options: ShutdownOptions
  private ending: Promise<void> | undefined

  constructor(options: ShutdownOptions) {
    this.options = options
  }

  /** Of the graceful end, once it began: resolves after exit was called. */
  get ended(): Promise<void> | undefined {
    return this.ending
  }

  /** `reason` is the signal's name or who asked. Resolves after exit was called. */
  begin(reason: string): Promise<void> {
    if (this.ending !== undefined) {
      this.options.log.warn({ reason }, `${reason} again: exiting now`)
      return Promise.resolve(this.options.exit(1))
    }
    this.ending = this.end(reason)
    return this.ending
  }

  private async end(reason: string): Promise<void> {
    const { log, settleMs, graceMs, outboundLast, drain, exit } = this.options
    const start = performance.now()
    this.options.onBegin()
    const open = this.options.openConnections()
    log.info({ reason, open, settleMs, graceMs }, `${reason}: draining ${open} open connections`)
    await this.settle()
    const ledgers: DrainLedger[] = []
    const deadline = performance.now() + graceMs
    if (outboundLast) {
      ledgers.push(await drain('inbound', graceMs))
      await this.applicationGone(deadline)
    }
    ledgers.push(await drain('all', Math.max(0, deadline - performance.now())))
    const finished = ledgers.reduce((sum, ledger) => sum + ledger.finished, 0)
    const cut = ledgers.reduce((sum, ledger) => sum + ledger.cut, 0)
    const ms = Math.round(performance.now() - start)
    log.info({ finished, cut, ms }, `drained in ${ms} ms: ${finished} finished, ${cut} cut off`)
    await exit(0)
  }

  private async settle(): Promise<void> {
    const start = performance.now()
    let quietSince: number | undefined
    while (performance.now() - start < this.options.settleMs) {
      const now = performance.now()
      const busy = this.options.openConnections() > 0 || this.options.applicationThere()
      if (busy) quietSince = undefined
      else quietSince ??= now
      if (quietSince !== undefined && now - quietSince >= quietMs) return
      await new Promise((done) => setTimeout(done, lookEveryMs))
    }
  }

  private async applicationGone(deadline: number): Promise<void> {
    while (this.options.applicationThere() && performance.now() < deadline)
      await new Promise((done) => setTimeout(done, lookEveryMs))
  }
}
