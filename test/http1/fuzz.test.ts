import t from 'tap'
import type { ProxyError } from '../../proxy/base/errors.ts'
import { Random } from '../../proxy/base/random.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Http1ClientCodec } from '../../proxy/http1/client-codec.ts'
import { clientDefaults, serverDefaults } from '../../proxy/http1/options.ts'
import { refusalStatus } from '../../proxy/http1/refusal.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import {
  headersOf,
  lines,
  ReceivedReply,
  RecordingPool,
  RecordingServer,
} from '../support/recorders.ts'
import { plainReplies, plainRequests } from './plain-twin.ts'

const count = Number(process.env['OUTRIDER_FUZZ'] ?? 20_000)
const seed = Number(process.env['OUTRIDER_FUZZ_SEED'] ?? 20_251_121)
t.setTimeout(24 * 3_600_000)
/** Small, so that the limits are met. */
const headBytes = 400

/** The head of a request or reply and its body, as the codec tells them. */
function codecRequests(pieces: string[]): string[] {
  const connection = new FakeConnection()
  const seen: string[] = []
  const server = new RecordingServer((served) => {
    const { head, stream, sink } = served
    const where = `${head.method} ${head.target} ${head.version} ${head.authority}`
    seen.push(`${where} [${lines(head.headers).join('|')}] ${head.upgrade}`)
    if (stream.body.length !== 0) seen.push(`body of ${stream.body.length}`)
    stream.body.flowInto(sink)
    served.onRequestEnd = () => {
      const trailers = sink.trailers === undefined ? '' : lines(sink.trailers).join('|')
      if (stream.body.length !== 0) seen.push(`body ${JSON.stringify(sink.text)} [${trailers}]`)
      served.answer('ok')
    }
    served.onAbort = (error) => {
      seen.push(
        error.code === 'downstream_remote_disconnect'
          ? 'short body'
          : `refused ${refusalStatus(error)}`,
      )
    }
  })
  const limits = { headBytes, fields: 100 }
  new Http1ServerCodec(connection, server, { ...serverDefaults, limits }).start()
  connection.deliver(...pieces).deliverEnd()
  for (const { status, error } of server.refused)
    seen.push(error.detail === 'http1.incomplete_head' ? 'short head' : `refused ${status}`)
  if (!connection.closed) connection.deliverClose()
  if (server.closed !== 1) seen.push(`closed ${server.closed} times`)
  if (!/^(short|refused)/.test(seen.at(-1) ?? '')) seen.push('closed')
  return seen
}

/** A reply that is cut is too short, whatever code its error has. */
function endOf(error: ProxyError | undefined): string {
  if (error?.detail.startsWith('closed_in_') === true) return 'short'
  return error?.code === 'protocol_error' ? 'wrong' : 'short'
}

function codecReplies(pieces: string[], method: string): string[] {
  const connection = new FakeConnection()
  const reply = new ReceivedReply()
  const pool = new RecordingPool()
  const limits = { headBytes, fields: 100 }
  const codec = new Http1ClientCodec(connection, pool, { ...clientDefaults, limits })
  codec.open(new RequestHead(method, '/', 11, headersOf('Host: x')), 0, reply)
  connection.deliver(...pieces).deliverEnd()
  if (!connection.closed) connection.deliverClose()
  const seen = reply.informs.map(
    (head) => `inform ${head.status} [${lines(head.headers).join('|')}]`,
  )
  const { head, sink, error } = reply
  if (head !== undefined) seen.push(`reply ${head.status} [${lines(head.headers).join('|')}]`)
  if (reply.events.at(-1) === 'end') {
    const trailers = sink.trailers === undefined ? '' : lines(sink.trailers).join('|')
    if (method !== 'HEAD' && head?.status !== 304 && head?.status !== 204)
      seen.push(`body ${JSON.stringify(sink.text)} [${trailers}]`)
    seen.push('end')
  } else seen.push(endOf(error))
  const closed = pool.events.filter((event) => event.startsWith('closed')).length
  if (closed !== 1) seen.push(`closed ${closed} times`)
  return seen
}

const requests = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET http://a:80/b?c HTTP/1.1\r\nHost: x\r\nConnection: close, x-a\r\nX-A: 1\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5\r\n\r\nhello',
  'POST /p HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\nHost: y\r\n\r\n',
  'PUT / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc',
  'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\nTE: gzip, trailers\r\n\r\n',
  'GET /w HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n',
]
const replies = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 \r\nLink: a\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-a\r\nX-A: 1\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.0 200\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
  'HTTP/1.1 503 Busy\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n',
]
const pieces = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '\0',
  '\x7f',
  '\x80',
  '\xff',
  '/',
  '*',
  '0',
  '1',
  'f',
  '-',
  '+',
  '"',
  '@',
  '[',
  ']',
  '%',
  '#',
  '?',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Connection: a,b,c,d,e\r\n',
  'Host: y\r\n',
  'Host: \r\n',
  'X: 1\r\n 2\r\n',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'GET / HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  '5\r\nhello\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  'hello',
  'x'.repeat(100),
  'a: 1\r\n'.repeat(30),
  'a:1\r\n'.repeat(101),
  'a: \t1 \t\r\n',
  'Upgrade: foo\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Content-Length: 003\r\n',
]

function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)]!
}

/** One to three messages, bent in up to four places. */
function compose(random: Random, messages: readonly string[]): string {
  let text = ''
  for (let i = random.below(3); i >= 0; i--) text += oneOf(random, messages)
  for (let i = random.below(5); i > 0; i--) {
    const at = random.below(text.length + 1)
    const end = Math.min(text.length, at + random.below(random.below(8) === 0 ? 60 : 4))
    switch (random.below(5)) {
      case 0:
        text = text.slice(0, at) + text.slice(end)
        break
      case 1:
        text = text.slice(0, end) + text.slice(at)
        break
      case 2:
        text = text.slice(0, at) + oneOf(random, pieces) + text.slice(end)
        break
      case 3:
        text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
        break
      default: {
        const line = text.indexOf('\r\n', at)
        if (line >= 0)
          text = `${text.slice(0, line + 2)}${oneOf(random, pieces)}${text.slice(line + 2)}`
      }
    }
  }
  return text
}

/** The text in up to six pieces. */
function cutUp(random: Random, text: string): string[] {
  const cuts = Array.from({ length: random.below(6) }, () => random.below(text.length + 1))
  cuts.sort((a, b) => a - b)
  return [...cuts, text.length].map((cut, i) => text.slice(i === 0 ? 0 : cuts[i - 1], cut))
}

t.test('the server codec reads what its plain twin reads, however it is cut', async (t) => {
  const random = new Random(seed)
  let accepted = 0
  for (let i = 0; i < count; i++) {
    const text = compose(random, requests)
    const expected = plainRequests(text, headBytes)
    if (expected.at(-1) === 'closed') accepted++
    for (const cut of [[text], cutUp(random, text)]) {
      const found = codecRequests(cut)
      if (found.join('\n') === expected.join('\n')) continue
      t.strictSame(found, expected, `case ${i}: ${JSON.stringify(cut)}`)
      return
    }
  }
  t.ok(accepted > count / 20, `${accepted} of ${count} were right`)
  t.ok(accepted < count * 0.8, 'and others were not')
})

t.test('the client codec reads what its plain twin reads, however it is cut', async (t) => {
  const random = new Random(seed + 1)
  let accepted = 0
  for (let i = 0; i < count; i++) {
    const text = compose(random, replies)
    const method = oneOf(random, ['GET', 'HEAD', 'POST'])
    const expected = plainReplies(text, method, headBytes)
    if (expected.at(-1) === 'end') accepted++
    for (const cut of [[text], cutUp(random, text)]) {
      const found = codecReplies(cut, method)
      if (found.join('\n') === expected.join('\n')) continue
      t.strictSame(found, expected, `case ${i}: ${method} ${JSON.stringify(cut)}`)
      return
    }
  }
  t.ok(accepted > count / 20, `${accepted} of ${count} were right`)
  t.ok(accepted < count * 0.8, 'and others were not')
})
