/**
 * What every HTTP version must do alike, told in streams, heads and bodies: runs over any pair of a
 * client codec and a server codec that are connected to each other.
 */
import type { Test } from 'tap'
import { BodyKind } from '../../proxy/http/body.ts'
import type { ClientCodec, ServerCodec, UpstreamStream } from '../../proxy/http/codec.ts'
import { RequestHead, ResponseHead } from '../../proxy/http/head.ts'
import {
  givenUp,
  headersOf,
  lines,
  ReceivedReply,
  type RecordingPool,
  type RecordingServer,
  type ServedStream,
} from './recorders.ts'

/** Two codecs that talk to each other. */
export interface CodecPair {
  readonly client: ClientCodec
  readonly server: ServerCodec
  readonly pool: RecordingPool
  readonly owner: RecordingServer
  /** Lets everything that is on its way arrive. */
  settle(): void
  /** The kernel takes nothing from this side for a while. */
  block(side: 'client' | 'server', blocked: boolean): void
  /** The connection breaks under both. */
  breakOff(): void
}

export interface CodecFactory {
  readonly name: string
  /** Streams that may be open at once; 1 skips what needs several. */
  readonly concurrent: number
  make(onRequest: (served: ServedStream) => void): CodecPair
}

function requestHead(method: string, target: string, ...fields: string[]): RequestHead {
  const head = new RequestHead(method, target, 11, headersOf('Host: shop', ...fields))
  head.authority = 'shop'
  return head
}

interface Asked {
  readonly reply: ReceivedReply
  readonly stream: UpstreamStream
}

function ask(pair: CodecPair, head: RequestHead, body?: string, length?: number): Asked {
  const reply = new ReceivedReply()
  const stream = pair.client.open(head, length ?? body?.length ?? 0, reply)
  if (body !== undefined) {
    if (body !== '') stream.sink.write(Buffer.from(body, 'latin1'))
    stream.sink.end()
  }
  pair.settle()
  return { reply, stream }
}

/** Reads the whole body, then answers with it. */
function echo(served: ServedStream): void {
  served.stream.body.flowInto(served.sink)
  const told = served.onRequestEnd
  served.onRequestEnd = () => {
    told.call(served)
    served.answer(served.sink.text)
  }
}

export function codecSuite(t: Test, factory: CodecFactory): void {
  const pairOf = (onRequest: (served: ServedStream) => void = () => undefined): CodecPair =>
    factory.make(onRequest)
  const check = (claim: string, body: (t: Test) => void): void => {
    t.test(`${factory.name}: ${claim}`, async (t) => body(t))
  }

  check('method, target, authority and repeated fields arrive as they were sent', (t) => {
    const pair = pairOf()
    ask(pair, requestHead('PATCH', '/a%20b?c=d', 'x-a: 1', 'x-b: \xfc', 'x-a: 2'))
    const { head, stream } = pair.owner.last
    t.strictSame([head.method, head.target, head.authority], ['PATCH', '/a%20b?c=d', 'shop'])
    t.strictSame(head.headers.all('x-a'), ['1', '2'])
    t.equal(head.headers.get('x-b'), '\xfc')
    t.equal(stream.body.length, 0)
    t.strictSame(pair.owner.last.events, ['request end'])
  })

  check('a reply with body comes back, and the stream is free again', (t) => {
    const pair = pairOf((served) => served.answer('hello', 201, ['x-a: 1', 'x-a: 2']))
    const { reply } = ask(pair, requestHead('GET', '/'))
    t.equal(reply.head?.status, 201)
    t.strictSame(reply.head?.headers.all('x-a'), ['1', '2'])
    t.equal(reply.sink.text, 'hello')
    t.strictSame(reply.events, ['reply 201', 'end'])
    t.strictSame(pair.owner.last.events, ['request end', 'reply end'])
    t.equal(pair.server.openStreams, 0)
    t.ok(pair.client.capacity > 0)
    ask(pair, requestHead('GET', '/2'))
    t.equal(pair.owner.last.head.target, '/2')
  })

  check('bodies of known and unknown length arrive whole, with trailers where unknown', (t) => {
    const pair = pairOf(echo)
    for (const length of [undefined, BodyKind.Unknown]) {
      const { reply } = ask(pair, requestHead('POST', '/'), 'x'.repeat(40_000), length)
      t.equal(reply.sink.text.length, 40_000)
      t.equal(reply.sink.state, 'ended')
    }
    const reply = new ReceivedReply()
    const { sink } = pair.client.open(requestHead('POST', '/'), BodyKind.Unknown, reply)
    sink.write(Buffer.from('abc'))
    sink.end(headersOf('x-sum: 6'))
    pair.settle()
    t.strictSame(lines(pair.owner.last.sink.trailers!), ['x-sum: 6'])
  })

  check('an empty body of unknown length ends properly', (t) => {
    const pair = pairOf(echo)
    const { reply } = ask(pair, requestHead('POST', '/'), '', BodyKind.Unknown)
    t.strictSame(reply.events, ['reply 200', 'end'])
  })

  check('HEAD, 204 and 304 have no body but keep what they say of it', (t) => {
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 304],
      ['GET', 204],
    ] as const) {
      const pair = pairOf((served) => served.answer('', status, ['content-length: 9', 'x: 1']))
      const { reply } = ask(pair, requestHead(method, '/'))
      t.equal(reply.body?.length, 0)
      t.equal(reply.head?.headers.get('content-length'), status === 204 ? undefined : '9')
      t.strictSame(reply.events, [`reply ${status}`, 'end'])
      t.ok(pair.client.capacity > 0)
    }
  })

  check('interim replies come before the final one, in order', (t) => {
    const pair = pairOf((served) => {
      served.stream.inform(new ResponseHead(100))
      served.stream.inform(new ResponseHead(103, '', 11, headersOf('link: a')))
      served.answer('ok')
    })
    const { reply } = ask(pair, requestHead('GET', '/'))
    t.strictSame(reply.events, ['inform 100', 'inform 103', 'reply 200', 'end'])
    t.equal(reply.informs[1]?.headers.get('link'), 'a')
  })

  check('a sink that is full holds the source at the other end', (t) => {
    const pair = pairOf((served) => {
      served.sink.flowing = false
      served.stream.body.flowInto(served.sink)
    })
    const reply = new ReceivedReply()
    const { sink } = pair.client.open(requestHead('POST', '/'), 300_000, reply)
    pair.settle()
    sink.write(Buffer.alloc(100_000))
    pair.settle()
    sink.write(Buffer.alloc(100_000))
    pair.settle()
    const served = pair.owner.last
    const taken = served.sink.text.length
    t.ok(taken < 200_000, 'the second piece waits')
    served.sink.flowing = true
    served.stream.body.resume()
    pair.settle()
    t.equal(served.sink.text.length, 200_000)
  })

  check('a connection that is full says so, and asks for more when it is not', (t) => {
    const pair = pairOf()
    pair.block('client', true)
    const reply = new ReceivedReply()
    const { sink } = pair.client.open(requestHead('POST', '/'), 200_000, reply)
    let resumed = 0
    sink.source = {
      length: 200_000,
      bytes: 0,
      flowInto() {},
      resume() {
        resumed++
      },
      cancel() {},
    }
    t.equal(sink.write(Buffer.alloc(100_000)), false)
    t.equal(resumed, 0)
    pair.block('client', false)
    pair.settle()
    t.equal(resumed, 1)
  })

  check('an early reply reaches the client though the request never ends', (t) => {
    const pair = pairOf((served) => {
      served.stream.body.flowInto(served.sink)
      served.answer('too large', 413)
    })
    const reply = new ReceivedReply()
    const { sink } = pair.client.open(requestHead('POST', '/'), 1_000_000, reply)
    sink.write(Buffer.alloc(100))
    pair.settle()
    t.equal(reply.head?.status, 413)
    t.equal(reply.sink.text, 'too large')
    t.strictSame(reply.events, ['reply 413', 'end'])
    t.equal(pair.owner.last.events.at(-1), 'reply end')
  })

  check('a request given up by the client aborts the stream of the server', (t) => {
    const pair = pairOf((served) => served.stream.body.flowInto(served.sink))
    const { reply, stream } = ask(pair, requestHead('GET', '/'))
    stream.cancel(givenUp())
    pair.settle()
    pair.breakOff()
    t.match(pair.owner.last.events.at(-1), /^abort /)
    t.strictSame(reply.events, [])
  })

  check('a request body that fails half-way is never taken for a complete one', (t) => {
    const pair = pairOf((served) => served.stream.body.flowInto(served.sink))
    const { sink } = pair.client.open(
      requestHead('POST', '/'),
      BodyKind.Unknown,
      new ReceivedReply(),
    )
    sink.write(Buffer.from('abc'))
    sink.fail(givenUp())
    pair.settle()
    t.equal(pair.owner.last.sink.state, 'failed')
    t.match(pair.owner.last.events, [/^abort /])
  })

  check('a reply that fails half-way is never taken for a complete one', (t) => {
    for (const length of [100, BodyKind.Unknown]) {
      const pair = pairOf((served) => {
        const sink = served.stream.reply(new ResponseHead(200), length)
        sink.write(Buffer.from('abc'))
        sink.fail(givenUp())
      })
      const { reply } = ask(pair, requestHead('GET', '/'))
      t.equal(reply.sink.text, 'abc')
      t.equal(reply.sink.state, 'failed')
      t.match(reply.events, ['reply 200', /^failure /])
    }
  })

  check('a stream reset before its reply fails at the client', (t) => {
    const pair = pairOf((served) => served.stream.reset(givenUp()))
    const { reply } = ask(pair, requestHead('GET', '/'))
    t.match(reply.events, [/^failure /])
    t.equal(reply.error?.side, 'upstream')
  })

  check('when the connection breaks everybody hears of it once', (t) => {
    const pair = pairOf()
    const { reply } = ask(pair, requestHead('GET', '/'))
    pair.breakOff()
    t.match(reply.events, [/^failure /])
    t.match(pair.owner.last.events, ['request end', /^abort /])
    t.equal(pair.owner.closed, 1)
    t.equal(pair.pool.events.filter((event) => event.startsWith('closed')).length, 1)
    t.equal(pair.client.capacity, 0)
    t.equal(pair.server.openStreams, 0)
  })

  check('drain: the running exchange ends properly, no other begins', (t) => {
    const pair = pairOf()
    const { reply } = ask(pair, requestHead('GET', '/'))
    pair.server.drain()
    pair.client.drain()
    t.equal(pair.client.capacity, 0)
    pair.owner.last.answer('ok')
    pair.settle()
    t.strictSame(reply.events, ['reply 200', 'end'])
    t.strictSame(pair.pool.events, ['closed'])
  })

  check('an upgrade becomes a tunnel that ends half by half', (t) => {
    const pair = pairOf()
    const head = requestHead('GET', '/ws')
    head.upgrade = 'websocket'
    const { reply, stream } = ask(pair, head)
    const { last } = pair.owner
    t.equal(last.head.upgrade, 'websocket')
    const down = last.stream.reply(new ResponseHead(101), BodyKind.Tunnel)
    last.stream.body.flowInto(last.sink)
    down.write(Buffer.from('down'))
    pair.settle()
    t.equal(reply.body?.length, BodyKind.Tunnel)
    t.equal(reply.sink.text, 'down')
    stream.sink.write(Buffer.from('up'))
    stream.sink.end()
    pair.settle()
    t.equal(last.sink.text, 'up')
    t.equal(last.sink.state, 'ended')
    down.write(Buffer.from(' more'))
    down.end()
    pair.settle()
    t.equal(reply.sink.text, 'down more')
    t.equal(reply.events.at(-1), 'end')
    t.equal(last.events.at(-1), 'reply end')
  })

  if (factory.concurrent > 1)
    check('streams run side by side and are answered in any order', (t) => {
      const pair = pairOf()
      const first = ask(pair, requestHead('GET', '/1'))
      const second = ask(pair, requestHead('GET', '/2'))
      t.equal(pair.owner.served.length, 2)
      pair.owner.served[1]?.answer('2')
      pair.settle()
      t.strictSame([first.reply.events.length, second.reply.sink.text], [0, '2'])
      pair.owner.served[0]?.answer('1')
      pair.settle()
      t.equal(first.reply.sink.text, '1')
    })
}
