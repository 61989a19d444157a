/**
 * The YAML that people and tools write, read in one pass without building tokens: block maps and
 * lists, flow collections (so all of JSON), quoted and one-line plain scalars, comments. Anything
 * else, and anything wrong, gives undefined: the library then reads the document instead. Its twin
 * in tests is that library, over every file of the corpora. About ten times its speed; most files
 * never load it.
 */
import { resolvePlain } from './parse-scalar.ts'
import type { Raw, RawEntry, RawScalar } from './raw.ts'

/** Thrown and caught within this file only; carries no stack. */
const UNSURE = Object.freeze({ unsure: true })

const NEWLINE = 10
const SPACE = 32
const QUOTE = 34
const HASH = 35
const APOSTROPHE = 39
const COMMA = 44
const DASH = 45
const COLON = 58
const OPEN_LIST = 91
const BACKSLASH = 92
const CLOSE_LIST = 93
const OPEN_MAP = 123
const CLOSE_MAP = 125

/** Characters that begin something else than a plain scalar: & * ! | > % @ ` ? and the like. */
const INDICATORS = new Set([...'&*!|>%@`?:,[]{}#"\''].map((letter) => letter.charCodeAt(0)))

/** Characters whose meaning in YAML is left to the library. */
export function hasOddCharacters(text: string): boolean {
  return /[\t\r\ufeff\u0085\u2028\u2029]/.test(text)
}

export function readQuickly(
  text: string,
  start: number,
  end: number,
): { readonly root: Raw | undefined } | undefined {
  try {
    return { root: new QuickReader(text, start, end).read() }
  } catch (error) {
    if (error === UNSURE || error instanceof RangeError) return undefined
    throw error
  }
}

class QuickReader {
  private readonly text: string
  private readonly end: number
  /** Where the next line begins. */
  private next: number
  /** Of the current line: its column, -1 at the end; its first character; its end. */
  private column = -1
  private at = 0
  private lineEnd = 0

  constructor(text: string, start: number, end: number) {
    this.text = text
    this.next = start
    this.end = end
  }

  read(): Raw | undefined {
    this.advance()
    if (this.column === 0 && this.text.startsWith('---', this.at)) {
      if (!this.isBlank(this.at + 3)) throw UNSURE
      this.advance()
    }
    if (this.column === -1) return undefined
    const first = this.text.charCodeAt(this.at)
    const root =
      first === OPEN_LIST || first === OPEN_MAP ? this.readFlowLine(-1) : this.readBlock()
    if (this.column !== -1) throw UNSURE
    return root
  }

  /** To the next line that is neither empty nor a comment. */
  private advance(): void {
    const { text, end } = this
    while (this.next < end) {
      const lineStart = this.next
      let lineEnd = text.indexOf('\n', lineStart)
      if (lineEnd === -1 || lineEnd > end) lineEnd = end
      this.next = lineEnd + 1
      let at = lineStart
      while (at < lineEnd && text.charCodeAt(at) === SPACE) at++
      if (at === lineEnd || text.charCodeAt(at) === HASH) continue
      this.column = at - lineStart
      this.at = at
      this.lineEnd = lineEnd
      return
    }
    this.column = -1
  }

  /** True when only spaces or a comment follow on the current line. */
  private isBlank(from: number): boolean {
    const at = this.skipSpaces(from)
    return at === this.lineEnd || (this.text.charCodeAt(at) === HASH && at > from)
  }

  private skipSpaces(from: number): number {
    let at = from
    while (at < this.lineEnd && this.text.charCodeAt(at) === SPACE) at++
    return at
  }

  private isDash(at: number): boolean {
    if (this.text.charCodeAt(at) !== DASH) return false
    return at + 1 === this.lineEnd || this.text.charCodeAt(at + 1) === SPACE
  }

  // --- block style ----------------------------------------------------------------------------------
  /** A map or list that begins at the current place. */
  private readBlock(): Raw {
    return this.isDash(this.at) ? this.readList(this.column) : this.readMap(this.column)
  }

  private readList(column: number): Raw {
    const at = this.at
    const items: Raw[] = []
    while (this.column === column && this.isDash(this.at)) {
      const start = this.skipSpaces(this.at + 1)
      if (start === this.lineEnd || this.text.charCodeAt(start) === HASH) {
        this.advance()
        items.push(this.column > column ? this.readBlock() : nothing(at))
      } else items.push(this.readItem(start, column))
    }
    if (this.column > column) throw UNSURE
    return { kind: 'list', at, items }
  }

  /** What follows a dash on its line: a list or map that begins there, or a value. */
  private readItem(start: number, column: number): Raw {
    const inner = column + (start - this.at)
    if (this.isDash(start) || this.colonAfterKey(start) !== -1) {
      this.column = inner
      this.at = start
      return this.readBlock()
    }
    return this.readValue(start, column)
  }

  private readMap(column: number): Raw {
    const at = this.at
    const entries: RawEntry[] = []
    while (this.column === column) {
      if (this.isDash(this.at)) throw UNSURE
      const keyAt = this.at
      const colon = this.colonAfterKey(keyAt)
      if (colon === -1) throw UNSURE
      const key = this.keyBetween(keyAt, colon)
      refuseDuplicate(entries, key)
      const start = this.skipSpaces(colon + 1)
      const value =
        start === this.lineEnd || (this.text.charCodeAt(start) === HASH && start > colon + 1)
          ? this.readBelow(column, keyAt)
          : this.readValue(start, column)
      entries.push({ key, at: keyAt, value })
    }
    if (this.column > column) throw UNSURE
    return { kind: 'map', at, entries }
  }

  /** The value of a key that has none on its own line. */
  private readBelow(column: number, keyAt: number): Raw {
    this.advance()
    if (this.column > column) return this.readBlock()
    if (this.column === column && this.isDash(this.at)) return this.readList(column)
    return nothing(keyAt)
  }

  /** A scalar or flow collection on the rest of the line; `column`: of the map or dash it belongs to. */
  private readValue(start: number, column: number): Raw {
    const first = this.text.charCodeAt(start)
    if (first === OPEN_LIST || first === OPEN_MAP) {
      this.at = start
      return this.readFlowLine(column)
    }
    const value =
      first === QUOTE || first === APOSTROPHE
        ? this.readQuotedLine(start)
        : this.readPlainLine(start)
    this.advance()
    // A deeper line would continue a plain scalar, or be wrong.
    if (this.column > column) throw UNSURE
    return value
  }

  private readQuotedLine(start: number): RawScalar {
    const [value, after] = this.quoted(start, this.lineEnd)
    if (!this.isBlank(after)) throw UNSURE
    return { kind: 'scalar', at: start, value, text: value }
  }

  private readPlainLine(start: number): RawScalar {
    const { text } = this
    const first = text.charCodeAt(start)
    if (INDICATORS.has(first) || this.isDash(start)) throw UNSURE
    let end = start
    for (; end < this.lineEnd; end++) {
      const letter = text.charCodeAt(end)
      if (letter === HASH && text.charCodeAt(end - 1) === SPACE) break
      if (letter !== COLON) continue
      const after = end + 1 === this.lineEnd ? SPACE : text.charCodeAt(end + 1)
      if (after === SPACE) throw UNSURE
    }
    while (text.charCodeAt(end - 1) === SPACE) end--
    const written = text.slice(start, end)
    return { kind: 'scalar', at: start, value: resolvePlain(written), text: written }
  }

  /** Offset of the colon that ends the key at `start`, -1 when what stands there is no key. */
  private colonAfterKey(start: number): number {
    const { text, lineEnd } = this
    const first = text.charCodeAt(start)
    let at = start
    if (first === QUOTE || first === APOSTROPHE) {
      at = this.skipSpaces(this.quoted(start, lineEnd)[1])
      const after = at + 1 === lineEnd ? SPACE : text.charCodeAt(at + 1)
      return text.charCodeAt(at) === COLON && at < lineEnd && after === SPACE ? at : -1
    }
    if (INDICATORS.has(first)) return -1
    for (; at < lineEnd; at++) {
      const letter = text.charCodeAt(at)
      if (letter === HASH && text.charCodeAt(at - 1) === SPACE) return -1
      if (letter !== COLON) continue
      if (at + 1 === lineEnd || text.charCodeAt(at + 1) === SPACE) return at
    }
    return -1
  }

  private keyBetween(start: number, colon: number): string {
    const first = this.text.charCodeAt(start)
    if (first === QUOTE || first === APOSTROPHE) return this.quoted(start, colon)[0]
    return plainKey(this.text.slice(start, colon).trimEnd())
  }

  // --- quoted scalars -------------------------------------------------------------------------------
  /** The value of the quoted scalar at `start`, which ends before `limit`, and the offset after it. */
  private quoted(start: number, limit: number): readonly [value: string, after: number] {
    const { text } = this
    const quote = text.charCodeAt(start)
    let special = false
    for (let at = start + 1; at < limit; at++) {
      const letter = text.charCodeAt(at)
      if (letter === NEWLINE) throw UNSURE
      if (letter === BACKSLASH && quote === QUOTE) {
        special = true
        at++
      } else if (letter === quote) {
        if (quote === APOSTROPHE && text.charCodeAt(at + 1) === APOSTROPHE) {
          special = true
          at++
        } else {
          const inner = text.slice(start + 1, at)
          return [special ? unescaped(inner, quote) : inner, at + 1]
        }
      }
    }
    throw UNSURE
  }

  // --- flow style -----------------------------------------------------------------------------------
  /** A flow collection that begins at the current place and ends its last line. */
  private readFlowLine(column: number): Raw {
    const flow = new FlowReader(this.text, this.at, this.end, column, (start) =>
      this.quoted(start, this.end),
    )
    const value = flow.readNode()
    const after = flow.offset
    this.next = after
    const lineEnd = this.text.indexOf('\n', after)
    this.lineEnd = lineEnd === -1 || lineEnd > this.end ? this.end : lineEnd
    if (!this.isBlank(after)) throw UNSURE
    this.next = this.lineEnd + 1
    this.advance()
    if (this.column > column && column !== -1) throw UNSURE
    return value
  }
}

class FlowReader {
  offset: number
  private readonly text: string
  private readonly end: number
  private readonly column: number
  private readonly quoted: (start: number) => readonly [value: string, after: number]

  constructor(
    text: string,
    offset: number,
    end: number,
    column: number,
    quoted: (start: number) => readonly [value: string, after: number],
  ) {
    this.text = text
    this.offset = offset
    this.end = end
    this.column = column
    this.quoted = quoted
  }

  readNode(): Raw {
    const first = this.text.charCodeAt(this.offset)
    if (first === OPEN_MAP) return this.readMap()
    if (first === OPEN_LIST) return this.readList()
    return this.readScalar()
  }

  /** Skips spaces and line ends; a line must stand deeper than what the collection belongs to. */
  private skip(): number {
    const { text, end } = this
    let lineStart = -1
    for (; this.offset < end; this.offset++) {
      const letter = text.charCodeAt(this.offset)
      if (letter === NEWLINE) lineStart = this.offset + 1
      else if (letter !== SPACE) break
    }
    if (this.offset >= end) throw UNSURE
    if (lineStart !== -1 && this.offset - lineStart <= this.column) throw UNSURE
    const letter = text.charCodeAt(this.offset)
    if (letter === HASH) throw UNSURE
    return letter
  }

  private readList(): Raw {
    const at = this.offset++
    const items: Raw[] = []
    while (this.skip() !== CLOSE_LIST) {
      items.push(this.readNode())
      this.separate(CLOSE_LIST)
    }
    this.offset++
    return { kind: 'list', at, items }
  }

  private readMap(): Raw {
    const at = this.offset++
    const entries: RawEntry[] = []
    while (this.skip() !== CLOSE_MAP) {
      const keyAt = this.offset
      const scalar = this.readScalar()
      const isQuoted =
        this.text.charCodeAt(keyAt) === QUOTE || this.text.charCodeAt(keyAt) === APOSTROPHE
      const key = isQuoted ? scalar.text : plainKey(scalar.text)
      refuseDuplicate(entries, key)
      if (this.skip() !== COLON) throw UNSURE
      this.offset++
      const letter = this.skip()
      const value = letter === COMMA || letter === CLOSE_MAP ? nothing(keyAt) : this.readNode()
      entries.push({ key, at: keyAt, value })
      this.separate(CLOSE_MAP)
    }
    this.offset++
    return { kind: 'map', at, entries }
  }

  /** A comma, or the end. */
  private separate(close: number): void {
    const letter = this.skip()
    if (letter === COMMA) this.offset++
    else if (letter !== close) throw UNSURE
  }

  private readScalar(): RawScalar {
    const at = this.offset
    const first = this.text.charCodeAt(at)
    if (first === QUOTE || first === APOSTROPHE) {
      const [value, after] = this.quoted(at)
      this.offset = after
      return { kind: 'scalar', at, value, text: value }
    }
    const second = this.text.charCodeAt(at + 1)
    const openColon = first === COLON && second === COLON
    if ((INDICATORS.has(first) && !openColon) || (first === DASH && second === SPACE)) throw UNSURE
    const text = this.text.slice(at, this.endOfPlain(at))
    this.offset = at + text.length
    return { kind: 'scalar', at, value: resolvePlain(text), text }
  }

  private endOfPlain(start: number): number {
    const { text, end } = this
    let at = start
    for (; at < end; at++) {
      const letter = text.charCodeAt(at)
      if (isFlowIndicator(letter) || letter === NEWLINE) break
      if (letter === HASH && text.charCodeAt(at - 1) === SPACE) throw UNSURE
      if (letter !== COLON) continue
      const after = text.charCodeAt(at + 1)
      if (after === SPACE || after === NEWLINE) break
      if (isFlowIndicator(after)) throw UNSURE
    }
    while (at > start && text.charCodeAt(at - 1) === SPACE) at--
    if (at === start) throw UNSURE
    return at
  }
}

function isFlowIndicator(letter: number): boolean {
  return (
    letter === COMMA ||
    letter === OPEN_LIST ||
    letter === CLOSE_LIST ||
    letter === OPEN_MAP ||
    letter === CLOSE_MAP
  )
}

function nothing(at: number): RawScalar {
  return { kind: 'scalar', at, value: null, text: '' }
}

function plainKey(text: string): string {
  const value = resolvePlain(text)
  if (value === null || text === '<<') throw UNSURE
  return typeof value === 'string' ? value : String(value)
}

function refuseDuplicate(entries: readonly RawEntry[], key: string): void {
  // Beyond this many keys the library looks: comparing each with all others would be slow here.
  if (entries.length > 64) throw UNSURE
  for (const entry of entries) if (entry.key === key) throw UNSURE
}

/** Escapes that YAML shares with JSON; others are left to the library. */
function unescaped(inner: string, quote: number): string {
  if (quote === APOSTROPHE) return inner.replaceAll("''", "'")
  if (!/^(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*$/.test(inner)) throw UNSURE
  return JSON.parse(`"${inner}"`) as string
}
