/**
 * Heads to latin1 text. The framing is made here from what is known, never copied; whatever framing
 * or connection field a head carries all the same is left out. Hot: bench/micro/http1-write.bench.ts.
 */
import type { RequestHead, ResponseHead } from '../http/head.ts'
import { type Headers, safeFieldValue } from '../http/headers.ts'
import { mayBeTrailer } from '../http/hop-headers.ts'
import { reasonPhrase } from '../http/reason-phrases.ts'
import { isFramingField } from './fields.ts'
import { ByteClass, byteClass } from './grammar.ts'

/** The head of a request; `framing` is its Connection and length fields, complete lines. */
export function requestText(head: RequestHead, framing: string): string {
  const { headers, target } = head
  const safe = target === head.wireTarget && target !== '' ? target : safeTarget(target)
  const start = `${head.method} ${safe} HTTP/1.1\r\n`
  // RFC 9112 3.2: the Host field must be there, and be empty if nothing names an authority.
  const host = headers.indexOf('host') < 0 ? `Host: ${safeFieldValue(head.authority)}\r\n` : ''
  return `${start}${host}${fieldLines(headers, false)}${framing}\r\n`
}

/**
 * The head of a reply; `framing` is its Connection and length fields, complete lines. `keepLength`:
 * the head's own Content-Length stands (replies to HEAD, 304).
 */
export function replyText(head: ResponseHead, framing: string, keepLength: boolean): string {
  const { status, reason } = head
  const start =
    status === 200 && (reason === 'OK' || reason === '')
      ? 'HTTP/1.1 200 OK\r\n'
      : `HTTP/1.1 ${status} ${reason === '' ? reasonPhrase(status) : safeFieldValue(reason)}\r\n`
  return `${start}${fieldLines(head.headers, keepLength)}${framing}\r\n`
}

function fieldLines(headers: Headers, keepLength: boolean): string {
  const { names, values, wireFields } = headers
  let text = headers.wire
  for (let i = wireFields; i < names.length; i++) {
    const name = names[i]!
    if (!isFramingField(name, keepLength)) text += `${name}: ${values[i]!}\r\n`
  }
  return text
}

/** The last chunk, the trailers that may stand there, and the empty line. */
export function trailerText(trailers: Headers): string {
  let text = '0\r\n'
  for (let i = 0; i < trailers.length; i++) {
    const name = trailers.names[i]!
    if (mayBeTrailer(name)) text += `${name}: ${trailers.values[i]!}\r\n`
  }
  return `${text}\r\n`
}

/** Filters may make targets of anything: what could break the request line is percent-encoded. */
export function safeTarget(target: string): string {
  for (let i = 0; i < target.length; i++) {
    const c = target.charCodeAt(i)
    if (c > 255 || (byteClass[c]! & ByteClass.Target) === 0) return encodeTarget(target)
  }
  return target === '' ? '/' : target
}

function encodeTarget(target: string): string {
  let encoded = ''
  for (const byte of Buffer.from(target, 'utf8')) {
    const plain = (byteClass[byte]! & ByteClass.Target) !== 0
    encoded += plain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
