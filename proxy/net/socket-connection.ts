/**
 * Connection over net.Socket: the only file that touches socket events. Receives through `onread`
 * into recycled buffers (receive-buffers.ts), or, where a socket cannot do that, through `data`
 * events. Hot: bench/micro/connection.bench.ts.
 */
import type { Socket } from 'node:net'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { Address } from './address.ts'
import { canonicalAddress } from './address.ts'
import type { ByteReceiver, Connection, PauseReason } from './connection.ts'
import { type ReceiveBuffer, receiveBuffers } from './receive-buffers.ts'

/** Writes from here on are passed on without a copy; smaller ones are joined and copied. */
export const writeHighMark = 16 * 1024

const nobody: ByteReceiver = { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} }

/** What is being read right now in this thread: writes of parts of it must copy or borrow. */
let reading: ReceiveBuffer | undefined
/** Connections with text held back until the end of the turn. */
const holding: SocketConnection[] = []
let flushScheduled = false

/** Connections that are not closed: a leak counter. */
export const openConnections = { count: 0 }

export class SocketConnection implements Connection {
  readonly side: Side
  readonly originalDestination: Address | undefined
  bytesRead = 0
  bytesWritten = 0
  closing = false
  private socket: Socket | undefined = undefined
  private receiver: ByteReceiver = nobody
  private pauses = 0
  private inRead = false
  private bulk = false
  private current: ReceiveBuffer = receiveBuffers.shared
  /** Held back latin1 text, and whether the socket is above its high mark. */
  private held = ''
  private blocked = false
  /** Buffers of other connections that our queued writes refer to; nearly always none or one. */
  private readonly borrowed: ReceiveBuffer[] = []
  private failure: ProxyError | undefined = undefined
  private localAddress: Address | undefined = undefined
  private remoteAddress: Address | undefined = undefined
  private closed = false

  constructor(side: Side, originalDestination?: Address) {
    this.side = side
    this.originalDestination = originalDestination
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
    openConnections.count++
    if (viaData) socket.on('data', (chunk: Buffer) => this.receivedData(chunk))
    socket.on('end', () => this.receiver.onEnd())
    socket.on('drain', () => this.drained())
    socket.on('error', (cause: Error) => {
      this.failure ??= this.broken(cause)
    })
    socket.on('close', () => this.gone())
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

  get queuedBytes(): number {
    return this.held.length + (this.socket?.writableLength ?? 0)
  }

  receiveWith(receiver: ByteReceiver, already?: Buffer): void {
    this.receiver = receiver
    if (already !== undefined && already.length > 0) receiver.onBytes(already, 0, already.length)
    if (this.closed) receiver.onClose(this.failure)
  }

  write(bytes: Buffer): boolean {
    const socket = this.socket
    if (socket === undefined || this.closing) return true
    this.bytesWritten += bytes.length
    if (bytes.length < writeHighMark) {
      const text = this.takeHeld()
      if (text !== '' || this.isBorrowed(bytes))
        socket.write(text + bytes.toString('latin1'), 'latin1')
      else socket.write(bytes)
    } else this.writeLarge(socket, bytes)
    if (!socket.writableNeedDrain || socket.writableLength === 0) return true
    this.blocked = true
    return false
  }

  writeText(text: string): boolean {
    if (this.socket === undefined || this.closing) return true
    this.bytesWritten += text.length
    if (this.held === '') {
      holding.push(this)
      if (reading === undefined && !flushScheduled) {
        flushScheduled = true
        process.nextTick(flushHolding)
      }
      this.held = text
    } else this.held += text
    return !this.blocked
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
    this.flush()
    this.closing = true
    this.socket?.end()
  }

  destroy(error?: ProxyError): void {
    if (this.closed) return
    this.closing = true
    this.held = ''
    this.failure ??= error
    this.socket?.destroy()
  }

  reset(error?: ProxyError): void {
    if (this.closed) return
    this.closing = true
    this.held = ''
    this.failure ??= error
    this.socket?.resetAndDestroy()
  }

  /** Part of the contract with ReceiveBuffers: the last write that borrowed our buffer is done. */
  onBufferReturned(): void {
    this.flowAgain()
  }

  /** Sends the text held back. */
  flush(): void {
    const text = this.takeHeld()
    if (text !== '' && !this.closing) {
      this.socket?.write(text, 'latin1')
      if (this.socket?.writableNeedDrain === true && this.socket.writableLength > 0)
        this.blocked = true
    }
  }

  private takeHeld(): string {
    const text = this.held
    if (text !== '') this.held = ''
    return text
  }

  private isBorrowed(bytes: Buffer): boolean {
    return reading !== undefined && bytes.buffer === reading.bytes.buffer
  }

  private writeLarge(socket: Socket, bytes: Buffer): void {
    const text = this.takeHeld()
    const source = this.isBorrowed(bytes) ? reading : undefined
    // Only from the high mark on does the socket tell by `drain` that it is done with a buffer.
    const tells = socket.writableLength + bytes.length >= socket.writableHighWaterMark
    const lent = source !== undefined && tells ? lendable(source, bytes) : undefined
    let own = bytes
    if (lent !== source) own = lent?.bytes.subarray(0, bytes.length) ?? Buffer.from(bytes)
    if (text !== '') {
      socket.cork()
      socket.write(text, 'latin1')
    }
    socket.write(own)
    if (text !== '') socket.uncork()
    if (lent !== undefined && socket.writableLength > 0) this.borrow(lent)
    if (lent !== undefined && lent !== source) receiveBuffers.abandon(lent)
  }

  private borrow(source: ReceiveBuffer): void {
    if (this.borrowed.includes(source)) return
    source.lends++
    this.borrowed.push(source)
  }

  private received(read: number): boolean {
    clock.refresh()
    const buffer = this.current
    this.bytesRead += read
    reading = buffer
    this.inRead = true
    this.receiver.onBytes(buffer.bytes, 0, read)
    this.inRead = false
    if (holding.length > 0) flushHolding()
    reading = undefined
    // A lent buffer that is about to be replaced (nextBuffer) holds up nothing, and would wake nobody.
    return this.pauses === 0 && (buffer.lends === 0 || this.bulk !== buffer.lendable)
  }

  private receivedData(chunk: Buffer): void {
    clock.refresh()
    this.bytesRead += chunk.length
    this.inRead = true
    this.receiver.onBytes(chunk, 0, chunk.length)
    this.inRead = false
    if (holding.length > 0) flushHolding()
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

  private drained(): void {
    if (this.socket === undefined || this.socket.writableLength > 0) return
    this.returnBorrowed()
    if (!this.blocked) return
    this.blocked = false
    clock.refresh()
    this.receiver.onWritable()
  }

  private returnBorrowed(): void {
    for (let last = this.borrowed.pop(); last !== undefined; last = this.borrowed.pop())
      receiveBuffers.returned(last)
  }

  private gone(): void {
    this.closed = true
    this.closing = true
    this.held = ''
    openConnections.count--
    clock.refresh()
    this.returnBorrowed()
    const current = this.current
    this.current = receiveBuffers.shared
    receiveBuffers.abandon(current)
    const receiver = this.receiver
    this.receiver = nobody
    receiver.onClose(this.failure)
  }

  private broken(cause: Error): ProxyError {
    const code = this.side === Side.Upstream ? ErrorCode.UpstreamClosed : ErrorCode.DownstreamClosed
    const errno = (cause as NodeJS.ErrnoException).code ?? cause.message
    return new ProxyError(code, this.side, { cause, message: `the connection broke: ${errno}` })
  }
}

/** The buffer being read where it may be lent, else a recycled copy of `bytes`. */
function lendable(source: ReceiveBuffer, bytes: Buffer): ReceiveBuffer {
  return source.lendable ? source : receiveBuffers.copyOf(bytes)
}

function flushHolding(): void {
  flushScheduled = false
  for (let i = 0; i < holding.length; i++) holding[i]!.flush()
  holding.length = 0
}
