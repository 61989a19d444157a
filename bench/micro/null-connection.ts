/** A Connection that swallows what is written: what the codecs cost without any socket. */
import type { ByteReceiver, Connection } from '../../proxy/net/connection.ts'

const nobody: ByteReceiver = { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} }

export class NullConnection implements Connection {
  readonly local = { address: '127.0.0.1', port: 1 }
  readonly remote = { address: '127.0.0.1', port: 2 }
  readonly originalDestination = undefined
  readonly bytesRead = 0
  bytesWritten = 0
  readonly queuedBytes = 0
  closing = false
  receiver: ByteReceiver = nobody

  receiveWith(receiver: ByteReceiver): void {
    this.receiver = receiver
  }
  write(bytes: Buffer): boolean {
    this.bytesWritten += bytes.length
    return true
  }
  writeText(text: string): boolean {
    this.bytesWritten += text.length
    return true
  }
  pause(): void {}
  resume(): void {}
  expectBulk(): void {}
  end(): void {}
  destroy(): void {}
  reset(): void {}
}
