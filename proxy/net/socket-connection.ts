/**
 * Connection over net.Socket: the only file that touches socket events. Receives through `onread`
 * into recycled buffers (receive-buffers.ts), or, where a socket cannot do that, through `data`
 * events. Hot: bench/micro/connection.bench.ts.
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { Address } from './address.ts'
import { canonicalAddress } from './address.ts'
import type { ByteReceiver, Connection, PauseReason } from './connection.ts'
import { beginTurn, endTurn, Outlet, type OutletOwner } from './outlet.ts'
import { type ReceiveBuffer, receiveBuffers } from './receive-buffers.ts'

export { writeHighMark } from './outlet.ts'

const nobody: ByteReceiver = { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} }

/** Connections that are not closed: a leak counter. */
export const openConnections = { count: 0 }

export class SocketConnection implements Connection, OutletOwner {
  readonly side: Side
  readonly originalDestination: Address | undefined
  bytesRead = 0
  closing = false
  secured = false
  private socket: Socket | undefined = undefined
  private outlet: Outlet | undefined = undefined
  private receiver: ByteReceiver = nobody
  private pauses = 0
  private inRead = false
  private bulk = false
  private current: ReceiveBuffer = receiveBuffers.shared
  private failure: ProxyError | undefined = undefined
  private localAddress: Address | undefined
  private remoteAddress: Address | undefined = undefined
  private closed = false

  /** `local`: where it was accepted, if that is known. */
  constructor(side: Side, originalDestination?: Address, local?: Address) {
    this.side = side
    this.originalDestination = originalDestination
    this.localAddress = local
  }

  /** Options for a socket that shall receive into recycled buffers; then call `attach`. */
  onread(): { buffer: () => Uint8Array; callback: (read: number, buffer: Uint8Array) => boolean } {
    let asked = false
    return {
      buffer: () => {
        if (asked) return this.nextBuffer() as Uint8Array
        asked = true
        return this.current.bytes
      },
      callback: (read) => this.received(read),
    }
  }

  /** Takes the socket over. `viaData`: it cannot use onread. */
  attach(socket: Socket, viaData = false): void {
    this.socket = socket
    this.outlet = new Outlet(this, socket)
    openConnections.count++
    if (viaData) socket.on('data', (chunk: Buffer) => this.receivedData(chunk))
    socket.on('end', () => {
      // An alert of TLS comes as an error and then an end: that is no orderly one.
      if (this.failure === undefined) this.receiver.onEnd()
      else socket.destroy()
    })
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      this.failure ??= this.broken(cause.code ?? cause.message, cause)
    })
    socket.on('close', () => this.gone())
  }

  /** It continues that one, whose addresses are told as its own. */
  standFor(connection: Connection): void {
    this.localAddress = connection.local
    this.remoteAddress = connection.remote
  }

  get local(): Address {
    this.localAddress ??= {
      address: canonicalAddress(this.socket?.localAddress ?? ''),
      port: this.socket?.localPort ?? 0,
    }
    return this.localAddress
  }

  get remote(): Address {
    this.remoteAddress ??= {
      address: canonicalAddress(this.socket?.remoteAddress ?? ''),
      port: this.socket?.remotePort ?? 0,
    }
    return this.remoteAddress
  }

  get bytesWritten(): number {
    return this.outlet?.bytesWritten ?? 0
  }

  get queuedBytes(): number {
    return this.outlet?.queuedBytes ?? 0
  }

  receiveWith(receiver: ByteReceiver, already?: Buffer): void {
    this.receiver = receiver
    if (already !== undefined && already.length > 0) receiver.onBytes(already, 0, already.length)
    if (this.closed) receiver.onClose(this.failure)
  }

  write(bytes: Buffer): boolean {
    return this.outlet?.write(bytes) ?? true
  }

  writeText(text: string): boolean {
    return this.outlet?.writeText(text) ?? true
  }

  pause(reason: PauseReason): void {
    const wasFlowing = this.pauses === 0
    this.pauses |= reason
    if (wasFlowing && !this.inRead && !this.closed) this.socket?.pause()
  }

  resume(reason: PauseReason): void {
    if ((this.pauses & reason) === 0) return
    this.pauses &= ~reason
    this.flowAgain()
  }

  expectBulk(bulk: boolean): void {
    this.bulk = bulk
  }

  end(): void {
    if (this.closing) return
    this.closing = true
    this.outlet?.end()
  }

  destroy(error?: ProxyError): void {
    if (this.closed) return
    this.closing = true
    this.outlet?.abandon()
    this.failure ??= error
    this.socket?.destroy()
  }

  reset(error?: ProxyError): void {
    if (this.closed) return
    this.closing = true
    this.outlet?.abandon()
    this.failure ??= error
    const { socket } = this
    // TLS and unix sockets have no RST to send: what was agreed on is broken off. While a FIN is on its
    // way libuv refuses to reset, and Node then leaves the socket open.
    const ending = socket?.writableEnded === true && !socket.writableFinished
    if (ending || socket instanceof TLSSocket || socket?.remoteFamily === undefined)
      socket?.destroy()
    else socket.resetAndDestroy()
  }

  /** Part of the contract with ReceiveBuffers: the last write that borrowed our buffer is done. */
  onBufferReturned(): void {
    this.flowAgain()
  }

  /** Part of the contract with Outlet. */
  onFlushed(): void {
    clock.refresh()
    this.receiver.onWritable()
  }

  /** Part of the contract with Outlet. */
  onBroken(errno: number): void {
    this.failure ??= this.broken(getSystemErrorName(errno))
    this.closing = true
    this.socket?.destroy()
  }

  private received(read: number): boolean {
    clock.refresh()
    const buffer = this.current
    this.bytesRead += read
    beginTurn(buffer)
    this.inRead = true
    this.receiver.onBytes(buffer.bytes, 0, read)
    this.inRead = false
    endTurn()
    // A lent buffer that is about to be replaced (nextBuffer) holds up nothing, and would wake nobody.
    return this.pauses === 0 && (buffer.lends === 0 || this.bulk !== buffer.lendable)
  }

  private receivedData(chunk: Buffer): void {
    clock.refresh()
    this.bytesRead += chunk.length
    this.inRead = true
    this.receiver.onBytes(chunk, 0, chunk.length)
    this.inRead = false
    endTurn()
    if (this.pauses !== 0 && !this.closed) this.socket?.pause()
  }

  /** Asked after every read: undefined keeps the buffer. */
  private nextBuffer(): Uint8Array | undefined {
    if (this.bulk === this.current.lendable) return undefined
    const former = this.current
    former.borrower = undefined
    this.current = this.bulk ? receiveBuffers.take() : receiveBuffers.shared
    if (this.bulk) this.current.borrower = this
    receiveBuffers.abandon(former)
    return this.current.bytes
  }

  private flowAgain(): void {
    if (this.pauses !== 0 || this.inRead || this.current.lends > 0) return
    if (!this.closed && this.socket !== undefined && !this.socket.destroyed) this.socket.resume()
  }

  private gone(): void {
    this.closed = true
    this.closing = true
    openConnections.count--
    clock.refresh()
    this.outlet?.close()
    const current = this.current
    this.current = receiveBuffers.shared
    receiveBuffers.abandon(current)
    const receiver = this.receiver
    this.receiver = nobody
    receiver.onClose(this.failure)
  }

  private broken(errno: string, cause?: Error): ProxyError {
    const code = this.side === Side.Upstream ? ErrorCode.UpstreamClosed : ErrorCode.DownstreamClosed
    const message = `the connection broke: ${errno}`
    return new ProxyError(code, this.side, { cause, message })
  }
}
