import t, { type Test } from 'tap'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { RecordingServer } from '../support/recorders.ts'

const post = 'POST / HTTP/1.1\r\nHost: x\r\n'
const get = 'GET / HTTP/1.1\r\nHost: x\r\n'

/** What is refused, with which status and reason. */
const table: Array<[name: string, bytes: string, status: number, reason: string]> = [
  [
    'Content-Length with Transfer-Encoding',
    `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'http1.content_length_and_chunked_not_allowed',
  ],
  [
    'a Content-Length list',
    `${post}Content-Length: 5, 5\r\n\r\nhello`,
    400,
    'http1.invalid_content_length',
  ],
  [
    'two equal Content-Lengths',
    `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    400,
    'http1.repeated_content_length',
  ],
  [
    'a signed Content-Length',
    `${post}Content-Length: +5\r\n\r\nhello`,
    400,
    'http1.invalid_content_length',
  ],
  [
    'a hexadecimal Content-Length',
    `${post}Content-Length: 0x5\r\n\r\nhello`,
    400,
    'http1.invalid_content_length',
  ],
  [
    'an empty Content-Length',
    `${post}Content-Length:\r\n\r\n`,
    400,
    'http1.invalid_content_length',
  ],
  [
    'an absurd Content-Length',
    `${post}Content-Length: 9223372036854775808\r\n\r\n`,
    400,
    'http1.invalid_content_length',
  ],
  [
    'gzip before chunked',
    `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    501,
    'http1.invalid_transfer_encoding',
  ],
  [
    'identity',
    `${post}Transfer-Encoding: identity\r\n\r\n`,
    501,
    'http1.invalid_transfer_encoding',
  ],
  [
    'chunked twice',
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    501,
    'http1.invalid_transfer_encoding',
  ],
  [
    'xchunked',
    `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    501,
    'http1.invalid_transfer_encoding',
  ],
  [
    'chunked in HTTP/1.0',
    'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'http1.transfer_encoding_in_http10',
  ],
  [
    'a space before the colon',
    `${post}Transfer-Encoding : chunked\r\n\r\n`,
    400,
    'http1.space_before_colon',
  ],
  ['a folded line', `${get}X-A: 1\r\n 2\r\n\r\n`, 400, 'http1.folded_header'],
  ['a line without colon', `${get}nonsense\r\n\r\n`, 400, 'http1.missing_colon'],
  ['an empty name', `${get}: 1\r\n\r\n`, 400, 'http1.invalid_header_name'],
  ['a name with a slash', `${get}a/b: 1\r\n\r\n`, 400, 'http1.invalid_header_name'],
  ['NUL in a value', `${get}X-A: a\0b\r\n\r\n`, 400, 'http1.invalid_characters'],
  ['DEL in a value', `${get}X-A: a\x7fb\r\n\r\n`, 400, 'http1.invalid_characters'],
  ['a bare LF behind a line', `${get}X-A: 1\nX-B: 2\r\n\r\n`, 400, 'http1.bare_line_feed'],
  [
    'a bare LF behind the request line',
    'GET / HTTP/1.1\nHost: x\r\n\r\n',
    400,
    'http1.bare_line_feed',
  ],
  ['a bare LF as empty line', `${get}\n`, 400, 'http1.bare_line_feed'],
  ['a bare CR in a value', `${get}X-A: 1\rX-B: 2\r\n\r\n`, 400, 'http1.bare_carriage_return'],
  ['HTTP/0.9', 'GET /\r\n', 400, 'http1.invalid_request_line'],
  ['no version', 'GET / \r\n\r\n', 400, 'http1.invalid_request_line'],
  ['two spaces', 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_request_line'],
  [
    'a space in the target',
    'GET /a b HTTP/1.1\r\nHost: x\r\n\r\n',
    400,
    'http1.invalid_request_line',
  ],
  [
    'a control byte in the target',
    'GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n',
    400,
    'http1.invalid_url',
  ],
  ['a raw UTF-8 target', 'GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_url'],
  ['a relative target', 'GET a/b HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_url'],
  ['an asterisk for GET', 'GET * HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_url'],
  ['CONNECT without port', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.invalid_url'],
  [
    'CONNECT with a body',
    'CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    400,
    'http1.connect_with_body',
  ],
  ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'http1.invalid_url'],
  [
    'userinfo in an absolute target',
    'GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n',
    400,
    'http1.invalid_host',
  ],
  ['a method with a colon', 'GE:T / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_method'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01', 400, 'http1.invalid_method'],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n', 505, 'http1.unsupported_version'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'http1.unsupported_version'],
  ['HTTP/0.9 spelt out', 'GET / HTTP/0.9\r\nHost: x\r\n\r\n', 505, 'http1.unsupported_version'],
  ['a lower-case protocol', 'GET / http/1.1\r\nHost: x\r\n\r\n', 400, 'http1.invalid_request_line'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'missing_host_header'],
  [
    'no Host though the target is absolute',
    'GET http://a/ HTTP/1.1\r\n\r\n',
    400,
    'missing_host_header',
  ],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400, 'http1.repeated_host'],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400, 'http1.invalid_host'],
  ['a Host with userinfo', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', 400, 'http1.invalid_host'],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400, 'http1.invalid_host'],
  ['a Host with a bad port', 'GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n', 400, 'http1.invalid_host'],
  ['a bare IPv6 Host', 'GET / HTTP/1.1\r\nHost: ::1\r\n\r\n', 400, 'http1.invalid_host'],
  [
    'removing x-forwarded-for',
    `${get}Connection: X-Forwarded-For\r\n\r\n`,
    400,
    'http1.connection_header_rejected',
  ],
  [
    'removing Host',
    `${get}Connection: close, host\r\n\r\n`,
    400,
    'http1.connection_header_rejected',
  ],
  [
    'ten connection options',
    `${get}Connection: a,b,c,d,e,f,g,h,i,j\r\n\r\n`,
    400,
    'http1.connection_header_rejected',
  ],
  [
    'a TE of 256 bytes',
    `${get}TE: ${'x'.repeat(256)}\r\n\r\n`,
    400,
    'http1.connection_header_rejected',
  ],
  ['101 headers', `${get}${'a: 1\r\n'.repeat(100)}\r\n`, 431, 'http1.too_many_headers'],
  [
    'a header of 61 KiB',
    `${get}a: ${'x'.repeat(61 * 1024)}\r\n\r\n`,
    431,
    'http1.headers_too_large',
  ],
  [
    'a request line of 70 KiB',
    `GET /${'x'.repeat(70 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    414,
    'http1.uri_too_long',
  ],
]

function refusalOf(
  t: Test,
  pieces: string[],
): { written: string; refused: RecordingServer['refused'] } {
  const connection = new FakeConnection()
  const server = new RecordingServer()
  new Http1ServerCodec(connection, server).start()
  connection.deliver(...pieces)
  // Some are faulty before they are complete, some only because nothing follows.
  if (!connection.closing) connection.deliverEnd()
  const { written } = connection
  connection.deliver('GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n').deliverClose()
  t.strictSame(server.served, [], 'no request came of it')
  t.equal(server.closed, 1)
  return { written, refused: server.refused }
}

for (const [name, bytes, status, reason] of table)
  t.test(`${name} is refused with ${status}`, async (t) => {
    const step = bytes.length > 2000 ? 7919 : 1
    for (let cut = 0; cut < bytes.length; cut += step) {
      const { written, refused } = refusalOf(t, [bytes.slice(0, cut), bytes.slice(cut)])
      t.equal(refused.length, 1, 'told exactly once')
      t.equal(refused[0]?.status, status)
      t.equal(refused[0]?.error.detail, reason, `cut at ${cut}`)
      t.equal(refused[0]?.error.side, 'downstream')
      t.ok(written.startsWith(`HTTP/1.1 ${status} `), written)
      t.match(written, `x-outrider-reason: ${reason}\r\nconnection: close\r\n\r\n`)
      const [head, body] = written.split('\r\n\r\n')
      t.match(head, `content-type: text/plain\r\ncontent-length: ${body?.length}\r\n`)
      t.match(head, /\r\ndate: \w{3}, .* GMT\r\n/, 'RFC 9110 6.6.1: 4xx have a Date')
      t.match(body, /^[A-Z][A-Za-z ]+\n\n[A-Z].*[.]\n$/, 'the phrase, then one plain sentence')
    }
  })

t.test('what was understood of a refused head is told', async (t) => {
  const { refused } = refusalOf(t, [`${post}X-Request-Id: 7\r\nContent-Length: a\r\n\r\n`])
  t.equal(refused[0]?.head?.method, 'POST')
  t.equal(refused[0]?.head?.headers.get('x-request-id'), '7')
  t.equal(refusalOf(t, ['GET / HTTP/1.1\r\nHo st: x\r\n\r\n']).refused[0]?.head, undefined)
})

t.test('a refused HEAD gets no body', async (t) => {
  const { written } = refusalOf(t, ['HEAD / HTTP/1.1\r\n\r\n'])
  t.match(written, /^HTTP\/1.1 400 [\s\S]*connection: close\r\n\r\n$/)
})

t.test('a head that ends half-way is told', async (t) => {
  const { refused, written } = refusalOf(t, ['GET / HTTP/1.1\r\nHost'])
  t.equal(refused[0]?.error.detail, 'http1.incomplete_head')
  t.match(written, /^HTTP\/1.1 400 /)
})

t.test('a head broken by a reset is logged, though nobody reads an answer', async (t) => {
  const connection = new FakeConnection()
  const server = new RecordingServer()
  new Http1ServerCodec(connection, server).start()
  connection.deliver('GET / HT').deliverClose()
  t.equal(server.refused[0]?.status, 0)
  t.equal(server.closed, 1)
})

t.test('a valid request before the broken one is served first', async (t) => {
  const connection = new FakeConnection()
  const server = new RecordingServer((served) => served.answer('ok'))
  new Http1ServerCodec(connection, server).start()
  connection.deliver(`${get}\r\nBROKEN\r\n\r\n`)
  t.match(connection.written, /^HTTP\/1.1 200 [\s\S]*okHTTP\/1.1 400 /)
  connection.deliverClose()
})

t.test('a head at the limits is taken', async (t) => {
  for (const bytes of [
    `${get}${'a: 1\r\n'.repeat(99)}\r\n`,
    `${get}a: ${'x'.repeat(60 * 1024 - get.length - 7)}\r\n\r\n`,
  ]) {
    const connection = new FakeConnection()
    const server = new RecordingServer()
    new Http1ServerCodec(connection, server).start()
    connection.deliver(bytes)
    t.equal(server.served.length, 1)
    connection.deliverClose()
  }
})

t.test('a head of 60 KiB that comes byte by byte costs what it weighs', async (t) => {
  const connection = new FakeConnection()
  const server = new RecordingServer()
  new Http1ServerCodec(connection, server).start()
  const bytes = Buffer.from(`${get}a: ${'x'.repeat(50_000)}\r\n\r\n`)
  const began = process.cpuUsage()
  for (const byte of bytes) connection.deliver(Buffer.of(byte))
  const { user } = process.cpuUsage(began)
  t.equal(server.served.length, 1)
  t.ok(user < 5_000_000, `a quadratic reader would need minutes, this took ${user} us`)
  connection.deliverClose()
})
