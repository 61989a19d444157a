/**
 * The smallest reverse proxy that can be made of the two HTTP/1 codecs, over real sockets: what
 * test/http1/corpus.test.ts judges. `node test/http1/corpus-proxy.ts BACKEND_PORT [PORT]` runs it alone.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import { wheel } from '../../proxy/base/timer-wheel.ts'
import type { BodySource } from '../../proxy/http/body.ts'
import type {
  ClientCodec,
  ClientCodecOwner,
  ReplyReceiver,
  ServerCodec,
  ServerCodecOwner,
  ServerStream,
  StreamOwner,
  UpstreamStream,
} from '../../proxy/http/codec.ts'
import { type RequestHead, ResponseHead } from '../../proxy/http/head.ts'
import { Http1ClientCodec } from '../../proxy/http1/client-codec.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { adoptAccepted } from '../../proxy/net/adopt.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { SocketDialer } from '../../proxy/net/dial.ts'
import type { DialReceiver, DialTarget } from '../../proxy/net/dialing.ts'

/** What happened, for the tests to count. */
export interface Ledger {
  requests: number
  refused: number
  aborted: number
  reused: number
}

export class CorpusProxy implements ServerCodecOwner, ClientCodecOwner {
  readonly ledger: Ledger = { requests: 0, refused: 0, aborted: 0, reused: 0 }
  readonly idle: ClientCodec[] = []
  readonly servers = new Set<ServerCodec>()
  readonly clients = new Set<ClientCodec>()
  private readonly target: DialTarget
  private readonly dialer = new SocketDialer(wheel)
  private readonly listener: Server

  constructor(backendPort: number) {
    this.target = {
      address: { address: '127.0.0.1', port: backendPort },
      timeoutMs: 2000,
      keepalive: undefined,
      sourceAddress: undefined,
    }
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
    this.listener = createServer(options, (socket: Socket) => this.accept(socket))
  }

  async open(port = 0): Promise<number> {
    await new Promise<void>((done) => this.listener.listen(port, '127.0.0.1', done))
    return (this.listener.address() as AddressInfo).port
  }

  private accept(socket: Socket): void {
    const codec = new Http1ServerCodec(adoptAccepted(socket, true), this)
    this.servers.add(codec)
    codec.start()
  }

  close(): void {
    this.listener.close()
    for (const codec of this.clients) codec.destroy()
    for (const codec of this.servers) codec.connection.destroy()
  }

  dial(receiver: DialReceiver): void {
    this.dialer.dial(this.target, receiver)
  }

  onStream(stream: ServerStream): void {
    this.ledger.requests++
    const relay = new Relay(this, stream)
    stream.owner = relay
    relay.start()
  }

  onRefused(): void {
    this.ledger.refused++
  }

  onCapacity(codec: ClientCodec): void {
    this.idle.push(codec)
  }

  onIdleLimit(): void {}

  onClosed(codec: ServerCodec | ClientCodec): void {
    this.servers.delete(codec as ServerCodec)
    this.clients.delete(codec as ClientCodec)
    const at = this.idle.indexOf(codec as ClientCodec)
    if (at >= 0) this.idle.splice(at, 1)
  }
}

class Relay implements StreamOwner, ReplyReceiver, DialReceiver {
  private readonly proxy: CorpusProxy
  private readonly stream: ServerStream
  private upstream: UpstreamStream | undefined = undefined
  private over = false

  constructor(proxy: CorpusProxy, stream: ServerStream) {
    this.proxy = proxy
    this.stream = stream
  }

  start(): void {
    const codec = this.proxy.idle.pop()
    if (codec === undefined) this.proxy.dial(this)
    else {
      this.proxy.ledger.reused++
      this.send(codec)
    }
  }

  onConnected(connection: Connection): void {
    if (this.over) {
      connection.destroy()
      return
    }
    const codec = new Http1ClientCodec(connection, this.proxy)
    this.proxy.clients.add(codec)
    this.send(codec)
  }

  onDialFailed(error: ProxyError): void {
    this.onFailure(error)
  }

  private send(codec: ClientCodec): void {
    const { head, body } = this.stream
    this.upstream = codec.open(head, body.length, this)
    if (body.length !== 0) body.flowInto(this.upstream.sink)
  }

  onRequestEnd(): void {}

  onReplyEnd(): void {
    this.over = true
  }

  onAbort(error: ProxyError): void {
    this.over = true
    this.proxy.ledger.aborted++
    this.upstream?.cancel(error)
  }

  onInform(head: ResponseHead): void {
    this.stream.inform(head)
  }

  onReply(head: ResponseHead, body: BodySource): void {
    const sink = this.stream.reply(head, body.length)
    body.flowInto(sink)
    if (body.length === -2) this.stream.body.flowInto(this.upstream!.sink)
  }

  onFailure(error: ProxyError): void {
    if (this.over) return
    if (this.stream.replied) {
      this.stream.reset(error)
      return
    }
    this.stream.body.cancel(error)
    const status = error.code === ErrorCode.UpstreamProtocol ? 502 : 503
    const text = Buffer.from(`${error.detail}\n`)
    const head = new ResponseHead(status)
    const sink = this.stream.reply(head, text.length)
    sink.write(text)
    sink.end()
  }
}

/** A failure for tests that need one. */
export function givenUp(side: Side = Side.Proxy): ProxyError {
  return new ProxyError(ErrorCode.Internal, side, { detail: 'given_up' })
}

export type { RequestHead }

if (import.meta.main) {
  const [backend = '18080', port = '0'] = process.argv.slice(2)
  const proxy = new CorpusProxy(Number(backend))
  console.log(await proxy.open(Number(port)))
}
