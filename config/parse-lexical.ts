/** What the quick reader of YAML sees as letters, quoted text and keys. */
import { resolvePlain } from './parse-scalar.ts'
import type { RawEntry, RawScalar } from './raw.ts'

/** Thrown and caught by the quick reader only; carries no stack. */
export const UNSURE = Object.freeze({ unsure: true })

export const NEWLINE = 10
export const SPACE = 32
export const QUOTE = 34
export const HASH = 35
export const APOSTROPHE = 39
export const COMMA = 44
export const DASH = 45
export const COLON = 58
export const OPEN_LIST = 91
export const BACKSLASH = 92
export const CLOSE_LIST = 93
export const OPEN_MAP = 123
export const CLOSE_MAP = 125

/** Characters that begin something else than a plain scalar: & * ! | > % @ ` ? and the like. */
export const INDICATORS = new Set([...'&*!|>%@`?:,[]{}#"\''].map((letter) => letter.charCodeAt(0)))

/** The value of the quoted scalar at `start`, which ends before `limit`, and the offset after it. */
export function quoted(
  text: string,
  start: number,
  limit: number,
): readonly [value: string, after: number] {
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

export function nothing(at: number): RawScalar {
  return { kind: 'scalar', at, value: null, text: '' }
}

export function plainKey(text: string): string {
  const value = resolvePlain(text)
  if (value === null || text === '<<') throw UNSURE
  return typeof value === 'string' ? value : String(value)
}

export function refuseDuplicate(entries: readonly RawEntry[], key: string): void {
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
