/**
 * Bytes to heads: scans, takes out what belongs to this hop, decides the framing. Hot:
 * bench/micro/http1-parse.bench.ts.
 */
import { latin1 } from '../base/bytes.ts'
import { BodyKind, type BodyLength } from '../http/body.ts'
import { type HttpVersion, RequestHead, ResponseHead } from '../http/head.ts'
import { Headers } from '../http/headers.ts'
import {
  acceptsTrailers,
  ConnectionOptions,
  connectionOptionLimit,
  keepAliveTimeoutMs,
  mayBeTrailer,
  mustNotNominate,
  removeNominated,
  upgradeToken,
} from '../http/hop-headers.ts'
import { Fault, incomplete } from './faults.ts'
import { Field, fieldOf, isNamed } from './fields.ts'
import { Framing } from './framing.ts'
import { KnownTexts } from './known-texts.ts'
import { line, marks, scanFields, scanRequestLine, scanStatusLine } from './scan.ts'
import { isAuthority, readTarget } from './target.ts'

export interface HeadLimits {
  /** Bytes of a whole head, its empty line included; also of a trailer section. */
  readonly headBytes: number
  /** Field lines of a head, and of a trailer section. */
  readonly fields: number
}

/** What the last parse of this thread gave; valid until the next one. */
export const parsed = {
  request: undefined as RequestHead | undefined,
  reply: undefined as ResponseHead | undefined,
  trailers: undefined as Headers | undefined,
  length: 0 as BodyLength,
  /** The peer lets the connection live on after this message. */
  persistent: false,
  /** A reply body ends with the connection. */
  untilClose: false,
  /** `Keep-Alive: timeout` of a reply, ms; -1: none. */
  idleMs: -1,
}

const framing = new Framing()
const names = new KnownTexts()
const hostNames = new KnownTexts()
const connection = new ConnectionOptions()
/** Text of the head being parsed, and where in the buffer it begins. */
let text = ''
let base = 0
let hosts = 0
let hostAt = -1
let upgrade = ''
let expects = false
let fault: Fault | 0 = 0
/** Lines to be passed on as they are: those taken so far, and where the run going on began; -1: not as they are. */
let wire = ''
let runStart = -1

/** The request asked for: what decides how a reply is framed. */
export interface Asked {
  readonly method: string
  /** An upgrade was asked for. */
  readonly upgrading: boolean
}

/**
 * Reads the request head at `start`. Returns the offset behind it, with `parsed` filled; or
 * `incomplete`; or a Fault, with `parsed.request` set if it was the meaning and not the syntax that is
 * at fault.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): number {
  parsed.request = undefined
  const stop = Math.min(end, start + limits.headBytes)
  base = start
  let at = scanRequestLine(bytes, start, stop)
  if (at < 0) return at === incomplete && stop < end ? Fault.TargetTooLong : at
  at = scanFields(bytes, at, stop, limits.fields)
  if (at < 0) return at === incomplete && stop < end ? Fault.HeadTooLarge : at
  buildRequest(bytes, at)
  return fault === 0 ? at : fault
}

function buildRequest(bytes: Buffer, end: number): void {
  beginFields(bytes, end)
  const { methodEnd, targetStart, targetEnd, version, fields } = line
  const headers = new Headers()
  const head = new RequestHead(
    methodName(methodEnd - base),
    text.substring(targetStart - base, targetEnd - base),
    version,
    headers,
  )
  for (let i = 0; i < fields; i++) takeRequestField(bytes, i, headers)
  keepWire(headers, fields)
  parsed.request = head
  parsed.persistent = persists(version)
  if (connection.count >= connectionOptionLimit) fault = Fault.ConnectionList
  if (connection.nominated !== undefined) removeAsked(headers, connection.nominated)
  setAuthority(head)
  const length = framing.requestLength(head.method, version)
  if (fault === 0 && length < BodyKind.Tunnel) fault = length as Fault
  parsed.length = length
  if (upgrade !== '' && connection.upgrade && length === 0 && version === 11)
    if (head.method === 'GET') head.upgrade = upgradeToken(upgrade)
  head.expectsContinue = expects && version === 11 && length !== 0
}

function beginFields(bytes: Buffer, end: number): void {
  text = latin1(bytes, base, end)
  framing.reset()
  connection.reset()
  hosts = 0
  hostAt = -1
  upgrade = ''
  expects = false
  fault = 0
  wire = ''
  runStart = line.plain ? marks[0]! : -1
  parsed.idleMs = -1
}

function methodName(length: number): string {
  if (length === 3 && text.charCodeAt(0) === 71 && text.charCodeAt(1) === 69)
    if (text.charCodeAt(2) === 84) return 'GET'
  return text.substring(0, length)
}

function takeRequestField(bytes: Buffer, i: number, headers: Headers): void {
  const m = i * 4
  const nameStart = marks[m]!
  const nameEnd = marks[m + 1]!
  const start = marks[m + 2]!
  const end = marks[m + 3]!
  const field = fieldOf(bytes, nameStart, nameEnd)
  switch (field) {
    case Field.Other:
      break
    case Field.Host:
      hosts++
      hostAt = headers.names.length
      break
    case Field.Expect:
      if (end - start === 12 && isNamed(bytes, start, '100-continue')) expects = true
      break
    case Field.Te:
      if (end - start > 255) fault = Fault.TeTooLong
      takeTe(i, headers)
      return
    case Field.Upgrade:
      upgrade += `${text.substring(start - base, end - base)},`
      endRun(i)
      return
    default:
      takeHopField(field, bytes, start, end)
      endRun(i)
      return
  }
  const value =
    field === Field.Host
      ? hostNames.take(bytes, start, end)
      : text.substring(start - base, end - base)
  headers.received(names.take(bytes, nameStart, nameEnd), value)
}

/** RFC 9110 10.1.4: of TE only `trailers` may go on. */
function takeTe(i: number, headers: Headers): void {
  const m = i * 4
  const value = text.substring(marks[m + 2]! - base, marks[m + 3]! - base)
  if (value === 'trailers') {
    headers.received(text.substring(marks[m]! - base, marks[m + 1]! - base), value)
    return
  }
  if (acceptsTrailers(value)) {
    // The line changes, so the wire text cannot stand for it.
    runStart = -1
    headers.received('te', 'trailers')
  } else endRun(i)
}

/** Field i does not go on: the lines before it do, if they may. */
function endRun(i: number): void {
  if (runStart < 0) return
  wire += text.substring(runStart - base, marks[i * 4]! - base)
  runStart = marks[i * 4 + 4]!
}

/** Remembers the lines taken, unless one of them is not plain or was changed. */
function keepWire(headers: Headers, fields: number): void {
  if (runStart < 0) return
  headers.wire = wire + text.substring(runStart - base, marks[fields * 4]! - base)
  headers.wireFields = headers.length
}

/** Fields that never go on. */
function takeHopField(field: Field, bytes: Buffer, start: number, end: number): void {
  switch (field) {
    case Field.ContentLength:
      framing.addLength(bytes, start, end)
      return
    case Field.TransferEncoding:
      framing.addEncoding(bytes, start, end)
      return
    case Field.Connection:
      connection.read(text.substring(start - base, end - base))
      return
    default:
      return
  }
}

function persists(version: HttpVersion): boolean {
  return !connection.close && (version === 11 || connection.keepAlive)
}

function removeAsked(headers: Headers, nominated: readonly string[]): void {
  if (nominated.some(mustNotNominate)) fault = Fault.ConnectionList
  else removeNominated(headers, nominated)
  hostAt = headers.indexOf('host')
}

/** RFC 9112 3.2: exactly one Host, and the authority of the target wins over it. */
function setAuthority(head: RequestHead): void {
  const targetFault = readTarget(head)
  head.wireTarget = head.target
  if (fault !== 0) return
  if (hosts === 0) {
    if (head.version === 11) fault = Fault.HostMissing
  } else if (hosts > 1) fault = Fault.HostRepeated
  else if (!isAuthority(head.headers.values[hostAt]!)) fault = Fault.HostInvalid
  if (fault !== 0) return
  if (targetFault !== 0) fault = targetFault
  else if (head.authority === '') head.authority = hosts === 0 ? '' : head.headers.values[hostAt]!
  else if (hosts === 1) head.headers.set('host', head.authority)
}

/** Reads the reply head at `start`; returns as parseRequestHead does. */
export function parseReplyHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  asked: Asked,
): number {
  const stop = Math.min(end, start + limits.headBytes)
  base = start
  let at = scanStatusLine(bytes, start, stop)
  if (at >= 0) at = scanFields(bytes, at, stop, limits.fields)
  if (at < 0) return at === incomplete && stop < end ? Fault.HeadTooLarge : at
  buildReply(bytes, at, asked)
  return fault === 0 ? at : fault
}

function buildReply(bytes: Buffer, end: number, asked: Asked): void {
  beginFields(bytes, end)
  const { status, reasonStart, reasonEnd, version, fields } = line
  const headers = new Headers()
  const reason =
    reasonEnd - reasonStart === 2 ? 'OK' : text.substring(reasonStart - base, reasonEnd - base)
  parsed.reply = new ResponseHead(status, reason, version, headers)
  const bodiless = status === 304 || asked.method === 'HEAD'
  if (bodiless) runStart = -1
  for (let i = 0; i < fields; i++) takeReplyField(bytes, i, headers, bodiless)
  keepWire(headers, fields)
  if (connection.nominated !== undefined) removeNominated(headers, connection.nominated)
  const length = framing.replyLength(asked.method, status, version, asked.upgrading)
  if (length < BodyKind.Tunnel) fault = length as Fault
  parsed.length = length
  parsed.untilClose = length === BodyKind.Unknown && framing.encodings === 0
  const doubtful = framing.encodings > 0 && (framing.lengths > 0 || !framing.chunked)
  parsed.persistent = persists(version) && !parsed.untilClose && !doubtful
}

function takeReplyField(bytes: Buffer, i: number, headers: Headers, bodiless: boolean): void {
  const m = i * 4
  const nameStart = marks[m]!
  const nameEnd = marks[m + 1]!
  const start = marks[m + 2]!
  const end = marks[m + 3]!
  const field = fieldOf(bytes, nameStart, nameEnd)
  switch (field) {
    case Field.ContentLength:
      framing.addLength(bytes, start, end)
      if (bodiless) break
      endRun(i)
      return
    case Field.KeepAlive:
      parsed.idleMs = keepAliveTimeoutMs(text.substring(start - base, end - base))
      endRun(i)
      return
    case Field.TransferEncoding:
    case Field.Connection:
      takeHopField(field, bytes, start, end)
      endRun(i)
      return
    case Field.Upgrade:
    case Field.ProxyConnection:
      endRun(i)
      return
    default:
      break
  }
  headers.received(names.take(bytes, nameStart, nameEnd), text.substring(start - base, end - base))
}

/** Reads a trailer section; `parsed.trailers` is undefined when none of it may go on. */
export function parseTrailers(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): number {
  parsed.trailers = undefined
  const stop = Math.min(end, start + limits.headBytes)
  const at = scanFields(bytes, start, stop, limits.fields)
  if (at === Fault.TooManyHeaders) return Fault.TooManyTrailers
  if (at < 0) return at === incomplete && stop < end ? Fault.TrailersTooLarge : at
  if (line.fields === 0) return at
  const trailers = new Headers()
  for (let m = 0; m < line.fields * 4; m += 4) {
    const name = latin1(bytes, marks[m]!, marks[m + 1]!)
    if (mayBeTrailer(name)) trailers.append(name, latin1(bytes, marks[m + 2]!, marks[m + 3]!))
  }
  if (trailers.length > 0) parsed.trailers = trailers
  return at
}
