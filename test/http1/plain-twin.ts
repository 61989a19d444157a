/**
 * HTTP/1.x read the plain way: the whole input at once, as text, with one regular expression per line and
 * nothing shared with proxy/http1. Slow and obvious; fuzz.test.ts holds the codecs against it.
 */

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const value = '[\\t\\x20-\\x7e\\x80-\\xff]*'
const fieldLine = new RegExp(`^(${token}):[ \\t]*(${value}?)[ \\t]*\\r\\n$`)
const requestLine = new RegExp(`^(${token}) ([\\x21-\\x7e]+) HTTP/1\\.([0-9])\\r\\n$`)
const otherVersion = new RegExp(`^${token} [\\x21-\\x7e]+ HTTP/[02-9]\\.[0-9]`)
const statusLine = new RegExp(`^HTTP/1\\.([0-9]) ([1-9][0-9][0-9])(?: (${value}))?\\r\\n$`)
const chunkLine = new RegExp(`^([0-9A-Fa-f]+)(?:[ \\t]*;${value})?\\r\\n$`)

/** Cannot be right, whatever follows. */
class Wrong extends Error {
  readonly status: number
  constructor(status: number) {
    super()
    this.status = status
  }
}
/** May be right, if more follows. */
class Short extends Error {}

type Field = readonly [name: string, value: string]

/** Text with a place in it. */
class Reader {
  at = 0
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  get rest(): string {
    return this.text.slice(this.at)
  }
  /** The next line with its LF, or what there is of it. */
  line(): { text: string; whole: boolean } {
    const end = this.text.indexOf('\n', this.at)
    const text = end < 0 ? this.rest : this.text.slice(this.at, end + 1)
    this.at += text.length
    return { text, whole: end >= 0 }
  }
  /** Exactly `count` characters. */
  take(count: number): string {
    if (this.text.length - this.at < count) throw new Short()
    this.at += count
    return this.text.slice(this.at - count, this.at)
  }
}

/** Up to and with the empty line; at most `limit` fields and `bytes` bytes, counted from `start`. */
function readFields(reader: Reader, start: number, limit: number, bytes: number): Field[] {
  const fields: Field[] = []
  for (;;) {
    const { text, whole } = reader.line()
    const tooLong = reader.at - start > bytes
    const inside = tooLong ? text.slice(0, bytes - (reader.at - text.length - start)) : text
    if (text === '\r\n' && !tooLong) return fields
    if (fields.length === limit && new RegExp(`^${token}:`).test(inside)) throw new Wrong(431)
    if (tooLong) throw new Wrong(couldBecomeField(inside) ? 431 : 400)
    if (!whole) {
      if (couldBecomeField(text)) throw new Short()
      throw new Wrong(400)
    }
    const match = fieldLine.exec(text)
    if (match === null) throw new Wrong(400)
    fields.push([match[1]!, match[2]!])
  }
}

function couldBecomeField(text: string): boolean {
  return new RegExp(`^(?:|\\r|${token}|${token}:${value}\\r?)$`).test(text)
}

function valuesOf(fields: readonly Field[], name: string): string[] {
  return fields.filter((field) => field[0].toLowerCase() === name).map((field) => field[1])
}

const plainLength = /^[0-9]+$/

function lengthOf(lengths: readonly string[], status: number): number {
  if (lengths.length > 1 || !plainLength.test(lengths[0]!)) throw new Wrong(status)
  if (Number(lengths[0]) > Number.MAX_SAFE_INTEGER) throw new Wrong(status)
  return Number(lengths[0])
}

const neverTrailer =
  /^(age|authorization|cache-control|connection|content-(encoding|length|location|range|type)|cookie|date|expect|expires|forwarded|host|if-.*|keep-alive|location|max-forwards|pragma|proxy-.*|range|retry-after|set-cookie|te|trailer|transfer-encoding|upgrade|vary|via|warning|www-authenticate|http2-settings|x-forwarded-.*|x-envoy-.*)$/i

/** A chunked body: its data and the trailers that may go on. */
function readChunks(reader: Reader, headBytes: number): { data: string; trailers: Field[] } {
  let data = ''
  for (;;) {
    const { text, whole } = reader.line()
    if (!whole) {
      if (
        /^(?:[0-9A-Fa-f]*|[0-9A-Fa-f]+[ \t]+|[0-9A-Fa-f]+[ \t]*;[\t\x20-\x7e\x80-\xff]*)$/.test(
          text,
        )
      )
        throw new Short()
      if (/^(?:[0-9A-Fa-f]+|[0-9A-Fa-f]+[ \t]*;[\t\x20-\x7e\x80-\xff]*)\r$/.test(text))
        throw new Short()
      throw new Wrong(400)
    }
    const match = chunkLine.exec(text)
    if (match === null) throw new Wrong(400)
    const size = Number.parseInt(match[1]!, 16)
    if (size > Number.MAX_SAFE_INTEGER) throw new Wrong(400)
    if (size === 0) break
    data += reader.take(size)
    const end = reader.rest.slice(0, 2)
    if (end === '' || end === '\r') throw new Short()
    if (end !== '\r\n') throw new Wrong(400)
    reader.take(2)
  }
  const trailers = readFields(reader, reader.at, 100, headBytes)
  return { data, trailers: trailers.filter(([name]) => !neverTrailer.test(name)) }
}

interface Options {
  close: boolean
  keepAlive: boolean
  upgrade: boolean
  count: number
  nominated: string[]
}

function connectionOptions(fields: readonly Field[]): Options {
  const options = valuesOf(fields, 'connection')
    .flatMap((text) => text.split(','))
    .map((option) => option.trim().toLowerCase())
    .filter((option) => option !== '')
  const known =
    /^(close|keep-alive|upgrade|te|http2-settings|proxy-connection|transfer-encoding|content-length)$/
  return {
    close: options.includes('close'),
    keepAlive: options.includes('keep-alive'),
    upgrade: options.includes('upgrade'),
    count: options.length,
    nominated: options.filter((option) => !known.test(option)),
  }
}

const host =
  "(?:\\[[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*(?:%[!#$%&'*+\\-.^_`|~0-9A-Za-z]+)?\\]|[-._~%!$&'()*+,;=0-9A-Za-z]+)"
const authority = new RegExp(`^${host}(?::[0-9]{0,5})?$`)
const authorityWithPort = new RegExp(`^${host}:[0-9]{1,5}$`)

const hopFields =
  /^(connection|content-length|transfer-encoding|keep-alive|proxy-connection|upgrade|http2-settings)$/

function endToEnd(fields: readonly Field[], nominated: readonly string[]): Field[] {
  const kept: Field[] = []
  for (const [name, text] of fields) {
    const lower = name.toLowerCase()
    if (hopFields.test(lower) || nominated.includes(lower)) continue
    if (lower !== 'te') kept.push([name, text])
    else if (/(^|,)\s*trailers\s*(;|,|$)/i.test(text))
      kept.push([text === 'trailers' ? name : 'te', 'trailers'])
  }
  return kept
}

function show(fields: readonly Field[]): string {
  return fields.map(([name, text]) => `${name}: ${text}`).join('|')
}

/** What a server makes of `text` followed by FIN, when it answers every complete request. */
export function plainRequests(text: string, headBytes: number): string[] {
  const reader = new Reader(text)
  const seen: string[] = []
  try {
    while (reader.rest !== '') {
      if (reader.rest === '\r') throw new Short()
      if (reader.rest.startsWith('\r\n')) reader.take(2)
      if (reader.rest === '') break
      if (!readRequest(reader, seen, headBytes)) break
    }
    seen.push('closed')
  } catch (error) {
    if (error instanceof Wrong) seen.push(`refused ${error.status}`)
    else if (error instanceof Short)
      seen.push(`short ${seen.at(-1)?.startsWith('body of') ? 'body' : 'head'}`)
    else throw error
  }
  return seen
}

function readRequestLine(reader: Reader, headBytes: number): RegExpExecArray {
  const { text, whole } = reader.line()
  const inside = text.slice(0, headBytes)
  const match = whole && text.length <= headBytes ? requestLine.exec(text) : null
  if (match !== null) return match
  if (otherVersion.test(inside)) throw new Wrong(505)
  const target = '[\\x21-\\x7e]'
  const begun = new RegExp(
    `^(?:|${token}|${token} ${target}*|${token} ${target}+ (?:|H|HT|HTT|HTTP|HTTP/|HTTP/[0-9]|HTTP/[0-9]\\.|HTTP/1\\.[0-9]\\r?))$`,
  )
  if (!begun.test(inside)) throw new Wrong(400)
  if (text.length > headBytes) throw new Wrong(414)
  throw new Short()
}

/** False: the connection is not used any further. */
function readRequest(reader: Reader, seen: string[], headBytes: number): boolean {
  const start = reader.at
  const [, method, target, minor] = readRequestLine(reader, headBytes)
  const fields = readFields(reader, start, 100, headBytes)
  const old = minor === '0'
  const options = connectionOptions(fields)
  if (options.count >= 10) throw new Wrong(400)
  if (
    options.nominated.some((name) => /^(host|forwarded|:.*|x-forwarded-.*|x-envoy-.*)$/.test(name))
  )
    throw new Wrong(400)
  if (valuesOf(fields, 'te').some((te) => te.length > 255)) throw new Wrong(400)
  const kept = endToEnd(fields, options.nominated)
  const where = locate(method!, target!, old, valuesOf(fields, 'host'))
  const length = requestLength(method!, old, fields)
  const upgrade =
    method === 'GET' && !old && options.upgrade && length === 0
      ? (valuesOf(fields, 'upgrade')
          .join(',')
          .split(',')
          .map((name) => name.trim().toLowerCase())
          .find((name) => name !== '' && name !== 'h2c' && name !== 'h2') ?? '')
      : ''
  const shown = kept.map(
    ([name, text]): Field =>
      name.toLowerCase() === 'host' && where.authority !== ''
        ? [name, where.authority]
        : [name, text],
  )
  seen.push(
    `${method} ${where.target} 1${old ? 0 : 1} ${where.authority} [${show(shown)}] ${upgrade}`,
  )
  if (length !== 0) {
    seen.push(`body of ${length}`)
    const body =
      length < 0 ? readChunks(reader, headBytes) : { data: reader.take(length), trailers: [] }
    seen.push(`body ${JSON.stringify(body.data)} [${show(body.trailers)}]`)
  }
  const lives = !options.close && (!old || options.keepAlive)
  // Nobody named the request on its way: it is refused, and nothing behind it is served.
  const named = where.authority !== ''
  return lives && named && upgrade === '' && method !== 'CONNECT'
}

/** Target and authority as forwarded. */
function locate(
  method: string,
  target: string,
  old: boolean,
  hosts: readonly string[],
): { target: string; authority: string } {
  if (hosts.length > 1 || (hosts.length === 0 && !old)) throw new Wrong(400)
  if (hosts.length === 1 && !authority.test(hosts[0]!)) throw new Wrong(400)
  if (method === 'CONNECT') {
    if (!authorityWithPort.test(target)) throw new Wrong(400)
    return { target, authority: target }
  }
  if (target.startsWith('/') || (target === '*' && method === 'OPTIONS'))
    return { target, authority: hosts[0] ?? '' }
  const match = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target)
  if (match === null || !authority.test(match[1]!)) throw new Wrong(400)
  const rest = match[2]!
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority: match[1]! }
}

/** -1: chunked. */
function requestLength(method: string, old: boolean, fields: readonly Field[]): number {
  const lengths = valuesOf(fields, 'content-length')
  const encodings = valuesOf(fields, 'transfer-encoding')
  if (lengths.length > 0 && encodings.length > 0) throw new Wrong(400)
  if (encodings.length > 0) {
    if (old) throw new Wrong(400)
    if (encodings.length > 1 || encodings[0]!.toLowerCase() !== 'chunked') throw new Wrong(501)
    if (method === 'CONNECT') throw new Wrong(400)
    return -1
  }
  const length = lengths.length === 0 ? 0 : lengthOf(lengths, 400)
  if (method === 'CONNECT' && length > 0) throw new Wrong(400)
  return length
}

/** What a client makes of `text` followed by FIN, for one request with `method`. */
export function plainReplies(text: string, method: string, headBytes: number): string[] {
  const reader = new Reader(text)
  const seen: string[] = []
  try {
    for (;;) if (readReply(reader, method, seen, headBytes)) break
    seen.push('end')
  } catch (error) {
    if (error instanceof Wrong) seen.push('wrong')
    else if (error instanceof Short) seen.push('short')
    else throw error
  }
  return seen
}

function readStatusLine(reader: Reader, headBytes: number): RegExpExecArray {
  const { text, whole } = reader.line()
  const inside = text.slice(0, headBytes)
  const match = whole && text.length <= headBytes ? statusLine.exec(text) : null
  if (match !== null) return match
  const begun = new RegExp(
    `^(?:|H|HT|HTT|HTTP|HTTP/|HTTP/[0-9]|HTTP/[0-9]\\.|HTTP/1\\.[0-9](?:| |( [0-9]{1,2})|( [1-9][0-9][0-9](?: ${value})?\\r?)))$`,
  )
  if (begun.test(inside) && text.length <= headBytes && !whole) throw new Short()
  throw new Wrong(502)
}

/** True once it was the final one. */
function readReply(reader: Reader, method: string, seen: string[], headBytes: number): boolean {
  const start = reader.at
  const [, minor, digits] = readStatusLine(reader, headBytes)
  const status = Number(digits)
  const fields = readFields(reader, start, 100, headBytes)
  const lengths = valuesOf(fields, 'content-length')
  const encodings = valuesOf(fields, 'transfer-encoding')
  const { nominated } = connectionOptions(fields)
  const bodiless = method === 'HEAD' || status === 304
  const kept = fields.filter(([name]) => {
    const lower = name.toLowerCase()
    if (lower === 'content-length') return bodiless && !nominated.includes(lower)
    return !nominated.includes(lower) && (!hopFields.test(lower) || lower === 'http2-settings')
  })
  if (status < 200 || status === 204) {
    if (encodings.length > 0 || lengths.length > 1) throw new Wrong(502)
    if (lengths.length === 1 && lengthOf(lengths, 502) > 0) throw new Wrong(502)
    if (status === 101) throw new Wrong(502)
  }
  if (status < 200) {
    seen.push(`inform ${status} [${show(kept)}]`)
    if (seen.length > 100) throw new Wrong(502)
    return false
  }
  const length =
    lengths.length === 0 || (encodings.length > 0 && !bodiless) ? 0 : lengthOf(lengths, 502)
  const chunked = status !== 204 && !bodiless && encodings.length > 0
  if (chunked) {
    if (minor === '0') throw new Wrong(502)
    if (encodings.length > 1 || encodings[0]!.toLowerCase() !== 'chunked') throw new Wrong(502)
  }
  seen.push(`reply ${status} [${show(kept)}]`)
  if (status === 204 || bodiless) return true
  if (chunked) {
    const { data, trailers } = readChunks(reader, headBytes)
    seen.push(`body ${JSON.stringify(data)} [${show(trailers)}]`)
  } else {
    const data = lengths.length > 0 ? reader.take(length) : reader.rest
    seen.push(`body ${JSON.stringify(data)} []`)
  }
  return true
}
