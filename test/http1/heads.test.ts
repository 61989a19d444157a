import t from 'tap'
import { RequestHead, ResponseHead } from '../../proxy/http/head.ts'
import type { Headers } from '../../proxy/http/headers.ts'
import { Field, fieldOf, isFramingField } from '../../proxy/http1/fields.ts'
import { parsed, parseReplyHead, parseRequestHead } from '../../proxy/http1/parse-head.ts'
import { isAuthority } from '../../proxy/http1/target.ts'
import { replyText, requestText, safeTarget, trailerText } from '../../proxy/http1/write-head.ts'
import { headersOf, lines } from '../support/recorders.ts'

const limits = { headBytes: 60 * 1024, fields: 100 }
const asked = { method: 'GET', upgrading: false }

function readRequest(text: string): RequestHead {
  const bytes = Buffer.from(text, 'latin1')
  t.equal(parseRequestHead(bytes, 0, bytes.length, limits), bytes.length)
  return parsed.request!
}

/** The same head without what it remembers of its lines. */
function forgetful(headers: Headers): Headers {
  return headersOf(...lines(headers))
}

const requests: Array<[received: string, sent: string]> = [
  ['GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n\r\n'],
  [
    'GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\nA: 1\r\nUpgrade: h2c\r\nKeep-Alive: 1\r\nB: \xfc\r\nContent-Length: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: \xfc\r\n\r\n',
  ],
  [
    'GET / HTTP/1.1\r\nA:1\r\nB:\t2 \r\nHost: x\r\nEmpty:\r\nBlank: \r\n\r\n',
    'GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nHost: x\r\nEmpty: \r\nBlank: \r\n\r\n',
  ],
  [
    'GET http://a:1/b HTTP/1.1\r\nX: 1\r\nHost: x\r\nTE: trailers\r\n\r\n',
    'GET /b HTTP/1.1\r\nX: 1\r\nHost: a:1\r\nTE: trailers\r\n\r\n',
  ],
  [
    'GET / HTTP/1.1\r\nTE: gzip, trailers\r\nHost: x\r\nTE: gzip\r\n\r\n',
    'GET / HTTP/1.1\r\nte: trailers\r\nHost: x\r\n\r\n',
  ],
  [
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: x-a\r\nX-A: 1\r\nX-B: 2\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nX-B: 2\r\n\r\n',
  ],
  ['GET / HTTP/1.0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: \r\n\r\n'],
]

for (const [received, sent] of requests)
  t.test(`what is sent on of ${JSON.stringify(received)}`, async (t) => {
    const head = readRequest(received)
    t.equal(requestText(head, ''), sent)
    const plain = new RequestHead(head.method, head.target, 11, forgetful(head.headers))
    plain.authority = head.authority
    t.equal(requestText(plain, ''), sent, 'as without the remembered lines')
    head.headers.append('Last', '1')
    head.headers.remove('a')
    t.match(requestText(head, ''), /\r\nLast: 1\r\n\r\n$/)
    t.notMatch(requestText(head, ''), /\r\nA: /)
  })

t.test('a head changed after it was read is sent as changed', async (t) => {
  const head = readRequest('GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n')
  head.setAuthority('other:80')
  head.target = '/new'
  head.headers.set('A', '9')
  t.equal(requestText(head, ''), 'GET /new HTTP/1.1\r\nHost: other:80\r\nA: 9\r\nB: 2\r\n\r\n')
})

t.test('a reply is sent on as it came, without the fields of its hop', async (t) => {
  const text =
    'HTTP/1.1 200 Fine\r\nA: 1\r\nContent-Length: 2\r\nConnection: close\r\nProxy-Connection: x\r\nB: 2\r\nTransfer-Encoding: chunked\r\n\r\n'
  const bytes = Buffer.from(text, 'latin1')
  t.equal(parseReplyHead(bytes, 0, bytes.length, limits, asked), bytes.length)
  t.equal(replyText(parsed.reply!, '', false), 'HTTP/1.1 200 Fine\r\nA: 1\r\nB: 2\r\n\r\n')
})

t.test('the length of a reply to HEAD is kept only as long as it is one', async (t) => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 7\r\nA: 1\r\n\r\n')
  parseReplyHead(bytes, 0, bytes.length, limits, { method: 'HEAD', upgrading: false })
  const head = parsed.reply!
  t.equal(replyText(head, '', true), 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nA: 1\r\n\r\n')
  t.equal(replyText(head, '', false), 'HTTP/1.1 200 OK\r\nA: 1\r\n\r\n')
})

t.test('framing fields put into a head by anybody are not sent', async (t) => {
  const fields = [
    'Content-Length: 1',
    'TRANSFER-ENCODING: x',
    'connection: y',
    'Keep-Alive: z',
    'upgrade: q',
    'Proxy-Connection: p',
  ]
  const request = new RequestHead('GET', '/', 11, headersOf('Host: x', ...fields))
  t.equal(requestText(request, ''), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const reply = new ResponseHead(599, '', 11, headersOf(...fields))
  t.equal(replyText(reply, '', false), 'HTTP/1.1 599 \r\n\r\n')
})

t.test('a reason or target made of anything cannot break its line', async (t) => {
  t.equal(
    replyText(new ResponseHead(200, 'a\r\nb: \u010a'), '', false),
    'HTTP/1.1 200 a  b: \xc4\x8a\r\n\r\n',
  )
  t.equal(safeTarget('/a b\r\n\u00e9"|'), '/a%20b%0D%0A%C3%A9"|')
  t.equal(safeTarget(''), '/')
  t.equal(safeTarget('/plain?x=%20'), '/plain?x=%20')
})

t.test('trailers that may not be sent are left out', async (t) => {
  t.equal(trailerText(headersOf('x: 1', 'Content-Length: 2', 'y: 2')), '0\r\nx: 1\r\ny: 2\r\n\r\n')
})

t.test('known fields are told apart in any case, and nothing else is taken for one', async (t) => {
  const known: Array<[name: string, field: Field]> = [
    ['host', Field.Host],
    ['content-length', Field.ContentLength],
    ['transfer-encoding', Field.TransferEncoding],
    ['connection', Field.Connection],
    ['keep-alive', Field.KeepAlive],
    ['proxy-connection', Field.ProxyConnection],
    ['upgrade', Field.Upgrade],
    ['te', Field.Te],
    ['expect', Field.Expect],
    ['http2-settings', Field.Http2Settings],
  ]
  const of = (name: string): Field => fieldOf(Buffer.from(name), 0, name.length)
  for (const [name, field] of known) {
    t.equal(of(name), field, name)
    t.equal(of(name.toUpperCase()), field, name)
    for (let i = 0; i < name.length; i++)
      t.equal(of(`${name.slice(0, i)}!${name.slice(i + 1)}`), Field.Other)
    t.equal(of(`${name}s`), Field.Other)
    // `-` with the case bit is a CR: letters only may differ in case.
    if (name.includes('-')) t.equal(of(name.replace('-', '\r')), Field.Other)
  }
  for (const name of [
    'Upgrade',
    'CONNECTION',
    'keep-alive',
    'Content-Length',
    'proxy-connection',
    'transfer-Encoding',
  ])
    t.ok(isFramingField(name, false), name)
  t.notOk(isFramingField('content-length', true))
  for (const name of ['content-typeee', 'x', 'te', 'upgrad3', 'connectiom'])
    t.notOk(isFramingField(name, false))
})

t.test('authorities', async (t) => {
  for (const good of [
    'a',
    'a:80',
    'A-b_c.d:',
    '1.2.3.4:65535',
    '[::1]',
    '[fe80::1%25eth0]:80',
    '[::ffff:1.2.3.4]',
    'a%20b',
  ])
    t.ok(isAuthority(good), good)
  for (const bad of [
    '',
    ':80',
    'a b',
    'a/b',
    'a@b',
    'a:b',
    'a:123456',
    '::1',
    '[::1',
    '[]',
    '[x]',
    '[::1]x',
    '[1.2]',
    'a,b:c',
    '\u00e9',
    'a\\b',
  ])
    t.notOk(isAuthority(bad), bad)
})
