/**
 * Finds the parts of a head in received bytes, strictly, in one pass from left to right, and leaves
 * their offsets in `marks`: a verdict on a prefix never changes when more bytes come. Hot:
 * bench/micro/http1-parse.bench.ts (10 headers, 440 bytes: see parse-head.ts).
 */
import { Fault, incomplete } from './faults.ts'
import {
  ByteClass,
  byteClass,
  cr,
  lf,
  space,
  tab,
  targetByte,
  tokenByte,
  valueByte,
} from './grammar.ts'

/** Most header lines a limit may allow. */
export const mostFields = 2000

/**
 * Offsets of the last scan in this thread: name start, name end, value start, value end per field; behind
 * the last, the empty line. So the line of a field ends where the next begins.
 */
export const marks = new Int32Array(4 * mostFields + 1)

/** Parts of the first line of the last scan, and its number of fields. */
export const line = {
  methodEnd: 0,
  targetStart: 0,
  targetEnd: 0,
  /** 10 or 11; a higher minor version counts as 11. */
  version: 11 as 10 | 11,
  status: 0,
  reasonStart: 0,
  reasonEnd: 0,
  fields: 0,
  /** Every line is `name: value CRLF` with no other white space around the value. */
  plain: false,
}

const colon = 58
const digitZero = 48
const versionPrefix = [72, 84, 84, 80, 47]

/**
 * Field lines up to and with the empty line. Returns the offset behind it, `incomplete`, or a Fault;
 * the number of fields is then in `line.fields`.
 */
export function scanFields(bytes: Uint8Array, start: number, end: number, limit: number): number {
  // Tables as locals: read from the module in every step they cost a third of the scan.
  const token = tokenByte
  const value = valueByte
  const offsets = marks
  let at = start
  let fields = 0
  let plain = true
  for (;;) {
    const nameStart = at
    while (at < end && token[bytes[at]!] !== 0) at++
    if (at === end) return incomplete
    let c = bytes[at]!
    if (at === nameStart) {
      if (c !== cr) return c === lf ? Fault.BareLf : faultyName(c, true)
      if (at + 1 === end) return incomplete
      offsets[fields * 4] = at
      line.fields = fields
      line.plain = plain
      return bytes[at + 1] === lf ? at + 2 : Fault.BareCr
    }
    if (c !== colon) return faultyName(c, false)
    if (fields === limit) return Fault.TooManyHeaders
    const nameEnd = at++
    while (at < end && (bytes[at] === space || bytes[at] === tab)) at++
    const valueStart = at
    while (at < end && value[bytes[at]!] !== 0) at++
    if (at === end) return incomplete
    c = bytes[at]!
    if (c !== cr) return c === lf ? Fault.BareLf : Fault.InvalidValue
    if (at + 1 === end) return incomplete
    if (bytes[at + 1] !== lf) return Fault.BareCr
    let valueEnd = at
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === space || bytes[valueEnd - 1] === tab))
      valueEnd--
    if (valueStart !== nameEnd + 2 || bytes[nameEnd + 1] !== space || valueEnd !== at) plain = false
    const m = fields * 4
    offsets[m] = nameStart
    offsets[m + 1] = nameEnd
    offsets[m + 2] = valueStart
    offsets[m + 3] = valueEnd
    at += 2
    fields++
  }
}

function faultyName(c: number, first: boolean): Fault {
  if (c === space || c === tab) return first ? Fault.Folded : Fault.SpaceBeforeColon
  if (c === cr || c === lf) return Fault.MissingColon
  return Fault.InvalidName
}

/** `method SP target SP HTTP/1.x CRLF`; returns the offset behind it, `incomplete`, or a Fault. */
export function scanRequestLine(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  let c = 0
  while (at < end && tokenByte[bytes[at]!] !== 0) at++
  if (at === end) return incomplete
  c = bytes[at]!
  if (at === start) return c === lf ? Fault.BareLf : Fault.InvalidMethod
  if (c !== space) return c === cr || c === lf ? Fault.RequestLine : Fault.InvalidMethod
  line.methodEnd = at
  at++
  line.targetStart = at
  while (at < end && targetByte[bytes[at]!] !== 0) at++
  if (at === end) return incomplete
  c = bytes[at]!
  if (c !== space) return c === cr || c === lf ? Fault.RequestLine : Fault.InvalidTarget
  if (at === line.targetStart) return Fault.RequestLine
  line.targetEnd = at
  at = scanVersion(bytes, at + 1, end, Fault.RequestLine)
  if (at < 0) return at
  if (at === end) return incomplete
  c = bytes[at]!
  if (c !== cr) return c === lf ? Fault.BareLf : Fault.RequestLine
  if (at + 1 === end) return incomplete
  return bytes[at + 1] === lf ? at + 2 : Fault.BareCr
}

/** `HTTP/1.x SP 3digits [SP reason] CRLF`; returns the offset behind it, `incomplete`, or a Fault. */
export function scanStatusLine(bytes: Uint8Array, start: number, end: number): number {
  let at = scanVersion(bytes, start, end, Fault.StatusLine)
  if (at < 0) return at
  let status = 0
  for (let i = 0; i < 4; i++, at++) {
    if (at === end) return incomplete
    const c = bytes[at]!
    if (i === 0 ? c !== space : (byteClass[c]! & ByteClass.Digit) === 0) return Fault.StatusLine
    if (i > 0) status = status * 10 + c - digitZero
  }
  if (status < 100) return Fault.StatusLine
  if (at === end) return incomplete
  let c = bytes[at]!
  // Some servers leave out the space together with the reason (RFC 9112 4 asks for it).
  if (c === space) at++
  else if (c !== cr) return Fault.StatusLine
  line.status = status
  line.reasonStart = at
  while (at < end && valueByte[bytes[at]!] !== 0) at++
  if (at === end) return incomplete
  c = bytes[at]!
  if (c !== cr) return c === lf ? Fault.BareLf : Fault.InvalidValue
  line.reasonEnd = at
  if (at + 1 === end) return incomplete
  return bytes[at + 1] === lf ? at + 2 : Fault.BareCr
}

/** `HTTP/D.D`, major 1; sets `line.version`. */
function scanVersion(bytes: Uint8Array, start: number, end: number, malformed: Fault): number {
  if (end - start < 8) return scanVersionSlowly(bytes, start, end, malformed)
  if (
    bytes[start] !== 72 ||
    bytes[start + 1] !== 84 ||
    bytes[start + 2] !== 84 ||
    bytes[start + 3] !== 80 ||
    bytes[start + 4] !== 47 ||
    bytes[start + 5] !== 49 ||
    bytes[start + 6] !== 46
  )
    return scanVersionSlowly(bytes, start, end, malformed)
  const minor = bytes[start + 7]!
  if (minor < digitZero || minor > digitZero + 9) return malformed
  line.version = minor === digitZero ? 10 : 11
  return start + 8
}

/** The same for what is not whole or not HTTP/1. */
function scanVersionSlowly(
  bytes: Uint8Array,
  start: number,
  end: number,
  malformed: Fault,
): number {
  for (let i = 0; i < 8; i++) {
    const at = start + i
    if (at === end) return incomplete
    const c = bytes[at]!
    const digit = (byteClass[c]! & ByteClass.Digit) !== 0
    if (i < 5 ? c !== versionPrefix[i] : i === 6 ? c !== 46 : !digit) return malformed
  }
  return Fault.UnsupportedVersion
}
