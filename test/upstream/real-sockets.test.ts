import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import t from 'tap'
import { clock } from '../../proxy/base/clock.ts'
import { ErrorCode, type ProxyError } from '../../proxy/base/errors.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { BodySink, BodySource } from '../../proxy/http/body.ts'
import type { ClientCodec, ReplyReceiver } from '../../proxy/http/codec.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { SocketDialer } from '../../proxy/net/dial.ts'
import { makeClientCodec } from '../../proxy/protocol/codecs.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import type { StreamWaiter } from '../../proxy/upstream/waiting.ts'
import { endpointSpec, pickOne, poolSettings, World } from './fakes.ts'

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** A server that calls `onRequest` for every head it reads. */
async function serve(
  onRequest: (socket: Socket) => void,
): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on('data', () => onRequest(socket))
    socket.on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

function realWorld(port: number, settings: Parameters<typeof poolSettings>[0] = {}) {
  const wheel = new TimerWheel()
  const world = new World({ dialer: new SocketDialer(wheel), makeClientCodec, wheel, clock })
  const cluster = world.cluster({ connectionPool: poolSettings(settings) }, [
    endpointSpec('127.0.0.1', { port }),
  ])
  return { world, cluster, wheel }
}

/** One GET; resolves with the status, or the error's code. */
class Get implements StreamWaiter, ReplyReceiver, BodySink {
  source: BodySource | undefined = undefined
  reused = false
  body = ''
  readonly result: Promise<number | ErrorCode>
  private status = 0
  private resolve!: (result: number | ErrorCode) => void

  constructor(endpoint: Endpoint) {
    this.result = new Promise((resolve) => {
      this.resolve = resolve
    })
    endpoint.pool.acquire(this)
  }

  onStream(codec: ClientCodec, reused: boolean): void {
    this.reused = reused
    const head = new RequestHead('GET', '/', 11, new Headers())
    head.setAuthority('web')
    codec.open(head, 0, this)
  }

  onNoStream(error: ProxyError): void {
    this.resolve(error.code)
  }

  onInform(): void {
    // None is sent.
  }

  onReply(head: { status: number }, body: BodySource): void {
    this.status = head.status
    body.flowInto(this)
  }

  onReplyEnd(): void {
    this.resolve(this.status)
  }

  onFailure(error: ProxyError): void {
    this.resolve(error.code)
  }

  write(chunk: Buffer): boolean {
    this.body += chunk.toString()
    return true
  }

  end(): void {
    // onReplyEnd follows.
  }

  fail(): void {
    // onFailure follows.
  }
}

t.test('requests over real sockets reuse one connection', async (t) => {
  const { server, port } = await serve((socket) => socket.write(answer))
  const { cluster } = realWorld(port)
  const endpoint = pickOne(cluster)
  for (let i = 0; i < 20; i++) {
    const get = new Get(endpoint)
    t.equal(await get.result, 200)
    t.equal(get.body, 'ok')
    t.equal(get.reused, i > 0)
  }
  t.same(cluster.held, { connections: 1, dials: 0, waiters: 0 })
  cluster.close()
  t.equal(cluster.held.connections, 0)
  server.close()
  await once(server, 'close')
})

t.test(
  'a server that closes after each reply without saying so costs no waiting request',
  async (t) => {
    const { server, port } = await serve((socket) => socket.end(answer))
    const { world, cluster } = realWorld(port, { maxConnections: 3 })
    const endpoint = pickOne(cluster)
    const results = await Promise.all(Array.from({ length: 300 }, () => new Get(endpoint).result))
    t.same(
      results.filter((result) => result !== 200),
      [],
    )
    t.equal(world.value('upstreamReuseRaces', [cluster.name]), 0)
    cluster.close()
    server.close()
    await once(server, 'close')
  },
)

t.test('a refused connection fails the request with errno and address', async (t) => {
  const { server, port } = await serve(() => undefined)
  server.close()
  await once(server, 'close')
  const { cluster, wheel } = realWorld(port)
  let told: ProxyError | undefined
  const { promise, resolve } = Promise.withResolvers<void>()
  pickOne(cluster).pool.acquire({
    onStream() {},
    onNoStream(error) {
      told = error
      resolve()
    },
  })
  await promise
  t.equal(told!.code, ErrorCode.ConnectFailure)
  t.ok(told!.retryable)
  t.match(told!.message, `127.0.0.1:${port}`)
  t.same(cluster.held, { connections: 0, dials: 0, waiters: 0 })
  t.equal(wheel.size, 0)
})

t.test('a server killed under load: every request ends, nothing is held', async (t) => {
  const sockets = new Set<Socket>()
  let answered = 0
  const { server, port } = await serve((socket) => {
    sockets.add(socket)
    if (++answered < 100) socket.write(answer)
    else for (const one of sockets) one.destroy()
  })
  const { cluster } = realWorld(port, { maxConnections: 8 })
  const endpoint = pickOne(cluster)
  const results = await Promise.all(
    Array.from({ length: 400 }, async () => new Get(endpoint).result),
  )
  t.ok(results.filter((result) => result === 200).length >= 99)
  t.equal(cluster.held.waiters, 0)
  t.equal(endpoint.active, 0)
  cluster.close()
  server.close()
  await once(server, 'close')
  t.same(cluster.held, { connections: 0, dials: 0, waiters: 0 })
})
