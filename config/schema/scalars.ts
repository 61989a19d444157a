/** Types of single values: text, numbers, durations, enumerations. */
import { didYouMean } from '../diagnostics.ts'
import { isBooleanWord } from '../parse-scalar.ts'
import type { Raw, RawScalar } from '../raw.ts'
import { goDurationMs } from './formats.ts'
import type { Reading, Verdict } from './reading.ts'

/** `undefined` means unusable: a problem was told. */
export interface Type<T = unknown> {
  read(raw: Raw, reading: Reading): T | undefined
  /** What it is made of, for those who list the schema: fields by name; `[]` the item of a list, `<name>` of a map. */
  readonly parts?: ReadonlyMap<string, Part>
}

/** One field as a list of the schema tells it (object.ts Field). */
export interface Part {
  readonly type: Type
  readonly notYet?: true
  readonly ignored?: true
  readonly deprecated?: string
}

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

export function isNull(raw: Raw): raw is RawScalar {
  return raw.kind === 'scalar' && raw.value === null
}

export function described(raw: Raw): string {
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

/** Only where that would help: "fifty" is no number in any form. */
function unquoteHint(raw: Raw): string {
  const quoted = raw.kind === 'scalar' && typeof raw.value === 'string' ? raw.value : ''
  return /^(-?\d+(\.\d+)?|true|false)$/.test(quoted) ? 'Write it without quotes.' : ''
}
