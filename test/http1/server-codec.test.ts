import t from 'tap'
import { BodyKind } from '../../proxy/http/body.ts'
import { ResponseHead } from '../../proxy/http/head.ts'
import { answering, get, serverRig } from '../support/http1-rig.ts'
import { givenUp, headersOf, lines, RecordingSink } from '../support/recorders.ts'

t.test('a request gives a head with its fields in order, case and number', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(
    'GET /p?q=1 HTTP/1.1\r\nhost: Shop:80\r\nX-B: 1\r\nx-a:\t2 \r\nX-B: \xfc\r\n\r\n',
  )
  const { head } = server.last
  t.strictSame(
    [head.method, head.target, head.authority, head.scheme, head.version, head.upgrade],
    ['GET', '/p?q=1', 'Shop:80', 'http', 11, ''],
  )
  t.strictSame(lines(head.headers), ['host: Shop:80', 'X-B: 1', 'x-a: 2', 'X-B: \xfc'])
  t.strictSame(server.last.events, ['request end'])
  t.equal(server.last.stream.body.length, 0)
})

t.test('a reply leaves in one piece with its length and the connection lives on', async (t) => {
  const { connection, server, codec } = serverRig((served) =>
    served.answer('hello', 200, ['X-A: 1']),
  )
  connection.deliver(get)
  t.equal(connection.take(), 'HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 5\r\n\r\nhello')
  t.strictSame(server.last.events, ['request end', 'reply end'])
  t.equal(codec.openStreams, 0)
  connection.deliver(get)
  t.equal(server.served.length, 2)
  t.strictSame(connection.calls, [])
})

t.test('three pipelined requests are answered in order, one at a time', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(get, get.replace('/a', '/b') + get.replace('/a', '/c'))
  t.equal(server.served.length, 1, 'the others wait')
  t.ok(connection.paused, 'and no more is read')
  server.last.answer('1')
  t.equal(server.served.length, 2)
  server.last.answer('2')
  server.last.answer('3')
  connection.settle()
  t.strictSame(
    server.served.map((s) => s.head.target),
    ['/a', '/b', '/c'],
  )
  t.match(connection.written, /\r\n\r\n1HTTP[\s\S]*\r\n\r\n2HTTP[\s\S]*\r\n\r\n3$/)
  t.notOk(connection.paused)
})

t.test('a thousand pipelined requests answered at once do not pile up', async (t) => {
  const { connection, server } = serverRig((served) => served.answer('x'))
  connection.deliver(get.repeat(1000))
  t.equal(server.served.length, 1000)
  t.equal(connection.written.split('HTTP/1.1 200').length - 1, 1000)
})

t.test('pipelined requests wait while the client does not read', async (t) => {
  const { connection, server } = serverRig((served) => served.answer('x'.repeat(10)))
  connection.full = true
  connection.deliver(get.repeat(5))
  t.equal(server.served.length, 1)
  t.strictSame(server.last.events, ['request end'], 'its reply is not with the kernel')
  connection.drain()
  t.equal(server.served.length, 5)
})

t.test('request bodies of both framings arrive whole, cut anywhere', async (t) => {
  const trailers = 'Vary: 1\r\nX-Sum: 9\r\n'
  const messages = [
    'POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world',
    `POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n06\r\n world\r\n0\r\n${trailers}\r\n`,
  ]
  for (const message of messages)
    for (let cut = 0; cut <= message.length; cut++) {
      const { connection, server } = serverRig(answering)
      connection.deliver(message.slice(0, cut), message.slice(cut) + get)
      const [first, second] = server.served
      t.equal(first?.sink.text, 'hello world')
      t.equal(first?.sink.state, 'ended')
      t.strictSame(first?.events, ['request end', 'reply end'])
      t.equal(second?.head.target, '/a', `the next request after a cut at ${cut}`)
      const sum = first?.sink.trailers
      t.strictSame(
        sum === undefined ? [] : lines(sum),
        message.includes('X-Sum') ? ['X-Sum: 9'] : [],
      )
    }
})

t.test('a body nobody takes is kept once and stops reading until someone does', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello')
  t.ok(connection.paused)
  connection.deliver('world')
  const { stream, sink } = server.last
  stream.body.flowInto(sink)
  connection.settle()
  t.equal(sink.text, 'helloworld')
  t.strictSame(server.last.events, ['request end'])
})

t.test('a sink that is full stops the reading, and resume starts it again', async (t) => {
  const { connection, server } = serverRig((served) => {
    served.sink.flowing = false
    served.stream.body.flowInto(served.sink)
  })
  connection.deliver(
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n',
  )
  const { sink, stream } = server.last
  t.equal(sink.text, 'abc', 'nothing more was offered')
  t.ok(connection.paused)
  stream.body.resume()
  t.equal(sink.text, 'abcdef')
  sink.flowing = true
  stream.body.resume()
  connection.settle()
  t.equal(sink.state, 'ended')
  t.notOk(connection.paused)
})

t.test('framing of replies', async (t) => {
  const table: Array<
    [request: string, status: number, length: number, fields: string[], written: string]
  > = [
    [get, 200, BodyKind.Unknown, [], 'transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    [get, 200, 2, ['Content-Length: 99'], 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    [get, 204, 0, ['Content-Length: 0'], 'HTTP/1.1 204 No Content\r\n\r\n'],
    [
      get,
      304,
      0,
      ['Content-Length: 12'],
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n',
    ],
    [
      'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
      200,
      0,
      ['Content-Length: 12'],
      'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n',
    ],
    [
      'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
      404,
      2,
      [],
      '404 Not Found\r\ncontent-length: 2\r\n\r\n',
    ],
    ['HEAD / HTTP/1.1\r\nHost: x\r\n\r\n', 200, BodyKind.Unknown, [], 'HTTP/1.1 200 OK\r\n\r\n'],
    [
      'GET / HTTP/1.0\r\n\r\n',
      200,
      BodyKind.Unknown,
      [],
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok',
    ],
    [
      'GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n',
      200,
      2,
      [],
      'content-length: 2\r\nconnection: keep-alive\r\n\r\nok',
    ],
    // One that names no host until it is answered is the last one.
    [
      'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n',
      400,
      2,
      [],
      'content-length: 2\r\nconnection: close\r\n\r\nok',
    ],
    ['GET / HTTP/1.0\r\n\r\n', 200, 2, [], 'content-length: 2\r\nconnection: close\r\n\r\nok'],
    [
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: close, keep-alive\r\n\r\n',
      200,
      2,
      [],
      'content-length: 2\r\nconnection: close\r\n\r\nok',
    ],
  ]
  for (const [request, status, length, fields, written] of table) {
    const { connection, server } = serverRig((served) => {
      const head = new ResponseHead(status, '', 11, headersOf(...fields))
      const sink = served.stream.reply(head, length)
      sink.write(Buffer.from('ok'))
      sink.end()
    })
    connection.deliver(request)
    t.ok(
      connection.written.endsWith(written),
      `${JSON.stringify(connection.written)} for ${request}`,
    )
    t.strictSame(server.last.events, ['request end', 'reply end'])
    t.equal(connection.finSent, written.includes('close'))
  }
})

t.test('trailers of a reply go to a client that reads chunks, forbidden ones do not', async (t) => {
  const { connection } = serverRig((served) => {
    const sink = served.stream.reply(new ResponseHead(200), BodyKind.Unknown)
    sink.write(Buffer.alloc(5000, 120))
    sink.end(headersOf('x-sum: 9', 'content-length: 3'))
  })
  connection.deliver(get)
  const [, body] = connection.written.split('\r\n\r\n', 2)
  t.equal(body, `1388\r\n${'x'.repeat(5000)}\r\n0\r\nx-sum: 9`)
})

t.test('interim replies go out before the final one, but never to HTTP/1.0', async (t) => {
  for (const [request, interim] of [
    [get, 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'],
    ['GET / HTTP/1.0\r\n\r\n', ''],
  ] as const) {
    const { connection, server } = serverRig((served) => {
      served.stream.inform(new ResponseHead(103, '', 11, headersOf('link: x')))
      served.answer('ok')
    })
    connection.deliver(request)
    t.ok(connection.written.startsWith(`${interim}HTTP/1.1 200 OK`))
    server.last.stream.inform(new ResponseHead(103))
    t.ok(connection.written.endsWith('ok'), 'nothing after the final reply')
  }
})

t.test('Expect: 100-continue is told, passed on, and not answered by the codec', async (t) => {
  const { connection, server } = serverRig(answering)
  connection.deliver(
    'PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n',
  )
  t.ok(server.last.head.expectsContinue)
  t.ok(server.last.head.headers.has('expect'))
  t.equal(connection.written, '')
  server.last.stream.inform(new ResponseHead(100))
  t.equal(connection.take(), 'HTTP/1.1 100 Continue\r\n\r\n')
  connection.deliver('hi')
  t.match(connection.written, /200 OK[\s\S]*ok$/)
  connection.deliver('GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n')
  t.notOk(server.last.head.expectsContinue, 'without a body there is nothing to continue')
  connection.deliver('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n1')
  t.notOk(server.last.head.expectsContinue, 'HTTP/1.0 cannot expect')
})

t.test(
  'an early reply closes the connection, but only after the client could read it',
  async (t) => {
    const { connection, server, wheel, pass } = serverRig((served) =>
      served.stream.body.flowInto(served.sink),
    )
    connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc')
    server.last.answer('no', 413)
    t.match(
      connection.written,
      /413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno$/,
    )
    t.strictSame(server.last.events, ['reply end'])
    t.strictSame(connection.calls, ['bulk', 'end'])
    for (let i = 0; i < 50; i++) connection.deliver('x'.repeat(10_000))
    t.equal(server.last.sink.text, 'abc', 'the rest is dropped')
    pass(500)
    t.notOk(connection.closed)
    pass(600)
    t.ok(connection.closed)
    t.equal(server.closed, 1)
    t.equal(wheel.size, 0)
  },
)

t.test(
  'the close waits for a client that reads slowly, and not for one that does not',
  async (t) => {
    const { connection, pass } = serverRig((served) => {
      connection.full = true
      served.answer('x'.repeat(100))
    })
    connection.deliver('GET / HTTP/1.0\r\n\r\n')
    t.notOk(connection.finSent, 'the reply is not with the kernel')
    connection.full = false
    connection.drain()
    connection.queuedBytes = 100
    for (let i = 0; i < 20; i++) {
      connection.queuedBytes -= 4
      pass(1100)
    }
    t.notOk(connection.closed)
    pass(302_000)
    pass(2_000)
    t.ok(connection.closed)
  },
)

t.test('upgrade: 101 opens a tunnel and no byte is lost or doubled', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver(
    'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\nearly',
  )
  t.equal(server.last.head.upgrade, 'websocket')
  t.notOk(server.last.head.headers.has('upgrade'))
  t.ok(connection.paused, 'bytes of the other protocol wait')
  const { stream, sink, events } = server.last
  const out = stream.reply(new ResponseHead(101), BodyKind.Tunnel)
  t.equal(stream.body.length, BodyKind.Tunnel)
  stream.body.flowInto(sink)
  connection.settle()
  t.equal(
    connection.take(),
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  )
  connection.deliver(' bytes', get)
  t.equal(sink.text, `early bytes${get}`)
  out.write(Buffer.from('down'))
  t.equal(connection.take(), 'down')
  connection.deliverEnd()
  t.equal(sink.state, 'ended')
  t.notOk(connection.closing, 'the other half lives on')
  out.write(Buffer.from('last'))
  out.end()
  connection.settle()
  t.equal(connection.written, 'last')
  t.strictSame(events, ['request end', 'reply end'])
  t.ok(connection.closed)
})

t.test('CONNECT: 200 opens a tunnel without framing', async (t) => {
  const { connection, server } = serverRig()
  connection.deliver('CONNECT db:5432 HTTP/1.1\r\nHost: other\r\n\r\nhello')
  const { head, stream, sink } = server.last
  t.strictSame([head.method, head.target, head.authority], ['CONNECT', 'db:5432', 'db:5432'])
  stream.reply(new ResponseHead(200), BodyKind.Tunnel)
  stream.body.flowInto(sink)
  t.equal(connection.written, 'HTTP/1.1 200 OK\r\n\r\n')
  t.equal(sink.text, 'hello')
})

t.test('an upgrade that is refused closes: what follows may be another protocol', async (t) => {
  const { connection } = serverRig((served) => served.answer('no', 403))
  connection.deliver('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nxyz')
  t.match(connection.written, /connection: close/)
  t.ok(connection.finSent)
})

t.test('upgrades are not taken up from POST, from HTTP/1.0, with a body, or to h2c', async (t) => {
  for (const head of [
    'POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n',
    'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\n\r\n',
  ]) {
    const { connection, server } = serverRig()
    connection.deliver(head)
    t.equal(server.last.head.upgrade, '')
    t.notMatch(lines(server.last.head.headers).join(), /upgrade|settings/i)
  }
})

t.test(
  'the empty line some clients send behind a body is let pass, a second one is not',
  async (t) => {
    for (const cut of [1, 2, 3, 10]) {
      const { connection, server } = serverRig(answering)
      const text = `\r\n${get}\r\n${get}`
      connection.deliver(text.slice(0, cut), text.slice(cut))
      t.equal(server.served.length, 2)
      connection.deliver('\r\n')
      t.strictSame(server.refused, [])
      connection.deliver('\r', '\n', get)
      t.equal(server.refused.length, 1)
    }
  },
)

t.test(
  'a connection that says nothing, or only an empty line, is not a refused input',
  async (t) => {
    for (const bytes of ['', '\r\n']) {
      const { connection, server, wheel } = serverRig()
      connection.deliver(bytes).deliverEnd()
      t.ok(connection.closed)
      t.equal(connection.written, '')
      t.strictSame(server.refused, [])
      t.equal(server.closed, 1)
      t.equal(wheel.size, 0)
    }
  },
)

t.test('a cancelled request body is dropped and the reply still goes out', async (t) => {
  const { connection, server } = serverRig((served) => served.stream.body.flowInto(served.sink))
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc')
  server.last.stream.body.cancel(givenUp())
  connection.deliver('def')
  t.equal(server.last.sink.text, 'abc')
  server.last.answer('sorry', 503)
  t.match(connection.written, /503 Service Unavailable[\s\S]*sorry$/)
})

t.test('large bodies are announced to the connection while they flow', async (t) => {
  const { connection } = serverRig((served) => served.stream.body.flowInto(new RecordingSink()))
  connection.deliver('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n')
  t.strictSame(connection.calls, ['bulk'])
  connection.deliver('x'.repeat(40_000))
  t.strictSame(connection.calls, ['bulk', 'no bulk'])
})
