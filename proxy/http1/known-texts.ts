/**
 * Texts that come again and again (names of fields, the host of a worker's requests) as the very same
 * string: no memory for each, hashed once, equal at a glance. A small table in which newcomers take the
 * place of others, so nothing that clients send can fill it. Hot: bench/micro/http1-parse.bench.ts.
 */
import { latin1 } from '../base/bytes.ts'

const slots = 256
/** Longer ones are rare and not kept. */
const longest = 64

export class KnownTexts {
  private readonly known: string[] = new Array(slots).fill('')

  /** `bytes[start, end)` as latin1. */
  take(bytes: Buffer, start: number, end: number): string {
    const length = end - start
    if (length === 0) return ''
    if (length > longest) return latin1(bytes, start, end)
    const middle = bytes[start + (length >> 1)]!
    const slot = (bytes[start]! * 5 + middle * 17 + bytes[end - 1]! * 3 + length * 31) & (slots - 1)
    const known = this.known[slot]!
    if (known.length === length && isSpelt(known, bytes, start)) return known
    const text = latin1(bytes, start, end)
    this.known[slot] = text
    return text
  }
}

function isSpelt(text: string, bytes: Buffer, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}
