/** Types of lists, and of maps whose names the user chooses. */
import { isBooleanWord } from '../parse-scalar.ts'
import type { Raw, RawEntry } from '../raw.ts'
import { Code, type Reading, type Verdict } from './reading.ts'
import { described, isNull, type Type, text } from './scalars.ts'

export function list<T>(item: Type<T>, check?: (items: readonly T[]) => Verdict): Type<T[]> {
  return {
    parts: new Map([['[]', { type: item }]]),
    read(raw, reading) {
      if (raw.kind !== 'list') {
        reading.error(raw.at, `must be a list, is ${described(raw)}`, 'Begin each item with "- ".')
        return undefined
      }
      const values: T[] = []
      raw.items.forEach((child, index) => {
        reading.enter(index)
        const value = isNull(child) ? nothing(child, reading) : item.read(child, reading)
        if (value !== undefined) values.push(value)
        reading.leave()
      })
      if (check !== undefined) reading.judge(raw.at, check(values))
      // Grown by pushing it has room for seventeen: there may be a hundred thousand lists of one.
      return values.slice()
    },
  }
}

function nothing(raw: Raw, reading: Reading): undefined {
  reading.error(raw.at, 'the list item is empty')
  return undefined
}

export interface MapOptions<T> {
  readonly key?: (key: string) => Verdict
  /** Read for an entry without a value; default: a complaint. */
  readonly empty?: T
}

/** Names chosen by the user to values of one type. */
export function map<T>(value: Type<T>, options: MapOptions<T> = {}): Type<Record<string, T>> {
  return {
    parts: new Map([['<name>', { type: value }]]),
    read(raw, reading) {
      if (raw.kind !== 'map') {
        reading.error(raw.at, `must be a map, is ${described(raw)}`)
        return undefined
      }
      const values: Record<string, T> = {}
      for (const entry of raw.entries) {
        reading.enter(entry.key)
        warnAboutBooleanWord(entry, reading)
        if (options.key !== undefined) reading.judge(entry.at, options.key(entry.key))
        const read = readEntry(entry, value, options, reading)
        if (read !== undefined) values[entry.key] = read
        reading.leave()
      }
      return values
    },
  }
}

/** `n: ...` names an entry "false" in Kubernetes YAML, which nobody means. */
function warnAboutBooleanWord(entry: RawEntry, reading: Reading): void {
  if (entry.key !== 'true' && entry.key !== 'false') return
  const [word] = /^\w+/.exec(reading.source.text.slice(entry.at, entry.at + 6)) ?? []
  if (word === undefined || !isBooleanWord(word)) return
  const message = `${reading.where()}: the unquoted name ${word} is read as "${entry.key}"`
  const hint = `Kubernetes YAML takes it for a boolean: write "${word}" in quotes.`
  reading.report('warning', Code.BooleanWord, entry.at, message, hint)
}

function readEntry<T>(
  entry: RawEntry,
  value: Type<T>,
  options: MapOptions<T>,
  reading: Reading,
): T | undefined {
  if (!isNull(entry.value)) return value.read(entry.value, reading)
  if (options.empty !== undefined) return options.empty
  reading.error(entry.at, 'has no value')
  return undefined
}

export const labels = map(text)
