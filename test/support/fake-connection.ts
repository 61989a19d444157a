/**
 * A scripted Connection: tests play the peer and the kernel. Bytes are handed over in one buffer that is
 * overwritten afterwards, so that a codec that keeps a part of it is found out. Nothing happens behind
 * the test's back: `settle` delivers what is due.
 */
import type { ProxyError } from '../../proxy/base/errors.ts'
import type { Address } from '../../proxy/net/address.ts'
import type { ByteReceiver, Connection, PauseReason } from '../../proxy/net/connection.ts'

type Incoming = Buffer | 'fin' | { readonly gone: ProxyError | undefined }

const nobody: ByteReceiver = { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} }
/** As the receive buffer of a worker: shared by all connections, its contents short-lived. */
const receiveBuffer = Buffer.alloc(256 * 1024)
let place = 0

export class FakeConnection implements Connection {
  readonly local: Address = { address: '127.0.0.1', port: 1 }
  readonly remote: Address = { address: '127.0.0.1', port: 2 }
  readonly originalDestination: Address | undefined = undefined
  bytesRead = 0
  bytesWritten = 0
  queuedBytes = 0
  closing = false
  /** All that was written, latin1. */
  written = ''
  /** What else was asked of it, in order: `end`, `destroy`, `reset`, `pause 1`, `resume 1`, `bulk`, `no bulk`. */
  readonly calls: string[] = []
  /** Writes return false while set. */
  full = false
  failure: ProxyError | undefined = undefined
  pauses = 0
  closed = false
  finSent = false
  private receiver: ByteReceiver = nobody
  private peer: FakeConnection | undefined = undefined
  private readonly incoming: Incoming[] = []
  private finSeen = false
  private settling = false

  /** What one writes the other receives. */
  static pair(): [FakeConnection, FakeConnection] {
    const [a, b] = [new FakeConnection(), new FakeConnection()]
    a.peer = b
    b.peer = a
    return [a, b]
  }

  get paused(): boolean {
    return this.pauses !== 0
  }

  // What the peer and the kernel do

  /** Bytes arrive, in one piece per element, and everything due happens. */
  deliver(...pieces: Array<string | Buffer>): this {
    for (const piece of pieces)
      if (piece.length > 0)
        this.incoming.push(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)
    return this.settle()
  }

  /** The peer sends FIN. */
  deliverEnd(): this {
    this.incoming.push('fin')
    return this.settle()
  }

  /** The connection breaks, or closes when both sides ended. */
  deliverClose(error?: ProxyError): this {
    this.incoming.push({ gone: error })
    return this.settle()
  }

  /** The kernel takes bytes again. */
  drain(): this {
    this.full = false
    this.queuedBytes = 0
    this.receiver.onWritable()
    return this.settle()
  }

  /** Delivers what has arrived, as far as reading is not paused. */
  settle(): this {
    if (this.settling) return this
    this.settling = true
    while (!this.closed && this.step());
    this.settling = false
    return this
  }

  /** Takes what was written so far. */
  take(): string {
    const text = this.written
    this.written = ''
    return text
  }

  private step(): boolean {
    if (this.failureDue()) return true
    if (this.pauses !== 0) return false
    const next = this.incoming.shift()
    if (next === undefined) return this.closeWhenBothEnded()
    if (next === 'fin') {
      this.finSeen = true
      this.receiver.onEnd()
    } else if (Buffer.isBuffer(next)) this.receive(next)
    else {
      this.failure = next.gone
      this.finish()
    }
    return true
  }

  private receive(bytes: Buffer): void {
    this.bytesRead += bytes.length
    if (place + bytes.length > receiveBuffer.length) place = 0
    const start = place
    const end = start + bytes.length
    bytes.copy(receiveBuffer, start)
    place = (end + 7) % 4096
    this.receiver.onBytes(receiveBuffer, start, end)
    receiveBuffer.fill(0xdb, start, end)
  }

  private failureDue(): boolean {
    const destroyed = this.calls.includes('destroy') || this.calls.includes('reset')
    if (!destroyed) return false
    this.finish()
    return true
  }

  private closeWhenBothEnded(): boolean {
    if (!this.finSeen || !this.closing) return false
    this.finish()
    return true
  }

  private finish(): void {
    this.closed = true
    this.closing = true
    const { receiver } = this
    this.receiver = nobody
    receiver.onClose(this.failure)
  }

  // Connection

  receiveWith(receiver: ByteReceiver, already?: Buffer): void {
    this.receiver = receiver
    if (already !== undefined && already.length > 0) this.receive(already)
  }

  write(bytes: Buffer): boolean {
    return this.writeText(bytes.toString('latin1'))
  }

  writeText(text: string): boolean {
    if (this.closing) return true
    this.bytesWritten += text.length
    this.written += text
    if (this.full) this.queuedBytes += text.length
    this.peer?.incoming.push(Buffer.from(text, 'latin1'))
    return !this.full
  }

  pause(reason: PauseReason): void {
    this.calls.push(`pause ${reason}`)
    this.pauses |= reason
  }

  resume(reason: PauseReason): void {
    if ((this.pauses & reason) === 0) return
    this.calls.push(`resume ${reason}`)
    this.pauses &= ~reason
  }

  expectBulk(bulk: boolean): void {
    this.calls.push(bulk ? 'bulk' : 'no bulk')
  }

  end(): void {
    if (this.closing) return
    this.closing = true
    this.finSent = true
    this.calls.push('end')
    this.peer?.incoming.push('fin')
  }

  destroy(error?: ProxyError): void {
    if (this.closed || this.calls.includes('destroy')) return
    this.closing = true
    this.failure ??= error
    this.calls.push('destroy')
    if (!this.finSent) this.peer?.incoming.push('fin')
  }

  reset(error?: ProxyError): void {
    if (this.closed || this.calls.includes('reset')) return
    this.closing = true
    this.failure ??= error
    this.calls.push('reset')
    this.peer?.incoming.push({ gone: error })
  }
}

/** Lets two connected sides talk until neither has anything left to say. */
export function settlePair(a: FakeConnection, b: FakeConnection): void {
  for (let i = 0; i < 8; i++) {
    a.settle()
    b.settle()
  }
}
