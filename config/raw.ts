/** YAML as read: plain trees whose every key and value remembers its offset in the file. */
import type { Path, Position } from './resource.ts'

export interface RawEntry {
  readonly key: string
  /** Offset of the key. */
  readonly at: number
  readonly value: Raw
}
export interface RawMap {
  readonly kind: 'map'
  readonly at: number
  readonly entries: readonly RawEntry[]
}
export interface RawList {
  readonly kind: 'list'
  readonly at: number
  readonly items: readonly Raw[]
}
export interface RawScalar {
  readonly kind: 'scalar'
  /** Offset of the value; of its key when nothing is written. */
  readonly at: number
  readonly value: string | number | boolean | null
  /** As written, without quotes. */
  readonly text: string
}
export type Raw = RawMap | RawList | RawScalar

/** One file's text (or a YAML text inside a block scalar of it) that can say where an offset is. */
export class Source {
  readonly file: string
  readonly text: string
  private readonly lineShift: number
  private readonly columnShift: number
  private lineStarts: number[] | undefined

  constructor(file: string, text: string, lineShift = 0, columnShift = 0) {
    this.file = file
    this.text = text
    this.lineShift = lineShift
    this.columnShift = columnShift
  }

  /** Drops the index of lines, which is made again when asked for. */
  forget(): void {
    this.lineStarts = undefined
  }

  /** Lines are indexed on first use: most files never need more than their objects' lines. */
  position(offset: number): Position {
    this.lineStarts ??= startsOfLines(this.text)
    const starts = this.lineStarts
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return {
      line: low + 1 + this.lineShift,
      column: offset - starts[low]! + 1 + this.columnShift,
    }
  }
}

function startsOfLines(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** The entry whose name is `name`, in lowerCamelCase or snake_case. */
export function entryOf(map: RawMap, name: string): RawEntry | undefined {
  for (const entry of map.entries) if (entry.key === name) return entry
  for (const entry of map.entries)
    if (entry.key.includes('_') && camelCase(entry.key) === name) return entry
  return undefined
}

export function within(raw: Raw | undefined, ...names: string[]): Raw | undefined {
  let found = raw
  for (const name of names) {
    if (found?.kind !== 'map') return undefined
    found = entryOf(found, name)?.value
  }
  return found
}

/** The text of a string, number or boolean; undefined for anything else. */
export function textOf(raw: Raw | undefined): string | undefined {
  return raw?.kind === 'scalar' && raw.value !== null ? raw.text : undefined
}

/** Offset of the deepest part of `path` that exists: of the key in a map, of the item in a list. */
export function offsetOf(root: Raw, path: Path): number {
  let found: Raw = root
  let at = root.at
  for (const part of path) {
    if (found.kind === 'map') {
      const entry = entryOf(found, String(part))
      if (entry === undefined) return at
      at = entry.at
      found = entry.value
    } else if (found.kind === 'list' && typeof part === 'number') {
      const item: Raw | undefined = found.items[part]
      if (item === undefined) return at
      at = item.at
      found = item
    } else return at
  }
  return at
}

/** Offset of the value at `path`; the same as offsetOf for what holds no scalar. */
export function valueOffsetOf(root: Raw, path: Path): number {
  let found: Raw | undefined = root
  for (const part of path) {
    if (found?.kind === 'map') found = entryOf(found, String(part))?.value
    else if (found?.kind === 'list' && typeof part === 'number') found = found.items[part]
    else found = undefined
  }
  return found?.kind === 'scalar' ? found.at : offsetOf(root, path)
}

export function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
