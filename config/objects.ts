/** Documents to Kubernetes objects: the envelope around every spec, and where the object stands. */
import type { Document } from './parse.ts'
import { parse } from './parse.ts'
import { offsetOf, type Raw, type RawMap, Source, textOf, within } from './raw.ts'
import type { Path, Position, Resource } from './resource.ts'
import type { Origin } from './snapshot.ts'

/** One object as found, before any schema. */
export interface Found {
  readonly document: Document
  /** Where in the document it is: `[]`, or below `items` of a List. */
  readonly path: Path
  readonly root: RawMap
  readonly apiVersion: string
  readonly kind: string
}

/** The objects of a document: one, those of a List, or none when it is something else. */
export function objectsIn(document: Document): Found[] {
  const root = document.root()
  return root === undefined ? [] : [...unfold(document, root, [])]
}

function* unfold(document: Document, raw: Raw, path: Path): Generator<Found> {
  if (raw.kind !== 'map') return
  const kind = textOf(within(raw, 'kind')) ?? ''
  const items = within(raw, 'items')
  if (kind.endsWith('List') && items?.kind === 'list') {
    for (const [index, item] of items.items.entries())
      yield* unfold(document, item, [...path, 'items', index])
    return
  }
  yield { document, path, root: raw, kind, apiVersion: textOf(within(raw, 'apiVersion')) ?? '' }
}

export interface Named {
  readonly kind: string
  readonly apiVersion: string
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly created: number
}

/** Makes the spec that a resource had when it was read. */
export type ReadAgain = (found: Found, named: Named) => unknown

/** A resource that finds its places in the document it came from. */
export class Placed<Kind extends string, Spec> implements Resource<Kind, Spec> {
  readonly kind: Kind
  readonly apiVersion: string
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly created: number
  readonly origin: Origin
  private kept: Spec | undefined
  private readonly readAgain: ReadAgain | undefined
  private readonly document: Document
  private readonly path: Path
  /** False for objects whose spec is the whole object. */
  private readonly hasSpec: boolean

  /** `readAgain`: its spec may be forgotten. */
  constructor(
    found: Found,
    named: Named & { readonly kind: Kind },
    spec: Spec,
    readAgain?: ReadAgain,
  ) {
    this.document = found.document
    this.path = found.path
    this.hasSpec = within(found.root, 'spec') !== undefined
    this.kind = named.kind
    this.apiVersion = named.apiVersion
    this.namespace = named.namespace
    this.name = named.name
    this.labels = named.labels
    this.annotations = named.annotations
    this.created = named.created
    this.kept = spec
    this.readAgain = readAgain
    const { line } = found.document.position(found.root.at)
    this.origin = originOf(named, found.document.source.file, line)
  }

  get spec(): Spec {
    return this.kept ?? (this.readAgain!(this.found(), this) as Spec)
  }

  /** Drops the spec where it can be had from the text again, which takes a while. */
  forget(): void {
    if (this.readAgain !== undefined) this.kept = undefined
  }

  private found(): Found {
    let root: Raw | undefined = this.document.root()
    for (const part of this.path)
      root = root?.kind === 'list' ? root.items[Number(part)] : within(root, String(part))
    const { document, path, kind, apiVersion } = this
    return { document, path, root: root as RawMap, kind, apiVersion }
  }

  at(path: Path): Position {
    const root = this.document.root()
    if (root === undefined) return { line: this.origin.line, column: 1 }
    const inner = !this.hasSpec && path[0] === 'spec' ? path.slice(1) : path
    return this.document.position(offsetOf(root, [...this.path, ...inner]))
  }

  originAt(path: Path): Origin {
    return originOf(this, this.origin.file, this.at(path).line)
  }
}

function originOf(
  named: Omit<Named, 'labels' | 'annotations' | 'created'>,
  file: string,
  line: number,
): Origin {
  return { kind: named.kind, namespace: named.namespace, name: named.name, file, line }
}

/**
 * The YAML inside a block scalar, as documents whose positions are those of the outer file. For a
 * scalar in another style the positions are all that of the scalar.
 */
export function documentsInside(document: Document, raw: Raw): Document[] {
  if (raw.kind !== 'scalar' || typeof raw.value !== 'string') return []
  const { source } = document
  const { line, column } = document.position(raw.at)
  const outer = source.text.slice(raw.at)
  const [, indent] = /^[|>][^\n]*\n(?:[ \t]*\n)*( +)/.exec(outer) ?? []
  const inner =
    indent === undefined
      ? new Source(source.file, raw.value, line - 1, column - 1)
      : new Source(source.file, raw.value, line, indent.length)
  return parse(inner)
}
