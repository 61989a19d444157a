/** A Connection as a stream of Node, for what works on streams only: TLS over what is not a bare socket. */
import { Duplex } from 'node:stream'
import type { ProxyError } from '../base/errors.ts'
import { type ByteReceiver, type Connection, PauseReason } from './connection.ts'

export class ConnectionStream extends Duplex implements ByteReceiver {
  private readonly connection: Connection
  private written: (() => void) | undefined = undefined

  constructor(connection: Connection) {
    super({ allowHalfOpen: true })
    this.connection = connection
    connection.receiveWith(this)
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    if (!this.push(Buffer.from(buffer.subarray(start, end))))
      this.connection.pause(PauseReason.Sink)
  }

  onEnd(): void {
    this.push(null)
  }

  onClose(error: ProxyError | undefined): void {
    this.onWritable()
    this.destroy(error)
  }

  onWritable(): void {
    const { written } = this
    this.written = undefined
    written?.()
  }

  override _read(): void {
    this.connection.resume(PauseReason.Sink)
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.connection.write(chunk)) done()
    else this.written = done
  }

  override _final(done: () => void): void {
    this.connection.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.connection.destroy()
    done(error)
  }
}
