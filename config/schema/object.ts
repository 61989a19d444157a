/** The type of an object: its fields, their defaults, and the rules between them. */
import { didYouMean } from '../diagnostics.ts'
import { camelCase, type Raw, type RawEntry, type RawMap } from '../raw.ts'
import { Code, Place, type Reading } from './reading.ts'
import { described, isNull, type Type } from './scalars.ts'

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
  return { read: (raw, reading) => reader.read(raw, reading), parts: reader.fields }
}

class ObjectReader<V extends object> {
  readonly fields: ReadonlyMap<string, Field>
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
    ...type,
    read(raw, reading) {
      const value = type.read(raw, reading)
      if (value !== undefined) rule(value as V, new Place(reading, raw))
      return value
    },
  }
}
