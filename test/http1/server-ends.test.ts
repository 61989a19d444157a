import t from 'tap'
import { BodyKind } from '../../proxy/http/body.ts'
import { ResponseHead } from '../../proxy/http/head.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { get, serverRig } from '../support/http1-rig.ts'
import { givenUp, RecordingServer } from '../support/recorders.ts'

t.test('FIN after a complete request: answered, then closed', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(get).deliverEnd()
  t.notOk(connection.finSent)
  server.last.answer('ok')
  connection.settle()
  t.match(connection.written, /ok$/)
  t.ok(connection.closed)
  t.equal(server.closed, 1)
})

t.test('FIN behind pipelined requests: all are answered first', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(get + get).deliverEnd()
  server.last.answer('1')
  connection.settle()
  server.last.answer('2')
  connection.settle()
  t.equal(server.served.length, 2)
  t.match(connection.written, /1HTTP[\s\S]*2$/)
  t.ok(connection.closed)
})

t.test('FIN inside a request body aborts it', async (t) => {
  const { connection, server } = serverRig((served) => served.stream.body.flowInto(served.sink))
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel').deliverEnd()
  t.equal(server.last.sink.state, 'failed')
  t.strictSame(server.last.events, ['abort downstream_remote_disconnect'])
  t.ok(connection.closed)
  t.equal(server.closed, 1)
})

t.test('FIN waits behind a body that its sink does not take yet', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc')
  connection.deliverEnd()
  server.last.stream.body.flowInto(server.last.sink)
  connection.settle()
  t.equal(server.last.sink.state, 'ended')
  server.last.answer('ok')
  connection.settle()
  t.match(connection.written, /ok$/)
  t.ok(connection.closed)
})

t.test('a broken connection aborts the stream, then closes the codec', async (t) => {
  const { connection, server, wheel } = serverRig()
  const cause = givenUp()
  connection.deliver(get).deliverClose(cause)
  t.strictSame(server.last.events, ['request end', 'abort downstream_remote_disconnect'])
  t.equal(server.last.error?.cause, cause)
  t.equal(server.closed, 1)
  t.equal(wheel.size, 0, 'no timer is left')
  server.last.answer('late')
  t.equal(connection.written, '', 'a late reply goes nowhere')
})

t.test('a broken chunk is answered if nothing was, else the connection is cut', async (t) => {
  const bad = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nXX\r\n'
  const first = serverRig((served) => served.stream.body.flowInto(served.sink))
  first.connection.deliver(bad)
  t.match(
    first.connection.written,
    /^HTTP\/1.1 400 [\s\S]*x-outrider-reason: http1.invalid_chunk_size/,
  )
  t.equal(first.server.last.sink.text, 'abc')
  t.equal(first.server.last.sink.state, 'failed')
  t.strictSame(first.server.last.events, ['abort http1.invalid_chunk_size'])
  t.notOk(first.server.last.stream.replied, 'its owner did not reply')
  t.strictSame(first.server.refused, [], 'it was a stream: its owner logs it')

  const second = serverRig((served) => {
    served.stream.body.flowInto(served.sink)
    served.stream.reply(new ResponseHead(200), BodyKind.Unknown).write(Buffer.from('begun'))
  })
  second.connection.deliver(bad)
  t.notMatch(second.connection.written, /400/)
  t.ok(second.connection.finSent)
  t.notMatch(second.connection.written, /0\r\n\r\n$/, 'the reply is visibly cut')
})

t.test('drain: an idle connection ends, a busy one says close with its reply', async (t) => {
  const idle = serverRig()
  idle.codec.drain()
  t.strictSame(idle.connection.calls, ['end'])
  const busy = serverRig()
  busy.connection.deliver(get)
  busy.codec.drain()
  t.strictSame(busy.connection.calls, [])
  busy.server.last.answer('ok')
  t.match(busy.connection.written, /connection: close\r\n\r\nok$/)
  t.ok(busy.connection.finSent)
})

t.test('retire: what lies idle stays, and the next reply says that it is the last', async (t) => {
  const { codec, connection, server } = serverRig()
  codec.retire()
  t.strictSame(connection.calls, [], 'a request may be on its way')
  connection.deliver(get)
  server.last.answer('ok')
  t.match(connection.written, /connection: close\r\n\r\nok$/)
  t.ok(connection.finSent)
})

t.test('reset closes without a reply and without onAbort', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(get)
  server.last.stream.reset(givenUp())
  connection.settle()
  t.equal(connection.written, '')
  t.ok(connection.closing)
  t.strictSame(server.last.events, ['request end'])
})

t.test('a reply that fails half-way is visibly cut, whatever its framing', async (t) => {
  for (const [request, length, call] of [
    [get, BodyKind.Unknown, 'end'],
    [get, 100, 'end'],
    ['GET / HTTP/1.0\r\n\r\n', BodyKind.Unknown, 'reset'],
  ] as const) {
    const { connection, server } = serverRig()
    connection.deliver(request)
    const sink = server.last.stream.reply(new ResponseHead(200), length)
    sink.write(Buffer.from('part'))
    sink.fail(givenUp())
    t.equal(connection.calls.at(-1), call)
    t.notMatch(connection.written, /0\r\n\r\n$/)
    t.strictSame(server.last.events, ['request end'])
  }
})

t.test('a reply of another length than declared is cut and its owner told', async (t) => {
  for (const body of ['short', 'much too long']) {
    const { connection, server } = serverRig()
    connection.deliver(get)
    const sink = server.last.stream.reply(new ResponseHead(200), 8)
    sink.write(Buffer.from(body))
    sink.end()
    t.ok(connection.closing)
    t.strictSame(server.last.events, ['request end', 'abort http1.body_length_mismatch'])
    t.notMatch(connection.written, /too long/)
  }
})

t.test('deadlines: a head, a body, a reader, an idle connection', async (t) => {
  const head = serverRig()
  head.connection.deliver('GET / HTTP/1.1\r\n')
  head.pass(50_000)
  head.connection.deliver('Host: x\r\n')
  t.equal(head.connection.written, '')
  head.pass(11_000)
  t.match(head.connection.written, /^HTTP\/1.1 408 Request Timeout[\s\S]*request_header_timeout/)
  t.equal(head.server.refused[0]?.status, 408)

  const body = serverRig((served) => served.stream.body.flowInto(served.sink))
  body.connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab')
  body.pass(299_000)
  body.connection.deliver('c')
  body.pass(299_000)
  t.equal(body.connection.written, '')
  body.pass(2_000)
  t.match(body.connection.written, /^HTTP\/1.1 408[\s\S]*stream_idle_timeout/)
  t.strictSame(body.server.last.events, ['abort stream_idle_timeout'])

  const reader = serverRig()
  reader.connection.deliver(get)
  reader.pass(1_000_000)
  t.strictSame(reader.server.last.events, ['request end'], 'a slow upstream is not our affair')
  reader.connection.full = true
  reader.server.last.answer('x'.repeat(100))
  reader.pass(301_000)
  reader.pass(301_000)
  t.strictSame(reader.server.last.events, ['request end', 'abort stream_idle_timeout'])
  t.ok(reader.connection.closed)

  const idle = serverRig()
  idle.pass(3_599_000)
  t.notOk(idle.connection.closing)
  idle.pass(2_000)
  t.ok(idle.connection.finSent)
  t.equal(idle.connection.written, '')
  t.strictSame(idle.server.refused, [])
})

t.test(
  'a request body that nobody takes any more ends its stream, not one that still waits',
  async (t) => {
    const stuck = serverRig((served) => {
      served.sink.flowing = false
      served.stream.body.flowInto(served.sink)
    })
    stuck.connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab')
    stuck.pass(200_000)
    stuck.server.last.stream.body.resume()
    stuck.connection.deliver('c')
    stuck.pass(299_000)
    t.equal(stuck.connection.written, '', 'it has moved since')
    stuck.pass(2_000)
    t.match(stuck.connection.written, /^HTTP\/1.1 408[\s\S]*stopped taking the request body/)
    t.strictSame(stuck.server.last.events, ['abort stream_idle_timeout'])

    const waiting = serverRig(() => {})
    waiting.connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab')
    waiting.pass(1_000_000)
    t.strictSame(waiting.server.last.events, [], 'held by a filter or for a connection')
  },
)

t.test('a client that ended and hears nothing for minutes is taken for gone', async (t) => {
  const { connection, server, pass } = serverRig()
  connection.deliver(get).deliverEnd()
  pass(301_000)
  t.strictSame(server.last.events, ['request end'], 'half-close is legal')
  pass(301_000)
  t.strictSame(server.last.events, ['request end', 'abort downstream_remote_disconnect'])
  t.ok(connection.closed)

  const heard = serverRig()
  heard.connection.deliver(get).deliverEnd()
  const sink = heard.server.last.stream.reply(new ResponseHead(200), BodyKind.Unknown)
  for (let i = 0; i < 5; i++) {
    sink.write(Buffer.from('x'))
    heard.connection.settle()
    heard.pass(299_000)
  }
  t.strictSame(heard.server.last.events, ['request end'], 'it is told something now and then')
})

t.test('bytes read before the codec took over are used first', async (t) => {
  const connection = new FakeConnection()
  const server = new RecordingServer()
  const codec = new Http1ServerCodec(connection, server)
  codec.start(Buffer.from(get), true)
  t.equal(server.served.length, 1)
  server.last.answer('ok')
  t.ok(connection.finSent)
  connection.deliverClose()
})

const post = (body: string) => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n${body}`

t.test('an early reply keeps the connection when the whole body is here', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(post('abc') + get)
  server.last.answer('no', 503)
  t.match(connection.written, /503 [^\n]*\r\ncontent-length: 2\r\n\r\nno$/)
  connection.settle()
  t.equal(server.served.length, 2, 'what the client sent behind it is served')
  server.last.answer('ok')
  connection.settle()
  t.match(connection.written, /ok$/)
  t.notOk(connection.closed)
})

t.test('an early reply closes the connection when some of the body is missing', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(post('ab'))
  server.last.answer('no', 503)
  t.match(connection.written, /connection: close\r\n\r\nno$/)
  t.ok(connection.finSent)
})

t.test('a body that nobody took and that is broken is told when the reply is made', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')
  server.last.answer('no', 503)
  t.match(connection.written, /^HTTP\/1\.1 400 /)
  t.equal(connection.written.match(/HTTP\/1\.1/g)?.length, 1, 'one answer, not two')
  t.ok(connection.finSent)
})
