/**
 * Names what a connection speaks from its first bytes: HTTP/1, HTTP/2 (the preface), TLS, or opaque.
 * Pure: asked again with more bytes while the answer is `more`.
 */

export type Spoken = 'http1' | 'http2' | 'tls' | 'opaque' | 'more'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
/** Longest first line looked at (Envoy's http_inspector: 64 KiB; a sidecar needs less). */
const longestLine = 16 * 1024
const longestMethod = 32

/** RFC 9110 5.6.2 token characters. */
const token = new Uint8Array(128)
for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  token[c.charCodeAt(0)] = 1

/** What `bytes` (all that was received so far) begin. */
export function detect(bytes: Buffer): Spoken {
  if (bytes.length === 0) return 'more'
  if (bytes[0] === 0x16) return bytes.length < 3 ? 'more' : bytes[1] === 3 ? 'tls' : 'opaque'
  if (bytes[0] === 0x50 && bytes[1] === 0x52) {
    const seen = Math.min(bytes.length, preface.length)
    if (bytes.toString('latin1', 0, seen) === preface.slice(0, seen))
      return seen === preface.length ? 'http2' : 'more'
  }
  return detectHttp1(bytes)
}

/** A request line: token SP target SP HTTP/digit.digit, with CR or LF behind. Empty lines before it are let pass. */
function detectHttp1(bytes: Buffer): Spoken {
  let at = 0
  while (at < bytes.length && (bytes[at] === 13 || bytes[at] === 10) && at < 4) at++
  const start = at
  while (at < bytes.length && bytes[at] !== 32) {
    const c = bytes[at]!
    if (c >= 128 || token[c] !== 1 || at - start > longestMethod) return 'opaque'
    at++
  }
  if (at === start && at < bytes.length) return 'opaque'
  const end = bytes.indexOf(10, at)
  if (end < 0) return bytes.length > longestLine ? 'opaque' : mayStillBeHttp(bytes, at)
  const lineEnd = bytes[end - 1] === 13 ? end - 1 : end
  return versionEnds(bytes, lineEnd) ? 'http1' : 'opaque'
}

/** No control byte may stand in an unfinished request line. */
function mayStillBeHttp(bytes: Buffer, from: number): Spoken {
  for (let i = from; i < bytes.length; i++) {
    const c = bytes[i]!
    if (c < 32 && c !== 13) return 'opaque'
  }
  return 'more'
}

function versionEnds(bytes: Buffer, lineEnd: number): boolean {
  const at = lineEnd - 9
  return at > 0 && / HTTP\/\d\.\d/.test(bytes.toString('latin1', at, lineEnd))
}
