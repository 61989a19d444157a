/**
 * What everything above the sockets sees of one byte connection. One receiver at a time: detection
 * hands the connection on to a codec or a splice. Implemented by socket-connection.ts, and by
 * scripted fakes in tests.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Address } from './address.ts'

export interface ByteReceiver {
  /**
   * Bytes `buffer[start, end)` arrived. They are valid during the call only: the buffer is recycled.
   * Passing a part of it to `Connection.write` during the call is safe; keeping it needs a copy.
   */
  onBytes(buffer: Buffer, start: number, end: number): void
  /** The peer will send no more (FIN). Writing may go on. */
  onEnd(): void
  /** The connection is gone. Called exactly once, last of all. `error` is undefined after an orderly close. */
  onClose(error: ProxyError | undefined): void
  /** After a write returned false: what was queued is with the kernel now. */
  onWritable(): void
}

/** Bits: reads flow only when no reason is left. */
export const PauseReason = { Sink: 1, Codec: 2, Handover: 4 } as const
export type PauseReason = (typeof PauseReason)[keyof typeof PauseReason]

export interface Connection {
  readonly local: Address
  readonly remote: Address
  /** Before iptables rewrote it; undefined when the connection was not captured. */
  readonly originalDestination: Address | undefined
  /** It came in TLS, which was ended here. */
  readonly secured?: boolean
  /** Payload bytes so far. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Bytes written that are not yet with the kernel: a lingering close waits for them. */
  readonly queuedBytes: number
  /** True from the first end() or destroy(). */
  readonly closing: boolean

  /** Makes `receiver` the one that gets bytes and events; `already` (read by a former receiver) comes first, at once. */
  receiveWith(receiver: ByteReceiver, already?: Buffer): void
  /**
   * Queues bytes. False: above the high mark, stop until onWritable. The bytes may be part of the
   * buffer being received right now; any other memory must not be changed by the caller afterwards.
   */
  write(bytes: Buffer): boolean
  /** Queues latin1 text; it leaves together with what is written next, at the latest at the end of this turn. */
  writeText(text: string): boolean
  pause(reason: PauseReason): void
  resume(reason: PauseReason): void
  /** True while a large body or a splice flows: reads go into large buffers of the connection's own. */
  expectBulk(bulk: boolean): void
  /** Sends what is queued, then FIN. Reading goes on until the peer ends too. */
  end(): void
  /** Closes at once, dropping what is queued. */
  destroy(error?: ProxyError): void
  /** Closes at once with RST, so that the peer sees a broken connection. */
  reset(error?: ProxyError): void
}
