/** Files to resources: everything usable, and everything there is to say about the rest. */
import { compareProblems } from './diagnostics.ts'
import type { KnownResource } from './kinds.ts'
import { type LoadedDocument, loadDocument } from './load-document.ts'
import type { Loaded } from './loaded.ts'
import { sameItems } from './order.ts'
import { parseDocument, rangesOf } from './parse.ts'
import { type Bystander, checkReferences } from './references.ts'
import type { Problem, Resource } from './resource.ts'
import { Code } from './schema/reading.ts'

export { readFolder } from './folder.ts'

export interface SourceFile {
  /** As people can open it. */
  readonly path: string
  readonly text: string
}

/** Never throws for what the files say. A later object of the same kind and name replaces an earlier one. */
export function load(files: readonly SourceFile[]): Loaded {
  return new Loader().load(files)
}

/** A document where it was found, and what came of it. */
interface KnownDocument extends LoadedDocument {
  readonly text: string
  /** 1-based. */
  readonly line: number
}

interface KnownFile {
  readonly file: SourceFile
  readonly documents: readonly KnownDocument[]
}

/**
 * Loads again and again: a document that stands where it stood, unchanged, is not read again, and its
 * resources are the same objects as before.
 */
export class Loader {
  private files = new Map<string, KnownFile>()
  private lint: Linted | undefined

  load(files: readonly SourceFile[]): Loaded {
    const known = files.map((file) => this.documentsOf(file))
    this.files = new Map(known.map((one) => [one.file.path, one]))
    const merging = new Merging()
    for (const { file, documents } of known)
      for (const document of documents) merging.add(file.path, document)
    this.lint = linted(merging, this.lint)
    return merging.result(this.lint.problems)
  }

  private documentsOf(file: SourceFile): KnownFile {
    const before = this.files.get(file.path)
    if (before?.file === file) return before
    const old = new Map(before?.documents.map((document) => [document.line, document]))
    const documents: KnownDocument[] = []
    for (const { text, line } of rangesOf(file.text)) {
      const same = old.get(line)
      if (same?.text === text) documents.push(same)
      else documents.push(...readDocument(file.path, before ? copied(text) : text, line))
    }
    return { file, documents }
  }
}

function readDocument(path: string, text: string, line: number): KnownDocument[] {
  const document = parseDocument(path, text, line)
  if (document === undefined) return []
  const { objects, bystanders, problems, broken } = loadDocument(document)
  const compact = {
    objects: exact(objects),
    bystanders: exact(bystanders),
    problems: exact(problems),
  }
  return [{ text, line, ...compact, broken }]
}

const none: readonly never[] = []

/** Without room to grow: there may be very many documents of one object. */
function exact<Item>(items: readonly Item[]): readonly Item[] {
  return items.length === 0 ? none : items.slice()
}

/** A part of a text keeps the whole of it in memory: harmless once, but not with every change of a file. */
function copied(text: string): string {
  return Buffer.from(text).toString()
}

/** Documents in order become one set of resources. */
class Merging {
  readonly resources = new Map<string, KnownResource>()
  readonly refused = new Set<string>()
  readonly bystanders: Bystander[] = []
  private readonly problems: Problem[] = []
  private readonly unreadable = new Set<string>()

  add(file: string, document: LoadedDocument): void {
    for (const problem of document.problems) this.problems.push(problem)
    for (const bystander of document.bystanders) this.bystanders.push(bystander)
    if (document.broken) this.unreadable.add(file)
    for (const { title, resource } of document.objects) {
      if (resource === undefined) this.refused.add(title)
      else {
        const before = this.resources.get(title)
        if (before !== undefined) this.problems.push(replacedProblem(before, resource, title))
        this.resources.set(title, resource)
      }
    }
  }

  result(references: readonly Problem[]): Loaded {
    return {
      resources: [...this.resources.values()],
      byTitle: this.resources,
      problems: [...this.problems, ...references].sort(compareProblems),
      refused: [...this.refused],
      unreadableFiles: [...this.unreadable],
    }
  }
}

function replacedProblem(before: Resource, now: Resource, object: string): Problem {
  const { file, line } = before.origin
  return {
    severity: 'warning',
    code: Code.DuplicateObject,
    ...now.at([]),
    file: now.origin.file,
    message: `replaces the object of the same name in ${file}:${line}`,
    hint: 'Remove one of them, or give it another name.',
    object,
  }
}

/** What the checks between objects said, and of what. */
interface Linted {
  readonly resources: readonly KnownResource[]
  readonly bystanders: readonly Bystander[]
  readonly refused: readonly string[]
  readonly problems: readonly Problem[]
}

/** EndpointSlices take no part in the checks: when only they changed, nothing else is to be said. */
function linted(merging: Merging, before: Linted | undefined): Linted {
  const resources: KnownResource[] = []
  for (const resource of merging.resources.values())
    if (resource.kind !== 'EndpointSlice') resources.push(resource)
  const { bystanders } = merging
  const refused = [...merging.refused]
  if (
    before !== undefined &&
    sameItems(before.resources, resources) &&
    sameItems(before.bystanders, bystanders) &&
    sameItems(before.refused, refused)
  )
    return before
  const problems = checkReferences(resources, bystanders, merging.refused)
  return { resources, bystanders, refused, problems }
}
