/**
 * Turns what the files say into what the workers run: reads, compares versions, delivers, and
 * remembers what happened for people. Bad configuration never stops it; it is told and kept out.
 */
import { problemLine } from '../../config/diagnostics.ts'
import type { Problem } from '../../config/resource.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import type { Log } from './log.ts'

/** One reading of all files, compiled. */
export interface Compiled {
  readonly snapshot: Snapshot
  readonly problems: readonly Problem[]
  /** `Kind namespace/name` of objects whose last good version (if any) stays in force. */
  readonly quarantined: readonly string[]
  readonly files: number
}

export interface PublisherOptions {
  /** Reads the folders and compiles; may throw only when the files cannot be read at all. */
  readonly read: () => Compiled | Promise<Compiled>
  /** Puts a new version in force; resolves when it has been handed on. */
  readonly deliver: (snapshot: Snapshot) => void | Promise<void>
  readonly log: Log
  /** After each reading, whatever came of it. */
  readonly onRead?: (result: ReadResult) => void
}

export type ReadResult = 'published' | 'unchanged' | 'failed'

export interface PublisherStatus {
  /** Snapshots put in force since the start. */
  readonly generation: number
  readonly snapshot: Snapshot | undefined
  /** Milliseconds since 1970; 0: never. */
  readonly publishedAt: number
  readonly readAt: number
  /** Reading and compiling, ms. */
  readonly readMs: number
  readonly files: number
  readonly problems: readonly Problem[]
  readonly quarantined: readonly string[]
  /** Why the last reading failed altogether, or ``. */
  readonly failure: string
}

/** Problems told one by one in the log; the rest is counted and found on /problems. */
const mostLogged = 50

export class Publisher {
  status: PublisherStatus = {
    generation: 0,
    snapshot: undefined,
    publishedAt: 0,
    readAt: 0,
    readMs: 0,
    files: 0,
    problems: [],
    quarantined: [],
    failure: '',
  }
  private readonly options: PublisherOptions
  private known = new Set<string>()
  private running: Promise<void> | undefined
  private again = false

  constructor(options: PublisherOptions) {
    this.options = options
  }

  /** The first reading; unlike later ones it rejects when the files cannot be read at all. */
  async start(): Promise<void> {
    await this.read(true)
  }

  /** Reads everything again; calls while a reading runs are joined into one more reading. */
  reload(): Promise<void> {
    this.again = true
    this.running ??= this.work().finally(() => {
      this.running = undefined
    })
    return this.running
  }

  private async work(): Promise<void> {
    while (this.again) {
      this.again = false
      await this.read(false)
    }
  }

  private async read(first: boolean): Promise<void> {
    const start = performance.now()
    let compiled: Compiled
    try {
      compiled = await this.options.read()
    } catch (error) {
      if (first) throw error
      this.readingFailed(error)
      return
    }
    const readMs = performance.now() - start
    const { problems, quarantined, files, snapshot } = compiled
    this.status = {
      ...this.status,
      problems,
      quarantined,
      files,
      readMs,
      readAt: Date.now(),
      failure: '',
    }
    this.tell(problems)
    if (snapshot.version === this.status.snapshot?.version) {
      this.options.log.debug(
        { version: snapshot.version },
        'the files changed, their meaning did not',
      )
      this.options.onRead?.('unchanged')
      return
    }
    await this.put(snapshot)
    this.options.onRead?.('published')
  }

  private async put(snapshot: Snapshot): Promise<void> {
    const before = this.status.snapshot
    await this.options.deliver(snapshot)
    const generation = this.status.generation + 1
    this.status = { ...this.status, snapshot, generation, publishedAt: Date.now() }
    if (before === undefined) return
    const { version } = snapshot
    this.options.log.info(
      { version, generation, before: before.version, readMs: Math.round(this.status.readMs) },
      `version ${version} (generation ${generation}) is in force`,
    )
  }

  private readingFailed(error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error)
    const { version } = this.status.snapshot ?? { version: 'none' }
    if (failure !== this.status.failure)
      this.options.log.error(
        { err: error, version },
        `the configuration could not be read, version ${version} stays in force: ${failure}`,
      )
    this.status = { ...this.status, failure, readAt: Date.now() }
    this.options.onRead?.('failed')
  }

  /** Each problem once, for as long as it lasts; its line may move meanwhile. */
  private tell(problems: readonly Problem[]): void {
    const now = new Map<string, Problem>()
    for (const problem of problems)
      if (problem.severity !== 'info') now.set(identity(problem), problem)
    const fresh = [...now].filter(([key]) => !this.known.has(key)).map(([, problem]) => problem)
    const solved = [...this.known].filter((key) => !now.has(key)).length
    this.known = new Set(now.keys())
    for (const problem of fresh.slice(0, mostLogged)) {
      const { code, file, line, column, object } = problem
      const text =
        problem.hint === '' ? problemLine(problem) : `${problemLine(problem)} ${problem.hint}`
      const fields = { code, file, line, column, object }
      if (problem.severity === 'error') this.options.log.error(fields, text)
      else this.options.log.warn(fields, text)
    }
    if (fresh.length > mostLogged)
      this.options.log.warn(
        {},
        `and ${fresh.length - mostLogged} more problems: see /problems on the admin port`,
      )
    if (solved > 0)
      this.options.log.info({ solved }, `${solved} problems are solved, ${now.size} remain`)
  }
}

function identity(problem: Problem): string {
  return `${problem.severity}\n${problem.code}\n${problem.file}\n${problem.object}\n${problem.message}`
}
