/**
 * The few fields HTTP/1 itself must understand, told apart by length and first letter so that all
 * others cost one switch. Hot: bench/micro/http1-parse.bench.ts.
 */

/** 0 is every other field. */
export const Field = {
  Other: 0,
  Host: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Connection: 4,
  KeepAlive: 5,
  ProxyConnection: 6,
  Upgrade: 7,
  Te: 8,
  Expect: 9,
  Http2Settings: 10,
} as const
export type Field = (typeof Field)[keyof typeof Field]

/** Bit n: a known field has a name of n letters. */
const knownLengths = 0b11_0100_0100_1101_0100

/** Which field the name `bytes[start, end)` is. */
export function fieldOf(bytes: Uint8Array, start: number, end: number): Field {
  const length = end - start
  if (length > 17 || ((knownLengths >> length) & 1) === 0) return Field.Other
  return knownField(bytes, start, end)
}

function knownField(bytes: Uint8Array, start: number, end: number): Field {
  const first = bytes[start]! | 32
  switch (end - start) {
    case 2:
      return first === 116 && isNamed(bytes, start, 'te') ? Field.Te : Field.Other
    case 4:
      return first === 104 && isNamed(bytes, start, 'host') ? Field.Host : Field.Other
    case 6:
      return first === 101 && isNamed(bytes, start, 'expect') ? Field.Expect : Field.Other
    case 7:
      return first === 117 && isNamed(bytes, start, 'upgrade') ? Field.Upgrade : Field.Other
    case 10:
      if (first === 99 && isNamed(bytes, start, 'connection')) return Field.Connection
      return first === 107 && isNamed(bytes, start, 'keep-alive') ? Field.KeepAlive : Field.Other
    case 14:
      if (first === 99 && isNamed(bytes, start, 'content-length')) return Field.ContentLength
      return first === 104 && isNamed(bytes, start, 'http2-settings')
        ? Field.Http2Settings
        : Field.Other
    case 16:
      return first === 112 && isNamed(bytes, start, 'proxy-connection')
        ? Field.ProxyConnection
        : Field.Other
    case 17:
      return first === 116 && isNamed(bytes, start, 'transfer-encoding')
        ? Field.TransferEncoding
        : Field.Other
    default:
      return Field.Other
  }
}

/** True if the bytes from `start` on spell `lower` in any case. */
export function isNamed(bytes: Uint8Array, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    let c = bytes[start + i]!
    if (c >= 65 && c <= 90) c |= 32
    if (c !== lower.charCodeAt(i)) return false
  }
  return true
}

/**
 * True for fields that write-head makes itself or that belong to one hop: they are never taken from a
 * head, whoever put them there. `keepLength`: Content-Length passes, as of replies to HEAD.
 */
export function isFramingField(name: string, keepLength: boolean): boolean {
  switch (name.length) {
    case 7:
      return isSpelt(name, 'upgrade')
    case 10:
      return isSpelt(name, 'connection') || isSpelt(name, 'keep-alive')
    case 14:
      return !keepLength && isSpelt(name, 'content-length')
    case 16:
      return isSpelt(name, 'proxy-connection')
    case 17:
      return isSpelt(name, 'transfer-encoding')
    default:
      return false
  }
}

function isSpelt(name: string, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    let c = name.charCodeAt(i)
    if (c >= 65 && c <= 90) c |= 32
    if (c !== lower.charCodeAt(i)) return false
  }
  return true
}
