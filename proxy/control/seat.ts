/**
 * One worker's place: the thread that sits in it now, what it has acknowledged, and when its
 * replacement starts. Knows nothing of the other places.
 */
import { Worker } from 'node:worker_threads'
import type { FromWorker, ToWorker, WorkerSettings } from '../worker/messages.ts'

export interface SeatEvents {
  onMessage(seat: Seat, message: FromWorker): void
  /** The thread is gone without having been asked; `error` is what it died of. */
  onDeath(seat: Seat, error: unknown, exitCode: number): void
}

export interface Backoff {
  readonly firstMs: number
  readonly mostMs: number
}

export type SeatState = 'starting' | 'serving' | 'replacing' | 'stopped'

/** A thread that served this long was not born broken: its replacement starts without delay. */
const provenAfterMs = 10_000

export class Seat {
  readonly id: number
  state: SeatState = 'stopped'
  /** Version of the last snapshot this thread linked, and how long linking took. */
  linked = ''
  linkMs = 0
  /** Version of the last snapshot sent to this thread. */
  offered = ''
  restarts = 0
  /** Deaths in a row between being offered a snapshot and linking it. */
  linkDeaths = 0
  lastDeath = ''
  private readonly script: URL
  private readonly events: SeatEvents
  private readonly backoff: Backoff
  private delayMs: number
  private startedAt = 0
  private worker: Worker | undefined
  private replacement: NodeJS.Timeout | undefined

  constructor(id: number, script: URL, backoff: Backoff, events: SeatEvents) {
    this.id = id
    this.script = script
    this.backoff = backoff
    this.events = events
    this.delayMs = backoff.firstMs
  }

  start(settings: WorkerSettings): void {
    this.state = 'starting'
    this.linked = ''
    this.offered = ''
    this.startedAt = performance.now()
    const worker = new Worker(this.script, { workerData: settings, name: `worker ${this.id}` })
    this.worker = worker
    let cause: unknown
    worker.on('message', (message: FromWorker) => {
      if (this.worker === worker) this.receive(message)
    })
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', (code) => {
      if (this.worker === worker) this.died(cause, code)
    })
  }

  post(message: ToWorker): void {
    if (message.type === 'snapshot') this.offered = message.change.version
    this.worker?.postMessage(message)
  }

  /** Starts a new thread after the current delay, which doubles each time. */
  replaceWith(settings: () => WorkerSettings, onStarted: () => void): number {
    const delay = this.delayMs
    this.delayMs = Math.min(delay * 2, this.backoff.mostMs)
    this.state = 'replacing'
    this.replacement = setTimeout(() => {
      this.restarts++
      this.start(settings())
      onStarted()
    }, delay)
    return delay
  }

  /** Ends the thread as if it had died, so that it is replaced. */
  kill(): void {
    void this.worker?.terminate()
  }

  /** Asks the thread to end and waits a little (its log may hold lines); nothing replaces it. */
  async stop(graceMs = 500): Promise<void> {
    clearTimeout(this.replacement)
    this.state = 'stopped'
    const worker = this.worker
    this.worker = undefined
    if (worker === undefined) return
    const gone = new Promise<void>((done) => worker.once('exit', () => done()))
    worker.postMessage({ type: 'stop' } satisfies ToWorker)
    const late = setTimeout(() => void worker.terminate(), graceMs)
    await gone
    clearTimeout(late)
  }

  private receive(message: FromWorker): void {
    if (message.type === 'listening') this.state = 'serving'
    if (message.type === 'linked') {
      this.linked = message.version
      this.linkMs = message.ms
      this.linkDeaths = 0
    }
    this.events.onMessage(this, message)
  }

  private died(error: unknown, code: number): void {
    this.worker = undefined
    if (performance.now() - this.startedAt >= provenAfterMs) this.delayMs = this.backoff.firstMs
    if (this.offered !== '' && this.linked !== this.offered) this.linkDeaths++
    this.linked = ''
    this.lastDeath = error instanceof Error ? error.message : `exit code ${code}`
    this.events.onDeath(this, error, code)
  }
}
