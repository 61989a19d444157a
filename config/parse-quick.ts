/**
 * The YAML that people and tools write, read in one pass without building tokens: block maps and
 * lists, flow collections (so all of JSON), quoted and one-line plain scalars, comments. Anything
 * else, and anything wrong, gives undefined: the library then reads the document instead. Its twin
 * in tests is that library, over every file of the corpora. About ten times its speed; most files
 * never load it.
 */
import { FlowReader } from './parse-flow.ts'
import {
  APOSTROPHE,
  COLON,
  DASH,
  HASH,
  INDICATORS,
  nothing,
  OPEN_LIST,
  OPEN_MAP,
  plainKey,
  QUOTE,
  quoted,
  refuseDuplicate,
  SPACE,
  UNSURE,
} from './parse-lexical.ts'
import { resolvePlain } from './parse-scalar.ts'
import type { Raw, RawEntry, RawScalar } from './raw.ts'

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
    const [value, after] = quoted(this.text, start, this.lineEnd)
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
      at = this.skipSpaces(quoted(text, start, lineEnd)[1])
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
    if (first === QUOTE || first === APOSTROPHE) return quoted(this.text, start, colon)[0]
    return plainKey(this.text.slice(start, colon).trimEnd())
  }

  // --- flow style -----------------------------------------------------------------------------------
  /** A flow collection that begins at the current place and ends its last line. */
  private readFlowLine(column: number): Raw {
    const flow = new FlowReader(this.text, this.at, this.end, column)
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
