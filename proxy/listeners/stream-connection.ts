/** A CONNECT tunnel seen as a Connection, so that opaque forwarding need not know where it runs. */
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { BodySink, BodySource } from '../http/body.ts'
import type { ServerStream, StreamOwner } from '../http/codec.ts'
import type { Address } from '../net/address.ts'
import type { ByteReceiver, Connection, PauseReason } from '../net/connection.ts'

export class StreamConnection implements Connection, StreamOwner {
  readonly local: Address
  readonly remote: Address
  readonly originalDestination = undefined
  bytesRead = 0
  bytesWritten = 0
  closing = false
  /** From the client's side: set when its bytes begin to flow. */
  source: BodySource | undefined = undefined
  private readonly stream: ServerStream
  private receiver: ByteReceiver | undefined = undefined
  private sink: BodySink | undefined = undefined
  private pauses = 0
  private closed = false
  private failure: ProxyError | undefined = undefined

  constructor(stream: ServerStream) {
    this.stream = stream
    this.local = stream.connection.local
    this.remote = stream.connection.remote
  }

  /** The tunnel stands: `sink` goes to the client, the stream's body comes from it. */
  open(sink: BodySink): void {
    this.sink = sink
    const writable = { resume: () => this.receiver?.onWritable(), cancel: () => undefined }
    sink.source = { length: -2, bytes: 0, flowInto: () => undefined, ...writable }
    if (this.failure !== undefined) this.stream.reset(this.failure)
    else if (this.pauses === 0) this.flow()
  }

  get queuedBytes(): number {
    return this.stream.connection.queuedBytes
  }

  receiveWith(receiver: ByteReceiver, already?: Buffer): void {
    this.receiver = receiver
    if (already !== undefined && already.length > 0) receiver.onBytes(already, 0, already.length)
    if (this.closed) receiver.onClose(this.failure)
  }

  pause(reason: PauseReason): void {
    this.pauses |= reason
  }

  resume(reason: PauseReason): void {
    if ((this.pauses & reason) === 0) return
    this.pauses &= ~reason
    if (this.pauses !== 0 || this.sink === undefined) return
    if (this.source === undefined) this.flow()
    else this.source.resume()
  }

  expectBulk(bulk: boolean): void {
    this.stream.connection.expectBulk(bulk)
  }

  writeText(text: string): boolean {
    return this.write(Buffer.from(text, 'latin1'))
  }

  write(bytes: Buffer): boolean {
    this.bytesWritten += bytes.length
    return this.sink?.write(bytes) ?? false
  }

  end(): void {
    if (this.closing) return
    this.closing = true
    this.sink?.end()
  }

  destroy(error?: ProxyError): void {
    this.reset(error)
  }

  reset(error?: ProxyError): void {
    this.closing = true
    this.failure ??= error
    if (this.sink === undefined) return
    const message = 'the tunnel was closed'
    this.stream.reset(error ?? new ProxyError(ErrorCode.Internal, Side.Proxy, { message }))
    this.gone(error)
  }

  fail(error: ProxyError): void {
    this.gone(error)
  }

  // --- StreamOwner
  onRequestEnd(): void {
    // The CONNECT request itself: what follows are the client's bytes.
  }

  onReplyEnd(): void {
    this.gone(undefined)
  }

  onAbort(error: ProxyError): void {
    this.gone(error)
  }

  private flow(): void {
    this.stream.body.flowInto(new FromClient(this))
  }

  /** The client sends no more. */
  finished(): void {
    this.receiver?.onEnd()
  }

  /** Bytes of the client. */
  received(chunk: Buffer): boolean {
    this.bytesRead += chunk.length
    this.receiver?.onBytes(chunk, 0, chunk.length)
    return this.pauses === 0
  }

  private gone(error: ProxyError | undefined): void {
    if (this.closed) return
    this.closed = true
    this.closing = true
    this.receiver?.onClose(error ?? this.failure)
  }
}

/** Where the client's bytes go. */
class FromClient implements BodySink {
  private readonly tunnel: StreamConnection

  constructor(tunnel: StreamConnection) {
    this.tunnel = tunnel
  }

  get source(): BodySource | undefined {
    return this.tunnel.source
  }

  set source(source: BodySource | undefined) {
    this.tunnel.source = source
  }

  write(chunk: Buffer): boolean {
    return this.tunnel.received(chunk)
  }

  end(): void {
    this.tunnel.finished()
  }

  fail(error: ProxyError): void {
    this.tunnel.fail(error)
  }
}
