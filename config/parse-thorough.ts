/** Any YAML to a raw tree, by the YAML library: slow, complete, and with the messages for people. */
import { createRequire } from 'node:module'
import type { Alias, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { resolvePlain } from './parse-scalar.ts'
import type { Raw, RawEntry, RawList, RawMap, RawScalar } from './raw.ts'

export interface SyntaxProblem {
  /** Offset in the text. */
  readonly at: number
  readonly message: string
  readonly hint: string
  /** False: the document's tree is whole but says something twice. */
  readonly fatal: boolean
}

/** A document that unfolds to more nodes than this through its aliases is refused. */
const MAX_NODES = 2_000_000

type Library = typeof import('yaml')
let library: Library | undefined

/** Loaded on first use: most files never need it, and it takes longer to load than they to read. */
function yaml(): Library {
  library ??= createRequire(import.meta.url)('yaml') as Library
  return library
}

export function readThoroughly(
  text: string,
  start: number,
  end: number,
): { readonly root: Raw | undefined; readonly problems: readonly SyntaxProblem[] } {
  const chunk = text.slice(start, end)
  try {
    const documents = yaml().parseAllDocuments(chunk, {
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
    const document = Array.isArray(documents) ? documents[0] : undefined
    if (document === undefined) return { root: undefined, problems: [] }
    return new Conversion(yaml(), document, chunk, start).run()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { root: undefined, problems: [tooDeep(start)] }
  }
}

function tooDeep(at: number): SyntaxProblem {
  return {
    at,
    message: 'the document is nested too deeply to be read',
    hint: 'Check for a run of opening brackets or a generator that does not stop.',
    fatal: true,
  }
}

/** One document of the library to a raw tree with Kubernetes' reading of scalars. */
class Conversion {
  private readonly lib: Library
  private readonly document: Document
  private readonly chunk: string
  private readonly shift: number
  private readonly problems: SyntaxProblem[] = []
  private readonly anchored = new Map<Node, { raw: Raw; nodes: number }>()
  private nodes = 0

  constructor(lib: Library, document: Document, chunk: string, shift: number) {
    this.lib = lib
    this.document = document
    this.chunk = chunk
    this.shift = shift
  }

  run(): { root: Raw | undefined; problems: readonly SyntaxProblem[] } {
    const error = this.document.errors[0]
    if (error !== undefined) {
      const at = this.placeOf(error.code, error.pos[0])
      const deep = error.code === 'BLOCK_AS_IMPLICIT_KEY' ? tooFarRight(this.chunk, at) : undefined
      const problem = deep ?? syntaxProblem(error.code, error.message, at)
      return { root: undefined, problems: [{ ...problem, at: this.shift + problem.at }] }
    }
    const contents = this.document.contents as Node | null
    if (contents === null || isEmptyScalar(this.lib, contents))
      return { root: undefined, problems: [] }
    const root = this.convert(contents, this.shift + (contents.range?.[0] ?? 0))
    if (this.nodes > MAX_NODES)
      return { root: undefined, problems: [tooManyNodes(this.shift + (contents.range?.[0] ?? 0))] }
    return this.problems.some((problem) => problem.fatal)
      ? { root: undefined, problems: this.problems }
      : { root, problems: this.problems }
  }

  /** Where people should look: at the quote that opens, and at letters instead of spaces. */
  private placeOf(code: string, at: number): number {
    let place = at
    if (code === 'MISSING_CHAR')
      this.lib.visit(this.document, {
        Scalar: (_, { type, range }) => {
          if (type !== 'PLAIN' && range && range[0] < place && range[1] >= at) place = range[0]
        },
      })
    while (this.chunk[place] === ' ') place++
    return place
  }

  private convert(node: Node | null, emptyAt: number): Raw {
    this.nodes++
    if (node === null) return { kind: 'scalar', at: emptyAt, value: null, text: '' }
    if (this.lib.isAlias(node)) return this.convertAlias(node)
    const before = this.nodes
    const raw = this.convertNode(node, emptyAt)
    if (node.anchor !== undefined) this.anchored.set(node, { raw, nodes: this.nodes - before + 1 })
    return raw
  }

  private convertNode(node: Exclude<Node, Alias>, emptyAt: number): Raw {
    if (this.lib.isMap(node)) return this.convertMap(node, emptyAt)
    if (this.lib.isSeq(node)) return this.convertList(node, emptyAt)
    return this.convertScalar(node as Scalar, emptyAt)
  }

  private convertAlias(node: Alias): Raw {
    const at = this.shift + (node.range?.[0] ?? 0)
    const target = node.resolve(this.document)
    const known = target === undefined ? undefined : this.anchored.get(target)
    if (known === undefined) {
      this.problems.push({
        at,
        message: `alias *${node.source} has no anchor before it`,
        hint: `Write &${node.source} before the value it should repeat.`,
        fatal: true,
      })
      return { kind: 'scalar', at, value: null, text: '' }
    }
    this.nodes += known.nodes
    return known.raw
  }

  private convertScalar(node: Scalar, emptyAt: number): RawScalar {
    const text = String(node.value ?? '')
    const at = this.shift + (node.range?.[0] ?? 0)
    if (node.type === 'PLAIN' && (node.tag === undefined || !node.tag.startsWith('tag:'))) {
      const value = resolvePlain(text)
      return { kind: 'scalar', at: text === '' ? emptyAt : at, value, text }
    }
    return { kind: 'scalar', at, value: tagged(node.tag, text), text }
  }

  private convertList(node: YAMLSeq, emptyAt: number): RawList {
    const at = this.shift + (node.range?.[0] ?? emptyAt)
    const items = node.items.map(
      (item) =>
        (node.flow === true ? this.trailingColon(item as Node) : undefined) ??
        this.convert(item as Node | null, at),
    )
    return { kind: 'list', at, items }
  }

  /** `[::1, 2001:db8::]`: Kubernetes' reader takes a colon before , or ] for text. */
  private trailingColon(item: Node): RawScalar | undefined {
    if (!this.lib.isMap(item) || item.items.length !== 1) return undefined
    const { key, value } = item.items[0] as Pair<Node, Node | null>
    const start = item.range?.[0] ?? 0
    const emptyValue = value === null || isEmptyScalar(this.lib, value)
    if (!this.lib.isScalar(key) || key.type !== 'PLAIN' || !emptyValue) return undefined
    const text = `${String(key.value)}:`
    if (this.chunk[start] === '{' || !this.chunk.startsWith(text, start)) return undefined
    this.nodes++
    return { kind: 'scalar', at: this.shift + start, value: text, text }
  }

  private convertMap(node: YAMLMap, emptyAt: number): RawMap {
    const entries: RawEntry[] = []
    const seen = new Map<string, number>()
    const merged: RawEntry[] = []
    for (const pair of node.items as Pair<Node, Node | null>[]) {
      const key = this.convertKey(pair.key)
      if (key === undefined) continue
      const value = this.convert(pair.value, key.at)
      if (key.text === '<<' && pair.key.range !== undefined) {
        merged.push(...this.mergedEntries(value, key.at))
        continue
      }
      const first = seen.get(key.name)
      if (first !== undefined) this.reportDuplicate(key.name, key.at)
      seen.set(key.name, key.at)
      entries.push({ key: key.name, at: key.at, value })
    }
    for (const entry of merged)
      if (!seen.has(entry.key)) {
        seen.set(entry.key, entry.at)
        entries.push(entry)
      }
    return { kind: 'map', at: this.shift + (node.range?.[0] ?? emptyAt), entries }
  }

  private reportDuplicate(name: string, at: number): void {
    this.problems.push({
      at,
      message: `the key "${name}" appears twice in the same map`,
      hint: 'Remove one of them: Kubernetes refuses the object.',
      fatal: false,
    })
  }

  private convertKey(node: Node): { name: string; text: string; at: number } | undefined {
    const at = this.shift + (node?.range?.[0] ?? 0)
    const raw = this.convert(node, at)
    if (raw.kind === 'scalar' && raw.value !== null)
      return { name: String(raw.value), text: raw.text, at: raw.at }
    this.problems.push({
      at: raw.at,
      message: 'the key of a map must be text or a number',
      hint: 'Quote the key.',
      fatal: true,
    })
    return undefined
  }

  private mergedEntries(value: Raw, at: number): readonly RawEntry[] {
    if (value.kind === 'map') return value.entries
    if (value.kind === 'list' && value.items.every((item) => item.kind === 'map'))
      return value.items.flatMap((item) => (item as RawMap).entries)
    this.problems.push({
      at,
      message: 'the merge key << needs a map or a list of maps',
      hint: 'Point it at an anchored map, as in `<<: *base`.',
      fatal: true,
    })
    return []
  }
}

function isEmptyScalar(lib: Library, node: Node): boolean {
  return lib.isScalar(node) && node.type === 'PLAIN' && String(node.value ?? '') === ''
}

function tooManyNodes(at: number): SyntaxProblem {
  return {
    at,
    message: `aliases unfold this document to more than ${MAX_NODES} values`,
    hint: 'Write the values out, or use fewer aliases.',
    fatal: true,
  }
}

/** The value of an explicitly tagged or quoted scalar. */
function tagged(tag: string | undefined, text: string): string | number | boolean | null {
  const name = tag?.replace('tag:yaml.org,2002:', '')
  if (name !== 'int' && name !== 'float' && name !== 'bool' && name !== 'null') return text
  return resolvePlain(text)
}

const ADVICE = new Map([
  ['TAB_AS_INDENT', 'Indent with spaces: YAML allows no tabs there.'],
  ['BAD_INDENT', 'Line the keys and list items up with the ones before them.'],
  ['MULTILINE_IMPLICIT_KEY', 'Is a colon missing on the line before, or a quote not closed?'],
  ['MISSING_CHAR', 'Look for a quote or bracket that is not closed, or a missing colon.'],
  ['BLOCK_AS_IMPLICIT_KEY', 'A map cannot start there: put it on its own, indented line.'],
  ['UNEXPECTED_TOKEN', 'Quote the value if it should be text.'],
  ['IMPOSSIBLE', 'Check the lines just above.'],
])

/** `a: 1` and then a deeper `b: 2`: the library blames the first line, people look at the second. */
function tooFarRight(text: string, at: number): SyntaxProblem | undefined {
  const [line] = /^[^\n]*\n(?:[ ]*(?:#[^\n]*)?\n)*[ ]*(?=\S)/.exec(text.slice(at)) ?? []
  if (line === undefined || /:(\s|$)/.test(line.slice(0, line.indexOf('\n')))) return undefined
  return {
    at: at + line.length,
    message:
      'this is not YAML: the line is indented deeper than the key before it, which has a value',
    hint: ADVICE.get('BAD_INDENT') ?? '',
    fatal: true,
  }
}

function syntaxProblem(code: string, message: string, at: number): SyntaxProblem {
  const plain = message.replace(/ at line \d+, column \d+:?[\s\S]*$/, '')
  return {
    at,
    message: `this is not YAML: ${plain.charAt(0).toLowerCase()}${plain.slice(1)}`,
    hint: ADVICE.get(code) ?? 'Check the indentation and quotes here and just above.',
    fatal: true,
  }
}
