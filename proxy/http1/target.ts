/** The four forms of a request target (RFC 9112 3.2), and authorities (RFC 3986 3.2 without userinfo). */
import type { RequestHead } from '../http/head.ts'
import { Fault } from './faults.ts'
import { ByteClass, byteClass, consistsOf } from './grammar.ts'

/**
 * Sets `target` and `authority` of `head` from its target as sent. Returns 0, or a Fault. The authority
 * stays `` where the target names none. The scheme of an absolute form changes nothing (as Envoy).
 */
export function readTarget(head: RequestHead): Fault | 0 {
  const target = head.target
  if (head.method === 'CONNECT') {
    const colon = target.lastIndexOf(':')
    if (colon < 0 || !isAuthority(target)) return Fault.TargetForm
    if (!consistsOf(target.slice(colon + 1), ByteClass.Digit)) return Fault.TargetForm
    head.authority = target
    return 0
  }
  if (target.charCodeAt(0) === 47) return 0
  if (target === '*') return head.method === 'OPTIONS' ? 0 : Fault.TargetForm
  return readAbsolute(head, target)
}

function readAbsolute(head: RequestHead, target: string): Fault | 0 {
  const lower = target.slice(0, 8).toLowerCase()
  const start = lower.startsWith('http://') ? 7 : lower === 'https://' ? 8 : 0
  if (start === 0) return Fault.TargetForm
  let end = start
  while (end < target.length && !'/?#'.includes(target[end]!)) end++
  const authority = target.slice(start, end)
  if (!isAuthority(authority)) return Fault.HostInvalid
  head.authority = authority
  const rest = target.slice(end)
  head.target = rest.startsWith('/') ? rest : `/${rest}`
  return 0
}

/** The last one found good: most requests of a worker name few hosts (80 ns to 10). */
let knownGood = ''

/** A host, optionally with a port: `name`, `name:80`, `10.0.0.1`, `[::1]:80`; never empty, no userinfo. */
export function isAuthority(text: string): boolean {
  if (text === knownGood) return text !== ''
  if (!readsAsAuthority(text)) return false
  knownGood = text
  return true
}

function readsAsAuthority(text: string): boolean {
  let at = 0
  if (text.charCodeAt(0) === 91) {
    at = text.indexOf(']') + 1
    if (at < 4 || !isIpLiteral(text, at - 1)) return false
    if (at === text.length) return true
  } else {
    while (at < text.length && isHostByte(text.charCodeAt(at))) at++
    if (at === 0) return false
    if (at === text.length) return true
  }
  if (text.charCodeAt(at) !== 58) return false
  return isPort(text, at + 1)
}

function isHostByte(c: number): boolean {
  // Colon and brackets have a meaning of their own.
  return c < 128 && (byteClass[c]! & ByteClass.Authority) !== 0 && c !== 58 && c !== 91 && c !== 93
}

/** Between brackets: hexadecimal digits, colons, dots, and an optional zone behind `%`. */
function isIpLiteral(text: string, end: number): boolean {
  let colons = 0
  for (let i = 1; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c === 58) colons++
    else if (c === 37) return colons > 1 && consistsOf(text.slice(i + 1, end), ByteClass.Token)
    else if (!isHexOrDot(c)) return false
  }
  return colons > 1
}

function isHexOrDot(c: number): boolean {
  const lower = c | 32
  return (c >= 48 && c <= 57) || (lower >= 97 && lower <= 102) || c === 46
}

/** Digits to the end; none at all is allowed (RFC 3986 3.2.3). */
function isPort(text: string, start: number): boolean {
  if (text.length - start > 5) return false
  for (let i = start; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 48 || c > 57) return false
  }
  return true
}
