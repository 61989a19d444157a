/** Flow style, `[a, {b: c}]` and JSON, over any number of lines: a part of the quick reader. */
import {
  APOSTROPHE,
  CLOSE_LIST,
  CLOSE_MAP,
  COLON,
  COMMA,
  DASH,
  HASH,
  INDICATORS,
  NEWLINE,
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

export class FlowReader {
  offset: number
  private readonly text: string
  private readonly end: number
  private readonly column: number

  constructor(text: string, offset: number, end: number, column: number) {
    this.text = text
    this.offset = offset
    this.end = end
    this.column = column
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
      const [value, after] = quoted(this.text, at, this.end)
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
