/**
 * Where sockets receive: one buffer shared by all connections of a worker for heads and small
 * messages, and recycled large ones for connections through which a body or a splice flows. Nothing
 * is allocated per read. Hot: bench/micro/splice.bench.ts, ../reference figures in docs/performance.md.
 */
import type { Buffer as NodeBuffer } from 'node:buffer'

/** A body of 64 KiB and its head are one read. */
export const sharedBytes = 128 * 1024
export const bulkBytes = 256 * 1024
/** Handed out instead of large ones once the worker has this much in flight. */
export const frugalBytes = 32 * 1024
const bulkBudgetBytes = 32 * 1024 * 1024
const keptIdle = 8

/** A buffer a connection reads into. */
export class ReceiveBuffer {
  readonly bytes: NodeBuffer
  /** False for the shared one: what must outlive the read has to be copied. */
  readonly lendable: boolean
  /** Writes that still refer to it: it must not be read into meanwhile. */
  lends = 0
  /** The connection that reads into it has let go of it. */
  abandoned = false
  /** Told when the last lend is returned. */
  borrower: { onBufferReturned(): void } | undefined = undefined

  constructor(size: number, lendable: boolean) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.lendable = lendable
  }
}

class ReceiveBuffers {
  readonly shared = new ReceiveBuffer(sharedBytes, false)
  private readonly idle: ReceiveBuffer[] = []
  /** Bytes of large buffers in use by connections or writes: shown as a gauge. */
  inFlightBytes = 0

  take(): ReceiveBuffer {
    const recycled = this.inFlightBytes < bulkBudgetBytes ? this.idle.pop() : undefined
    const size = this.inFlightBytes < bulkBudgetBytes ? bulkBytes : frugalBytes
    const buffer = recycled ?? new ReceiveBuffer(size, true)
    buffer.abandoned = false
    this.inFlightBytes += buffer.bytes.length
    return buffer
  }

  /** A recycled buffer that begins with `bytes`: allocating one per chunk would keep the collector busy. */
  copyOf(bytes: NodeBuffer): ReceiveBuffer {
    const recycled = this.take()
    const fits = recycled.bytes.length >= bytes.length
    const copy = fits ? recycled : new ReceiveBuffer(bytes.length, true)
    if (!fits) {
      this.abandon(recycled)
      this.inFlightBytes += copy.bytes.length
    }
    bytes.copy(copy.bytes)
    return copy
  }

  /** The reader needs it no more; it is recycled at once, or when the last write has let go. */
  abandon(buffer: ReceiveBuffer): void {
    if (!buffer.lendable) return
    buffer.abandoned = true
    buffer.borrower = undefined
    if (buffer.lends === 0) this.recycle(buffer)
  }

  /** A write that kept a part of `buffer` is done with it. */
  returned(buffer: ReceiveBuffer): void {
    buffer.lends--
    if (buffer.lends > 0) return
    if (buffer.abandoned) this.recycle(buffer)
    else buffer.borrower?.onBufferReturned()
  }

  /** Those kept for later are given up: the thread has come to rest. */
  release(): void {
    this.idle.length = 0
  }

  private recycle(buffer: ReceiveBuffer): void {
    this.inFlightBytes -= buffer.bytes.length
    if (buffer.bytes.length === bulkBytes && this.idle.length < keptIdle) this.idle.push(buffer)
  }
}

/** Those of this thread. */
export const receiveBuffers = new ReceiveBuffers()
