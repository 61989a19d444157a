/** YAML and JSON text to documents that remember where every key and value was written. */
import { hasOddCharacters, readQuickly } from './parse-quick.ts'
import { readThoroughly, type SyntaxProblem } from './parse-thorough.ts'
import { type Raw, Source } from './raw.ts'
import type { Position } from './resource.ts'

export type { SyntaxProblem } from './parse-thorough.ts'

/** One document of a file. Its tree may be forgotten and is then read again when asked for. */
export class Document {
  readonly source: Source
  readonly problems: readonly SyntaxProblem[]
  private readonly start: number
  private readonly end: number
  private tree: Raw | undefined
  private forgotten = false

  constructor(source: Source, start: number, end: number, read: Reading) {
    this.source = source
    this.start = start
    this.end = end
    this.tree = read.root
    this.problems = read.problems
  }

  root(): Raw | undefined {
    return this.tree ?? (this.forgotten ? rootAgain(this) : undefined)
  }

  /** Drops the tree to save memory; positions stay available at the price of reading again. */
  forget(): void {
    this.forgotten = this.forgotten || this.tree !== undefined
    this.tree = undefined
    this.source.forget()
  }

  position(offset: number): Position {
    return this.source.position(offset)
  }

  get range(): readonly [start: number, end: number] {
    return [this.start, this.end]
  }
}

export interface Reading {
  readonly root: Raw | undefined
  readonly problems: readonly SyntaxProblem[]
}

/** The last one read again: people ask for many places of one document in a row. */
let reread: { readonly document: Document; readonly root: Raw | undefined } | undefined

function rootAgain(document: Document): Raw | undefined {
  if (reread?.document === document) return reread.root
  const [start, end] = document.range
  const { text } = document.source
  const { root } = readRange(text, start, end, !hasOddCharacters(text))
  reread = { document, root }
  return root
}

/** The quick reader knows the YAML people write; what it does not know surely goes to the library. */
function readRange(text: string, start: number, end: number, plain: boolean): Reading {
  const quick = plain ? readQuickly(text, start, end) : undefined
  if (quick !== undefined) return { root: quick.root, problems: [] }
  return readThoroughly(text, start, end)
}

/** Never throws: what cannot be read is a problem of its document. */
export function parse(source: Source): Document[] {
  const { text } = source
  const documents: Document[] = []
  const plain = !hasOddCharacters(text)
  for (const [start, end] of ranges(text)) {
    const document = documentAt(source, start, end, plain)
    if (document !== undefined) documents.push(document)
  }
  return documents
}

/** Undefined: there is nothing in it. */
function documentAt(
  source: Source,
  start: number,
  end: number,
  plain: boolean,
): Document | undefined {
  const read = readRange(source.text, start, end, plain)
  if (read.root === undefined && read.problems.length === 0) return undefined
  return new Document(source, start, end, read)
}

/** The text of one document, from the beginning of `line` (1-based) of its file. */
export interface DocumentRange {
  readonly text: string
  readonly line: number
}

/** A file's text cut into those of its documents. */
export function* rangesOf(text: string): Generator<DocumentRange> {
  let line = 1
  let counted = 0
  for (const [start, end] of ranges(text)) {
    // A byte order mark before the first document is a column of its first line.
    const from = start === 1 ? 0 : start
    for (let at = text.indexOf('\n', counted); at !== -1 && at < from; line++) {
      counted = at + 1
      at = text.indexOf('\n', counted)
    }
    yield { text: text.slice(from, end), line }
  }
}

/** One of the documents of rangesOf(); undefined when there is nothing in it. */
export function parseDocument(file: string, text: string, line: number): Document | undefined {
  const source = new Source(file, text, line - 1)
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0
  return documentAt(source, start, text.length, !hasOddCharacters(text))
}

/** Ranges of documents: a line that starts with `---` always begins one, even within a block scalar. */
function* ranges(text: string): Generator<readonly [start: number, end: number]> {
  // A directive belongs to the document after the next marker, and `...` ends one early: rare.
  if (/^(%|\.\.\.(\s|$))/m.test(text)) {
    yield* rangesWithDirectives(text)
    return
  }
  let start = text.charCodeAt(0) === 0xfeff ? 1 : 0
  for (let marker = nextMarker(text, start); marker !== -1; marker = nextMarker(text, marker + 3)) {
    if (marker > start) yield [start, marker]
    start = marker
  }
  if (start < text.length) yield [start, text.length]
}

function* rangesWithDirectives(text: string): Generator<readonly [start: number, end: number]> {
  let start = 0
  let directives = false
  for (const line of text.matchAll(/^.*\n?/gm)) {
    if (line[0] === '') break
    const at = line.index
    const isMarker = /^---(\s|$)/.test(line[0])
    if (isMarker && !directives && at > start) {
      yield [start, at]
      start = at
    }
    if (isMarker) directives = false
    else if (line[0].startsWith('%')) {
      if (!directives && at > start) {
        yield [start, at]
        start = at
      }
      directives = true
    }
  }
  if (start < text.length) yield [start, text.length]
}

function nextMarker(text: string, from: number): number {
  for (let at = from; ; at += 3) {
    at = text.indexOf('---', at)
    if (at === -1) return -1
    const before = at === 0 ? '\n' : text[at - 1]
    const after = text[at + 3]
    const closed =
      after === undefined || after === '\n' || after === ' ' || after === '\r' || after === '\t'
    if ((before === '\n' || before === '\ufeff') && closed) return at
  }
}
