import t from 'tap'
import { BodyKind } from '../../proxy/http/body.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Http1ClientCodec } from '../../proxy/http1/client-codec.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { givenUp, headersOf, lines, ReceivedReply, RecordingPool } from '../support/recorders.ts'

function rig(): { connection: FakeConnection; pool: RecordingPool; codec: Http1ClientCodec } {
  const connection = new FakeConnection()
  const pool = new RecordingPool()
  return { connection, pool, codec: new Http1ClientCodec(connection, pool) }
}

function request(method = 'GET', target = '/', ...fields: string[]): RequestHead {
  const head = new RequestHead(method, target, 11, headersOf('Host: x', ...fields))
  head.authority = 'x'
  return head
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

t.test('requests are framed from what is known', async (t) => {
  const table: Array<[head: RequestHead, length: number, written: string]> = [
    [request('GET', '/a?b', 'X-A: 1'), 0, 'GET /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\r\n'],
    [request('POST'), 0, 'POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n'],
    [request('OPTIONS'), 0, 'OPTIONS / HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n'],
    [request('POST'), 2, 'POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\nhi'],
    [
      request('POST', '/', 'Content-Length: 7', 'Transfer-Encoding: gzip', 'Connection: x'),
      BodyKind.Unknown,
      'POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    ],
    [
      new RequestHead('GET', '/x y\r\n', 11, headersOf('te: trailers')),
      0,
      'GET /x%20y%0D%0A HTTP/1.1\r\nHost: \r\nte: trailers\r\n\r\n',
    ],
  ]
  for (const [head, length, written] of table) {
    const { connection, codec } = rig()
    const { sink } = codec.open(head, length, new ReceivedReply())
    if (length !== 0) {
      sink.write(Buffer.from('hi'))
      sink.end()
    }
    t.equal(connection.written, written)
  }
})

t.test('a reply is read whole, cut anywhere, and the connection used again', async (t) => {
  const messages = [
    'HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 11\r\nKeep-Alive: timeout=5, max=9\r\n\r\nhello world',
    'HTTP/1.1 200 \r\nX-A: 1\r\nTransfer-Encoding: Chunked\r\nKeep-Alive: timeout=5\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nx-sum: 9\r\nhost: no\r\n\r\n',
  ]
  for (const message of messages)
    for (let cut = 0; cut <= message.length; cut++) {
      const { connection, pool, codec } = rig()
      const reply = new ReceivedReply()
      codec.open(request(), 0, reply)
      t.equal(codec.capacity, 0)
      connection.deliver(message.slice(0, cut), message.slice(cut))
      t.strictSame(reply.events, ['reply 200', 'end'])
      t.equal(reply.sink.text, 'hello world')
      t.equal(reply.sink.state, 'ended')
      t.strictSame(lines(reply.head!.headers), ['X-A: 1'])
      if (message.includes('x-sum')) t.strictSame(lines(reply.sink.trailers!), ['x-sum: 9'])
      t.strictSame(pool.events, ['idle limit 5000', 'capacity 1'])
    }
})

t.test('replies without body, whatever they say of their length', async (t) => {
  const table: Array<[method: string, bytes: string, length: string | undefined]> = [
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', '5'],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', '5'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', undefined],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', undefined],
  ]
  for (const [method, bytes, length] of table) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply()
    codec.open(request(method), 0, reply)
    connection.deliver(bytes)
    t.equal(reply.body?.length, 0)
    t.equal(reply.head?.headers.get('content-length'), length)
    t.strictSame(reply.events, [`reply ${reply.head?.status}`, 'end'])
    t.equal(reply.sink.state, 'ended')
    t.strictSame(pool.events, ['capacity 1'])
  }
})

t.test('until-close replies end with FIN, and only with FIN', async (t) => {
  for (const close of ['fin', 'broken'] as const) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply()
    codec.open(request(), 0, reply)
    connection.deliver('HTTP/1.1 200 OK\r\n\r\nbo', 'dy')
    t.equal(reply.body?.length, BodyKind.Unknown)
    if (close === 'fin') connection.deliverEnd()
    else connection.deliverClose(givenUp())
    t.equal(reply.sink.text, 'body')
    t.strictSame(
      reply.events,
      close === 'fin' ? ['reply 200', 'end'] : ['reply 200', 'failure closed_in_body'],
    )
    t.equal(reply.sink.state, close === 'fin' ? 'ended' : 'failed')
    t.strictSame(pool.events, close === 'fin' ? ['closed'] : ['closed closed_in_body'])
  }
})

t.test('what ends badly says how far it came', async (t) => {
  const table: Array<[bytes: string, detail: string]> = [
    ['', 'closed_before_reply'],
    ['HTTP/1.1 103 Early Hints\r\n\r\n', 'closed_after_interim_reply'],
    ['HTTP/1.1 2', 'closed_in_head'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'closed_in_body'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', 'closed_in_body'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n', 'closed_in_body'],
  ]
  for (const [bytes, detail] of table)
    for (const broken of [false, true]) {
      const { connection, pool, codec } = rig()
      const reply = new ReceivedReply()
      codec.open(request(), 0, reply)
      connection.deliver(bytes)
      if (broken) connection.deliverClose(givenUp())
      else connection.deliverEnd()
      t.equal(reply.events.at(-1), `failure ${detail}`)
      const inside = detail === 'closed_in_head' || detail === 'closed_in_body'
      t.equal(reply.error?.code, inside ? 'protocol_error' : 'connection_termination')
      t.equal(reply.error?.retryable, false, 'the upstream may have worked on it')
      t.strictSame(pool.events, [`closed ${detail}`])
      t.ok(connection.closed)
    }
})

t.test('replies that are refused', async (t) => {
  const table: Array<[bytes: string, detail: string]> = [
    ['SSH-2.0-x\r\n', 'http1.invalid_status_line'],
    ['HTTP/1.1 20 OK\r\n\r\n', 'http1.invalid_status_line'],
    ['HTTP/1.1 2000 OK\r\n\r\n', 'http1.invalid_status_line'],
    ['HTTP/1.1 099 OK\r\n\r\n', 'http1.invalid_status_line'],
    ['HTTP/2.0 200 OK\r\n\r\n', 'http1.unsupported_version'],
    ['HTTP/1.1 200 OK\nA: 1\n\n', 'http1.bare_line_feed'],
    ['HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n', 'http1.folded_header'],
    ['HTTP/1.1 200 OK\r\nA : 1\r\n\r\n', 'http1.space_before_colon'],
    ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'http1.invalid_content_length'],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      'http1.repeated_content_length',
    ],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', 'http1.invalid_transfer_encoding'],
    ['HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'http1.transfer_encoding_in_http10'],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n', 'http1.framing_without_body'],
    ['HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', 'http1.framing_without_body'],
    ['HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\n', 'http1.framing_without_body'],
    ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'http1.unasked_switch'],
    ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(101), 'http1.too_many_interim_replies'],
    [`HTTP/1.1 200 OK\r\n${'a: 1\r\n'.repeat(101)}\r\n`, 'http1.too_many_headers'],
    [`HTTP/1.1 200 OK\r\na: ${'x'.repeat(81 * 1024)}\r\n\r\n`, 'http1.headers_too_large'],
  ]
  for (const [bytes, detail] of table) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply()
    codec.open(request(), 0, reply)
    connection.deliver(bytes)
    t.equal(reply.head, undefined)
    t.equal(reply.error?.detail, detail)
    t.equal(reply.error?.code, 'protocol_error')
    t.equal(reply.error?.side, 'upstream')
    t.strictSame(pool.events, [`closed ${detail}`])
    t.ok(connection.closed)
  }
})

t.test('a broken chunk fails the reply that began', async (t) => {
  const { connection, codec } = rig()
  const reply = new ReceivedReply()
  codec.open(request(), 0, reply)
  connection.deliver('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nZ\r\n')
  t.equal(reply.sink.text, 'ab')
  t.equal(reply.sink.state, 'failed')
  t.strictSame(reply.events, ['reply 200', 'failure http1.invalid_chunk_size'])
})

t.test('interim replies are passed on one by one', async (t) => {
  const { connection, codec } = rig()
  const reply = new ReceivedReply()
  codec.open(request(), 0, reply)
  connection.deliver(
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${ok}`,
  )
  t.strictSame(reply.events, ['inform 100', 'inform 103', 'reply 200', 'end'])
  t.equal(reply.informs[1]?.headers.get('link'), 'a')
})

t.test('a connection is not used again after anything doubtful', async (t) => {
  const table: Array<[why: string, bytes: string]> = [
    ['surplus bytes', `${ok}x`],
    ['a second reply', ok + ok],
    ['a body behind HEAD-like replies', 'HTTP/1.1 304 Not Modified\r\n\r\nbody'],
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    [
      'both framings',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ]
  for (const [why, bytes] of table) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply()
    codec.open(request(), 0, reply)
    connection.deliver(bytes)
    t.equal(reply.events.at(-1), 'end', why)
    t.strictSame(pool.events, ['closed'], why)
    t.equal(codec.capacity, 0)
    t.ok(connection.closed)
  }
  const { connection, pool, codec } = rig()
  codec.open(request(), 0, new ReceivedReply())
  connection.deliver('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n')
  t.strictSame(pool.events, ['capacity 1'], 'HTTP/1.0 may keep alive')
})

t.test(
  'a reply before the request is complete is delivered, the connection given up',
  async (t) => {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply()
    const { sink } = codec.open(request('POST'), 100, reply)
    sink.write(Buffer.from('abc'))
    connection.deliver('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')
    t.strictSame(reply.events, ['reply 413', 'end'])
    t.strictSame(pool.events, ['closed'])
    t.equal(sink.write(Buffer.from('more')), true, 'the rest goes nowhere')
  },
)

t.test('idle: a close is orderly, a byte is not, a 408 is a courtesy', async (t) => {
  const closed = rig()
  closed.connection.deliverEnd()
  t.strictSame(closed.pool.events, ['closed'])
  t.ok(closed.connection.closed)
  const broken = rig()
  broken.connection.deliverClose(givenUp())
  t.strictSame(broken.pool.events, ['closed given_up'])
  const byte = rig()
  byte.connection.deliver('x')
  t.strictSame(byte.pool.events, ['closed http1.unsolicited_reply'])
  t.equal(byte.codec.capacity, 0)
  const courtesy = rig()
  courtesy.connection.deliver('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
  t.strictSame(courtesy.pool.events, ['closed'])
})

t.test('a sink that is full stops the reading', async (t) => {
  const { connection, codec } = rig()
  const reply = new ReceivedReply()
  reply.sink.flowing = false
  codec.open(request(), 0, reply)
  connection.deliver('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
  t.ok(connection.paused)
  connection.deliver('def').deliverEnd()
  t.equal(reply.sink.text, 'abc')
  reply.body?.resume()
  connection.settle()
  t.equal(reply.sink.text, 'abcdef')
  t.strictSame(reply.events, ['reply 200', 'end'])
})

t.test('a body taken later waits, and so does the end of the connection', async (t) => {
  for (const [bytes, text] of [
    [ok, 'ok'],
    ['HTTP/1.1 200 OK\r\n\r\nok', 'ok'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
  ] as const) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply(false)
    codec.open(request(), 0, reply)
    connection.deliver(bytes).deliverEnd()
    t.strictSame(reply.events, ['reply 200'])
    reply.body?.flowInto(reply.sink)
    connection.settle()
    t.equal(reply.sink.text, text)
    t.equal(reply.sink.state, 'ended')
    t.strictSame(reply.events, ['reply 200', 'end'])
    t.strictSame(pool.events.at(-1), 'closed')
  }
})

t.test('a bodiless reply nobody takes leaves the connection usable', async (t) => {
  const { connection, pool, codec } = rig()
  const reply = new ReceivedReply(false)
  codec.open(request(), 0, reply)
  connection.deliver('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
  reply.body?.cancel(givenUp())
  t.strictSame(pool.events, ['capacity 1'])
  t.strictSame(reply.events, ['reply 503'])
})

t.test('a bodiless reply cancelled while it is told does not hide what follows it', async (t) => {
  for (const surplus of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']) {
    const { connection, pool, codec } = rig()
    const reply = new ReceivedReply(false)
    reply.onReply = () => stream.cancel(givenUp())
    const stream = codec.open(request(), 0, reply)
    connection.deliver(`HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n${surplus}`)
    t.strictSame(pool.events, [surplus === '' ? 'capacity 1' : 'closed'])
    t.strictSame(reply.events, [])
  }
})

t.test('cancel closes and tells the receiver nothing more', async (t) => {
  const { connection, pool, codec } = rig()
  const reply = new ReceivedReply()
  const stream = codec.open(request(), 0, reply)
  t.ok(stream.started)
  connection.deliver('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
  stream.cancel(givenUp())
  connection.deliver('def')
  t.strictSame(reply.events, ['reply 200'])
  t.equal(reply.sink.state, 'open')
  t.strictSame(pool.events, ['closed given_up'])
  t.ok(connection.closed)
})

t.test('a request body that breaks off cuts the connection', async (t) => {
  const { connection, pool, codec } = rig()
  const reply = new ReceivedReply()
  const { sink } = codec.open(request('POST'), BodyKind.Unknown, reply)
  sink.write(Buffer.from('abc'))
  sink.fail(givenUp())
  t.notMatch(connection.written, /0\r\n\r\n/)
  t.strictSame(pool.events, ['closed given_up'])
  t.strictSame(reply.events, [])
})

t.test('upgrade: bytes behind the 101 belong to the tunnel, both halves end alone', async (t) => {
  const { connection, pool, codec } = rig()
  const reply = new ReceivedReply()
  const head = request('GET', '/ws')
  head.upgrade = 'websocket'
  const { sink } = codec.open(head, 0, reply)
  t.equal(
    connection.take(),
    'GET /ws HTTP/1.1\r\nHost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  )
  connection.deliver('HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nframe')
  t.equal(reply.body?.length, BodyKind.Tunnel)
  t.strictSame(lines(reply.head!.headers), [])
  t.equal(reply.sink.text, 'frame')
  sink.write(Buffer.from('up'))
  t.equal(connection.take(), 'up')
  connection.deliverEnd()
  t.strictSame(reply.events, ['reply 101', 'end'])
  sink.write(Buffer.from('more'))
  t.equal(connection.take(), 'more', 'our half lives on')
  sink.end()
  connection.settle()
  t.strictSame(pool.events, ['closed'])
  t.ok(connection.closed)
})

t.test('the last bytes of a tunnel are not dropped with the connection', async (t) => {
  for (const [full, destroyed] of [
    [true, false],
    [false, true],
  ] as const) {
    const { connection, pool, codec } = rig()
    const head = request()
    head.upgrade = 'echo'
    const { sink } = codec.open(head, 0, new ReceivedReply())
    connection.deliver('HTTP/1.1 101 Go\r\n\r\n').deliverEnd()
    connection.full = full
    sink.write(Buffer.from('last'))
    sink.end()
    t.equal(connection.calls.includes('destroy'), destroyed)
    t.match(connection.written, /last$/)
    t.strictSame(pool.events, ['closed'])
  }
})

t.test('an upgrade that is answered normally is a normal reply', async (t) => {
  const { connection, pool, codec } = rig()
  const reply = new ReceivedReply()
  const head = request()
  head.upgrade = 'websocket'
  codec.open(head, 0, reply)
  connection.deliver(ok)
  t.strictSame(reply.events, ['reply 200', 'end'])
  t.strictSame(pool.events, ['capacity 1'])
})

t.test('CONNECT: any 2xx opens the tunnel, anything else has a body', async (t) => {
  const { connection, codec } = rig()
  const reply = new ReceivedReply()
  const head = new RequestHead('CONNECT', 'db:1', 11, headersOf('Host: db:1'))
  codec.open(head, 0, reply)
  t.equal(connection.written, 'CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n')
  connection.deliver('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw bytes')
  t.equal(reply.sink.text, 'raw bytes')
  const refused = rig()
  const answer = new ReceivedReply()
  refused.codec.open(head, 0, answer)
  refused.connection.deliver('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno')
  t.strictSame(answer.events, ['reply 403', 'end'])
})

t.test('drain and destroy', async (t) => {
  const idle = rig()
  idle.codec.drain()
  t.strictSame(idle.pool.events, ['closed'])
  const busy = rig()
  const reply = new ReceivedReply()
  busy.codec.open(request(), 0, reply)
  busy.codec.drain()
  busy.connection.deliver(ok)
  t.strictSame(reply.events, ['reply 200', 'end'])
  t.strictSame(busy.pool.events, ['closed'])
  const killed = rig()
  const lost = new ReceivedReply()
  killed.codec.open(request(), 0, lost)
  killed.codec.destroy(givenUp())
  killed.connection.settle()
  t.strictSame(lost.events, ['failure given_up'])
  t.strictSame(killed.pool.events, ['closed given_up'])
})

t.test('fields named by Connection do not come through, nor other hop fields', async (t) => {
  const { connection, codec } = rig()
  const reply = new ReceivedReply()
  codec.open(request(), 0, reply)
  connection.deliver(
    'HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: x-b, keep-alive\r\nX-B: 2\r\nKeep-Alive: max=2\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nTrailer: q\r\nContent-Length: 0\r\nX-C: 3\r\n\r\n',
  )
  t.strictSame(lines(reply.head!.headers), ['X-A: 1', 'Trailer: q', 'X-C: 3'])
})
