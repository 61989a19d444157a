/** The schema language: types that read a raw value, and say what is wrong with it, all of it. */
import { didYouMean } from '../diagnostics.ts'
import { isBooleanWord } from '../parse-scalar.ts'
import { camelCase, type Raw, type RawEntry, type RawMap, type RawScalar } from '../raw.ts'
import { goDurationMs } from './formats.ts'
import { Code, Place, type Reading, type Verdict } from './reading.ts'

/** `undefined` means unusable: a problem was told. */
export interface Type<T = unknown> {
  read(raw: Raw, reading: Reading): T | undefined
}

/** A field with more to say than its type. A bare Type is an optional field without default. */
export interface Field {
  readonly type: Type
  readonly default?: unknown
  /** The complaint when it is missing. */
  readonly required?: string
  /** Name in the spec; default: the field's own. */
  readonly as?: string
  /** Known to Istio, checked, but without effect here: told, and kept out of the spec. */
  readonly notYet?: true
  /** Accepted and without effect by design (in Istio too, or for a sidecar): not told. */
  readonly ignored?: true
  readonly deprecated?: string
}
export type Fields = Readonly<Record<string, Type | Field>>

export const need = (type: Type, complaint = 'is required'): Field => ({
  type,
  required: complaint,
})
export const or = (type: Type, byDefault: unknown): Field => ({ type, default: byDefault })
export const later = (type: Type): Field => ({ type, notYet: true })
export const ignored = (type: Type): Field => ({ type, ignored: true })
export const named = (as: string, type: Type, byDefault?: unknown): Field =>
  byDefault === undefined ? { type, as } : { type, as, default: byDefault }

// --- scalars --------------------------------------------------------------------------------------
export function string(check?: (value: string) => Verdict): Type<string> {
  return {
    read(raw, reading) {
      if (raw.kind !== 'scalar' || typeof raw.value !== 'string') {
        reading.error(raw.at, `must be text, is ${described(raw)}`, quoteHint(raw))
        return undefined
      }
      if (check !== undefined && !reading.judge(raw.at, check(raw.value))) return undefined
      return raw.value
    },
  }
}
export const text = string()

export function integer(
  min = -2_147_483_648,
  max = 2_147_483_647,
  check?: (value: number) => Verdict,
): Type<number> {
  return {
    read(raw, reading) {
      if (raw.kind !== 'scalar' || !Number.isInteger(raw.value)) {
        reading.error(raw.at, `must be a whole number, is ${described(raw)}`, unquoteHint(raw))
        return undefined
      }
      const value = raw.value as number
      if (value < min || value > max) {
        reading.error(raw.at, `${value} is not in the range ${min} to ${max}`)
        return undefined
      }
      if (check !== undefined && !reading.judge(raw.at, check(value))) return undefined
      return value
    },
  }
}
export const uint32 = integer(0, 4_294_967_295)
export const portNumber = integer(1, 65_535)

export function number(
  min = Number.NEGATIVE_INFINITY,
  max = Number.POSITIVE_INFINITY,
): Type<number> {
  return {
    read(raw, reading) {
      if (raw.kind !== 'scalar' || typeof raw.value !== 'number' || Number.isNaN(raw.value)) {
        reading.error(raw.at, `must be a number, is ${described(raw)}`, unquoteHint(raw))
        return undefined
      }
      if (raw.value >= min && raw.value <= max) return raw.value
      reading.error(raw.at, `${raw.value} is not in the range ${min} to ${max}`)
      return undefined
    },
  }
}

export const boolean: Type<boolean> = {
  read(raw, reading) {
    if (raw.kind === 'scalar' && typeof raw.value === 'boolean') return raw.value
    reading.error(raw.at, `must be true or false, is ${described(raw)}`, unquoteHint(raw))
    return undefined
  },
}

/** A Go duration in quotes, to whole milliseconds. */
export function duration(options: { zero?: boolean; seconds?: boolean } = {}): Type<number> {
  return {
    read(raw, reading) {
      if (raw.kind !== 'scalar' || typeof raw.value !== 'string') {
        const hint = raw.kind === 'scalar' ? `Write a unit, for example "${raw.text || 5}s".` : ''
        reading.error(raw.at, `must be a duration such as "1.5s", is ${described(raw)}`, hint)
        return undefined
      }
      const ms = goDurationMs(raw.value)
      if (ms === undefined) {
        const hint = 'Use numbers with units ns, us, ms, s, m, h: "500ms", "1m30s".'
        reading.error(raw.at, `"${raw.value}" is not a duration`, hint)
        return undefined
      }
      if (options.zero === true && ms === 0) return 0
      if (!Number.isInteger(ms))
        reading.error(raw.at, `"${raw.value}" is not in whole milliseconds`)
      else if (ms < 1)
        reading.error(
          raw.at,
          `"${raw.value}" is shorter than 1ms`,
          'Leave the field out to have none.',
        )
      else if (options.seconds === true && ms % 1000 !== 0)
        reading.error(raw.at, `"${raw.value}" is not in whole seconds`)
      else return ms
      return undefined
    },
  }
}

/** By name, or by number as in the protocol buffers. */
export function enumeration<T extends string>(
  names: readonly T[],
  aliases: Readonly<Record<string, T>> = {},
): Type<T> {
  return {
    read(raw, reading) {
      if (raw.kind === 'scalar' && typeof raw.value === 'string') {
        const found = aliases[raw.value] ?? names.find((name) => name === raw.value)
        if (found !== undefined) return found
      }
      if (raw.kind === 'scalar' && typeof raw.value === 'number' && names[raw.value] !== undefined)
        return names[raw.value]
      const known = [...names, ...Object.keys(aliases)]
      const hint = raw.kind === 'scalar' ? didYouMean(raw.text, known) : ''
      reading.error(raw.at, `${described(raw)} is not one of ${known.join(', ')}`, hint)
      return undefined
    },
  }
}

/** Anything: for fields that are only named, never read. */
export const anything: Type<Raw> = { read: (raw) => raw }

// --- collections ----------------------------------------------------------------------------------
export function list<T>(item: Type<T>, check?: (items: readonly T[]) => Verdict): Type<T[]> {
  return {
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
      return values
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

// --- objects --------------------------------------------------------------------------------------
export type Rule<V> = (value: V, place: Place) => void

export interface ObjectOptions<V> {
  /** Run when the whole object was read, also when parts of it were unusable. */
  readonly rules?: ReadonlyArray<Rule<V>>
  /** Groups of fields of which at most one may be written. */
  readonly oneOf?: ReadonlyArray<readonly string[]>
  /** The spec made of what was read. */
  readonly into?: (value: V) => unknown
  /** Unknown fields: an error for Istio's kinds, a warning or silence where others read them too. */
  readonly unknown?: 'error' | 'warning' | 'silent'
}

export function object<V extends object>(fields: Fields, options: ObjectOptions<V> = {}): Type {
  const reader = new ObjectReader<V>(fields, options)
  return { read: (raw, reading) => reader.read(raw, reading) }
}

class ObjectReader<V extends object> {
  private readonly fields: ReadonlyMap<string, Field>
  private readonly options: ObjectOptions<V>
  private readonly dropped: readonly string[]

  constructor(fields: Fields, options: ObjectOptions<V>) {
    this.options = options
    this.fields = new Map(
      Object.entries(fields).map(([name, field]) => [
        name,
        'type' in field ? field : { type: field },
      ]),
    )
    this.dropped = [...this.fields]
      .filter(([, field]) => field.notYet === true || field.ignored === true)
      .map(([name, field]) => field.as ?? name)
  }

  read(raw: Raw, reading: Reading): unknown {
    if (raw.kind !== 'map') {
      reading.error(raw.at, `must be a map, is ${described(raw)}`)
      return undefined
    }
    const value: Record<string, unknown> = {}
    for (const entry of raw.entries) this.readField(entry, value, reading)
    this.fillIn(raw, value, reading)
    this.checkOneOf(raw, reading)
    const { rules, into } = this.options
    if (rules !== undefined) {
      const place = new Place(reading, raw)
      for (const rule of rules) rule(value as V, place)
    }
    for (const name of this.dropped) delete value[name]
    return into === undefined ? value : into(value as V)
  }

  private readField(entry: RawEntry, value: Record<string, unknown>, reading: Reading): void {
    const name = this.fields.has(entry.key) ? entry.key : camelCase(entry.key)
    const field = this.fields.get(name)
    if (field === undefined) {
      this.reportUnknown(entry, reading)
      return
    }
    if (isNull(entry.value)) return
    reading.enter(name)
    if (field.deprecated !== undefined)
      reading.report(
        'warning',
        Code.Deprecated,
        entry.at,
        `${reading.where()} is deprecated`,
        field.deprecated,
      )
    if (field.notYet === true) reportNotYet(entry, reading)
    const read = field.type.read(entry.value, reading)
    if (read !== undefined) value[field.as ?? name] = read
    reading.leave()
  }

  private reportUnknown(entry: RawEntry, reading: Reading): void {
    const severity = this.options.unknown ?? 'error'
    if (severity === 'silent') return
    const where = reading.where([entry.key])
    const hint = didYouMean(entry.key, [...this.fields.keys()])
    const code = severity === 'error' ? Code.Schema : Code.UnknownField
    reading.report(severity, code, entry.at, `${where}: there is no field "${entry.key}"`, hint)
  }

  private fillIn(raw: RawMap, value: Record<string, unknown>, reading: Reading): void {
    for (const [name, field] of this.fields) {
      const as = field.as ?? name
      if (as in value) continue
      if (field.default !== undefined) value[as] = field.default
      else if (field.required !== undefined && !hasKey(raw, name)) {
        const where = reading.where([name])
        reading.report('error', Code.Schema, raw.at, `${where}: ${field.required}`)
      }
    }
  }

  private checkOneOf(raw: RawMap, reading: Reading): void {
    for (const group of this.options.oneOf ?? []) {
      const present = raw.entries.filter(
        (entry) => group.includes(camelCase(entry.key)) && !isNull(entry.value),
      )
      if (present.length < 2) continue
      const names = present.map((entry) => entry.key).join(', ')
      reading.error(present[1]!.at, `only one of ${names} may be set`)
    }
  }
}

function hasKey(raw: RawMap, name: string): boolean {
  return raw.entries.some((entry) => camelCase(entry.key) === name && !isNull(entry.value))
}

function reportNotYet(entry: RawEntry, reading: Reading): void {
  const message = `${reading.where()} is known, not yet implemented: it has no effect`
  reading.report('warning', Code.NotYet, entry.at, message)
}

/** Runs more rules on what another type has read. */
export function checked<V>(type: Type, rule: Rule<V>): Type {
  return {
    read(raw, reading) {
      const value = type.read(raw, reading)
      if (value !== undefined) rule(value as V, new Place(reading, raw))
      return value
    },
  }
}

export function isNull(raw: Raw): raw is RawScalar {
  return raw.kind === 'scalar' && raw.value === null
}

function described(raw: Raw): string {
  if (raw.kind === 'map') return 'a map'
  if (raw.kind === 'list') return 'a list'
  if (raw.value === null) return 'empty'
  if (typeof raw.value === 'string') return `the text "${shortened(raw.value)}"`
  return `the ${typeof raw.value} ${raw.text}`
}

function shortened(value: string): string {
  return value.length > 60 ? `${value.slice(0, 57)}...` : value
}

function quoteHint(raw: Raw): string {
  if (raw.kind !== 'scalar' || raw.value === null) return ''
  if (isBooleanWord(raw.text))
    return `Unquoted ${raw.text} is a boolean in Kubernetes YAML: write "${raw.text}" in quotes.`
  return `Write "${raw.text}" in quotes.`
}

function unquoteHint(raw: Raw): string {
  return raw.kind === 'scalar' && typeof raw.value === 'string' ? 'Write it without quotes.' : ''
}
