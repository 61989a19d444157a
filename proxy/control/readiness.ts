/**
 * Says whether traffic may come, and if not, why. Strict until first ready; after that a reload or
 * the loss of one worker does not take the workload out of service, only draining or having nobody
 * left who serves does.
 */
export interface Gate {
  readonly name: string
  /** What is still awaited, in words; `` when nothing is. */
  readonly waitingFor: () => string
}

export class Readiness {
  private readonly gates: Gate[]
  private readonly someoneServes: () => boolean
  private readonly waiting = new Set<() => void>()
  private wasReady = false
  private stopping = false
  /** Milliseconds (monotonic) when it first was ready; undefined before. */
  readyAt: number | undefined

  constructor(gates: Gate[], someoneServes: () => boolean) {
    this.gates = gates
    this.someoneServes = someoneServes
  }

  get draining(): boolean {
    return this.stopping
  }

  /** Why it is not ready; `` when it is. */
  get reason(): string {
    if (this.stopping) return 'draining'
    if (this.wasReady) return this.someoneServes() ? '' : 'no worker serves at the moment'
    return this.gates.map((gate) => gate.waitingFor()).find((reason) => reason !== '') ?? ''
  }

  get state(): 'STARTING' | 'LIVE' | 'DEGRADED' | 'DRAINING' {
    if (this.stopping) return 'DRAINING'
    if (this.reason === '') return 'LIVE'
    return this.wasReady ? 'DEGRADED' : 'STARTING'
  }

  /** Something a gate looks at has changed. */
  review(): void {
    if (!this.wasReady && this.reason === '') {
      this.wasReady = true
      this.readyAt = performance.now()
    }
    if (!this.wasReady) return
    for (const done of this.waiting) done()
    this.waiting.clear()
  }

  /** From here on not ready, whatever the gates say. */
  drain(): void {
    this.stopping = true
  }

  /** Resolves when it is ready for the first time. */
  whenReady(): Promise<void> {
    if (this.wasReady) return Promise.resolve()
    return new Promise((done) => this.waiting.add(done))
  }
}
