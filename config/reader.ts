/** From a source to the snapshot of one workload, reading after reading: what the publisher calls. */
import { type CompileOptions, Compiler } from './compile.ts'
import { compareProblems } from './diagnostics.ts'
import { Loader } from './load.ts'
import type { Problem } from './resource.ts'
import type { Snapshot, WorkloadSpec } from './snapshot.ts'
import type { ConfigSource, UnreadablePath } from './source.ts'
import { advance, emptyGeneration, type Generation, resourcesOf } from './store.ts'

export interface ConfigReading {
  readonly snapshot: Snapshot
  readonly problems: readonly Problem[]
  /** `Kind namespace/name` of objects that are not in force as written. */
  readonly quarantined: readonly string[]
  readonly files: number
}

/** Nothing could be read, and nothing had been read before. */
export class UnreadableConfig extends Error {
  readonly paths: readonly UnreadablePath[]

  constructor(paths: readonly UnreadablePath[]) {
    super(paths.map(({ path, reason }) => `${path}: ${reason}`).join('; '))
    this.paths = paths
  }
}

export class ConfigReader {
  private readonly source: ConfigSource
  private readonly loader = new Loader()
  private readonly compiler: Compiler
  private readonly now: () => number
  private generation: Generation | undefined

  constructor(
    source: ConfigSource,
    workload: WorkloadSpec,
    options: CompileOptions = {},
    now: () => number = Date.now,
  ) {
    this.source = source
    this.compiler = new Compiler(workload, options)
    this.now = now
  }

  /** Rejects with UnreadableConfig when the first reading finds none of its folders. */
  async read(): Promise<ConfigReading> {
    const { files, unreadable } = await this.source.read()
    if (this.generation === undefined && files.length === 0 && unreadable.length > 0)
      throw new UnreadableConfig(unreadable)
    const before = this.generation ?? emptyGeneration
    const generation = advance(before, this.loader.load(files), unreadable, this.now())
    this.generation = generation
    const { snapshot, problems } = this.compiler.compile(resourcesOf(generation))
    return {
      snapshot,
      problems: [...generation.problems, ...newOf(problems, generation.problems)].sort(
        compareProblems,
      ),
      quarantined: generation.quarantined,
      files: files.length,
    }
  }
}

/** What the checks of the files said as well is told once. */
function newOf(problems: readonly Problem[], said: readonly Problem[]): readonly Problem[] {
  if (problems.length === 0) return problems
  const key = ({ file, line, message }: Problem) => `${file}:${line} ${message}`
  const known = new Set(said.map(key))
  return problems.filter((problem) => !known.has(key(problem)))
}
