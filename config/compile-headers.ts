/** Header operations of a route and its destinations, in the order in which they take effect. */

import { compareText } from './diagnostics.ts'
import type { HeaderOperations, HeaderOps } from './kinds.ts'
import { isAuthorityName } from './schema/shared.ts'
import type { HeaderEditsSpec, HeaderOperationsSpec } from './snapshot.ts'

const nothing: HeaderOperationsSpec = { remove: [], set: [], add: [] }
/** Shared by everything that edits no header. */
export const noEdits: HeaderEditsSpec = { request: nothing, response: nothing }

/**
 * Operations that are applied as one block. With several levels (a route and its only destination)
 * the later level's `set` wins over the earlier one's, and everything is removed before anything is set.
 */
export function headerEdits(
  ...levels: ReadonlyArray<HeaderOperations | undefined>
): HeaderEditsSpec {
  const request = merge(levels.map((level) => level?.request))
  const response = merge(levels.map((level) => level?.response))
  return request === nothing && response === nothing ? noEdits : { request, response }
}

function merge(levels: ReadonlyArray<HeaderOps | undefined>): HeaderOperationsSpec {
  const remove = new Set<string>()
  const set = new Map<string, readonly [string, string]>()
  const add: Array<readonly [string, string]> = []
  for (const level of levels) {
    if (level === undefined) continue
    for (const name of level.remove) if (!isAuthorityName(name)) remove.add(name.toLowerCase())
    for (const pair of sorted(level.set)) set.set(pair[0].toLowerCase(), pair)
    add.push(...sorted(level.add))
  }
  if (remove.size === 0 && set.size === 0 && add.length === 0) return nothing
  return { remove: [...remove], set: [...set.values()], add }
}

/** Without the authority, which is a rewrite. */
function sorted(operations: Readonly<Record<string, string>>): Array<readonly [string, string]> {
  return Object.entries(operations)
    .filter(([name]) => !isAuthorityName(name))
    .sort(([a], [b]) => compareText(a, b))
}

/** The authority that request operations ask for: `set` before `add`. */
export function authorityOf(operations: HeaderOperations | undefined): string | undefined {
  for (const kind of ['set', 'add'] as const)
    for (const [name, value] of Object.entries(operations?.request?.[kind] ?? {}))
      if (isAuthorityName(name) && value !== '') return value
  return undefined
}
