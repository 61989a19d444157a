/**
 * Keeps the last good version of every object: one that is refused now, or whose file cannot be
 * read, stays in force as it was; one that is gone from the files is gone.
 */
import { compareProblems } from './diagnostics.ts'
import { titleOf } from './envelope.ts'
import type { KnownResource, Loaded } from './kinds.ts'
import type { Problem } from './resource.ts'
import type { UnreadablePath } from './source.ts'

export interface Held {
  readonly resource: KnownResource
  /** When this version was last read without complaint, ms since 1970. */
  readonly readAt: number
}

/** What is in force after one reading. */
export interface Generation {
  /** By `Kind namespace/name`. */
  readonly held: ReadonlyMap<string, Held>
  /** Objects in force that are not what the files say now. */
  readonly kept: readonly string[]
  /** Objects that were refused, or stand in a file that cannot be read. */
  readonly quarantined: readonly string[]
  readonly problems: readonly Problem[]
}

export const emptyGeneration: Generation = {
  held: new Map(),
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
  const held = new Map<string, Held>()
  for (const resource of loaded.resources)
    held.set(titleOfResource(resource), { resource, readAt: now })
  const kept: string[] = []
  const problems = [...loaded.problems]
  const keep = (object: string, old: Held) => {
    held.set(object, old)
    kept.push(object)
  }
  for (const object of loaded.refused) {
    const old = before.held.get(object)
    if (held.has(object) || old === undefined) continue
    keep(object, old)
    problems.push(staysProblem(object, old, loaded.problems))
  }
  const broken = [...loaded.unreadableFiles, ...unreadable.map(({ path }) => path)]
  for (const file of new Set(broken)) {
    const lost = [...before.held].filter(([object, { resource }]) => {
      return !held.has(object) && isWithin(resource.origin.file, file)
    })
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
  return { held, kept, quarantined, problems: problems.sort(compareProblems) }
}

/** The resources that are in force. */
export function resourcesOf(generation: Generation): KnownResource[] {
  return [...generation.held.values()].map(({ resource }) => resource)
}

function titleOfResource({ kind, namespace, name }: KnownResource): string {
  return titleOf(kind, namespace, name)
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
