/**
 * Ctrl-C and SIGTERM from the first moment on: what was started is ended in order, so that no namespace
 * and no program stays behind. A second one ends at once.
 */

/** One Ctrl-C comes twice where npm or a launcher passes on what the terminal sent to all. */
const sameSignalMs = 1_000

const numbers = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 } as const

/** The demo was told to end; the entry turns this into an exit code without a stack. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(signal: keyof typeof numbers) {
    super(`ended by ${signal}`)
    this.exitCode = 128 + numbers[signal]
  }
}

export class Interruption {
  /** Rejects with Interrupted. */
  readonly happened: Promise<never>
  private reject: (reason: Interrupted) => void = () => undefined
  private toldAt = 0

  constructor() {
    this.happened = new Promise<never>((_, reject) => {
      this.reject = reject
    })
    // Whoever races with it sees it; until then it is no error.
    this.happened.catch(() => undefined)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => this.tell(new Interrupted(signal)))
    // Node ignores SIGPIPE: that nobody reads the table any more shows in what is written.
    process.stdout.on('error', () => this.tell(new Interrupted('SIGPIPE')))
  }

  /** What `work` comes to, or Interrupted, whichever is first. */
  or<T>(work: Promise<T>): Promise<T> {
    return Promise.race([this.happened, work])
  }

  private tell(interrupted: Interrupted): void {
    const now = performance.now()
    if (this.toldAt > 0 && now - this.toldAt > sameSignalMs) process.exit(interrupted.exitCode)
    if (this.toldAt === 0) this.toldAt = now
    this.reject(interrupted)
  }
}
