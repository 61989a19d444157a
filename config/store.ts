/**
 * Keeps the last good version of every object: one that is refused now, or whose file cannot be
 * read, stays in force as it was; one that is gone from the files is gone.
 */
import { compareProblems } from './diagnostics.ts'
import type { KnownResource } from './kinds.ts'
import type { Loaded } from './loaded.ts'
import type { Problem } from './resource.ts'
import type { UnreadablePath } from './source.ts'

/** What is in force after one reading. */
export interface Generation {
  /** By `Kind namespace/name`. */
  readonly held: ReadonlyMap<string, KnownResource>
  /** When what is held was last read without complaint, ms since 1970: by name where it was not `now`. */
  readonly readAt: ReadonlyMap<string, number>
  readonly now: number
  /** Objects in force that are not what the files say now. */
  readonly kept: readonly string[]
  /** Objects that were refused, or stand in a file that cannot be read. */
  readonly quarantined: readonly string[]
  readonly problems: readonly Problem[]
}

export const emptyGeneration: Generation = {
  held: new Map(),
  readAt: new Map(),
  now: 0,
  kept: [],
  quarantined: [],
  problems: [],
}

/** Pure: `now` is the time of the reading. */
export function advance(
  before: Generation,
  loaded: Loaded,
  unreadable: readonly UnreadablePath[],
  now: number,
): Generation {
  const held = new Map(loaded.byTitle)
  const readAt = new Map<string, number>()
  const kept: string[] = []
  const problems = [...loaded.problems]
  const keep = (object: string, old: Held) => {
    held.set(object, old.resource)
    readAt.set(object, old.readAt)
    kept.push(object)
  }
  for (const object of loaded.refused) {
    const old = heldIn(before, object)
    if (held.has(object) || old === undefined) continue
    keep(object, old)
    problems.push(staysProblem(object, old, loaded.problems))
  }
  const broken = [...loaded.unreadableFiles, ...unreadable.map(({ path }) => path)]
  for (const file of new Set(broken)) {
    const lost: Array<[string, Held]> = []
    for (const [object, { origin }] of before.held)
      if (!held.has(object) && isWithin(origin.file, file))
        lost.push([object, heldIn(before, object)!])
    for (const [object, old] of lost) keep(object, old)
    const reason = unreadable.find(({ path }) => path === file)?.reason
    if (reason !== undefined) problems.push(unreadableProblem(file, reason))
    if (lost.length > 0)
      problems.push(
        fileStaysProblem(
          file,
          lost.map(([, old]) => old),
          now,
        ),
      )
  }
  const quarantined = [...new Set([...loaded.refused, ...kept])]
  return { held, readAt, now, kept, quarantined, problems: problems.sort(compareProblems) }
}

/** The resources that are in force. */
export function resourcesOf(generation: Generation): KnownResource[] {
  return [...generation.held.values()]
}

interface Held {
  readonly resource: KnownResource
  readonly readAt: number
}

function heldIn({ held, readAt, now }: Generation, object: string): Held | undefined {
  const resource = held.get(object)
  return resource && { resource, readAt: readAt.get(object) ?? now }
}

function isWithin(file: string, path: string): boolean {
  return file === path || file.startsWith(path.endsWith('/') ? path : `${path}/`)
}

function staysProblem(object: string, old: Held, told: readonly Problem[]): Problem {
  const why = told.find((problem) => problem.object === object && problem.severity === 'error')
  const { file, line } = old.resource.origin
  return {
    severity: 'warning',
    code: 'OUT-LASTGOOD',
    file: why?.file ?? file,
    line: why?.line ?? line,
    column: why?.column ?? 1,
    message: `this version is refused: the one read at ${timeText(old.readAt)} (then ${file}:${line}) stays in force`,
    hint: 'Correct the error, or delete the object to take it out of force.',
    object,
  }
}

function fileStaysProblem(file: string, lost: readonly Held[], now: number): Problem {
  const count = lost.length === 1 ? '1 object' : `${lost.length} objects`
  const oldest = lost.reduce((least, { readAt }) => Math.min(least, readAt), now)
  return {
    severity: 'warning',
    code: 'OUT-LASTGOOD',
    file,
    line: 1,
    column: 1,
    message: `${count} from here, read at ${timeText(oldest)}, ${lost.length === 1 ? 'stays' : 'stay'} in force until it can be read again`,
    hint: '',
    object: '',
  }
}

function unreadableProblem(file: string, reason: string): Problem {
  return {
    severity: 'error',
    code: 'OUT-UNREADABLE',
    file,
    line: 1,
    column: 1,
    message: `cannot be read: ${reason}`,
    hint: 'Mount or create it, and let the user of the proxy read it.',
    object: '',
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
