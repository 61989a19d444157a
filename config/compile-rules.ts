/** Rules of VirtualServices as the compiler passes them on: each with the place where it is written. */
import type { Of } from './compile-registry.ts'
import type { HttpMatch, HttpRoute } from './kinds.ts'
import type { Path } from './resource.ts'

export type VirtualService = Of<'VirtualService'>

/** A match block with the place where it is written. */
export interface HttpBlock {
  readonly match: HttpMatch
  readonly source: VirtualService
  readonly path: Path
  /** `http[1].match[0]` */
  readonly label: string
}

/** One rule of the `http` list; a delegate's rule stands for the root's rule that named it. */
export interface HttpRule {
  /** The object the rule is written in: its namespace completes short hosts. */
  readonly source: VirtualService
  readonly path: Path
  /** `http[1]` */
  readonly label: string
  readonly route: HttpRoute
  /** Empty: every request. */
  readonly blocks: readonly HttpBlock[]
  /** Of a delegate's rule: the root's rule, which fills in these fields. */
  readonly filledBy?: {
    readonly source: VirtualService
    readonly path: Path
    readonly fields: ReadonlySet<string>
  }
  /** Set when the rule cannot apply at all: the sentence for `explain`. */
  readonly broken: string | undefined
}

/** Where a field of the rule is written: short hosts in it belong to that object's namespace. */
export function placeOfField(
  rule: HttpRule,
  field: keyof HttpRoute,
): { readonly source: VirtualService; readonly path: Path } {
  const { filledBy } = rule
  const { path, source } = filledBy?.fields.has(field) === true ? filledBy : rule
  return { source, path: [...path, field] }
}
