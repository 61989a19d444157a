/**
 * The body of a message being received: takes the framing off and hands the bytes on, part by part of
 * the receive buffer. Hot: bench/micro/http1-chunked.bench.ts.
 */

import type { ProxyError } from '../base/errors.ts'
import { invariant } from '../base/invariant.ts'
import { BodyKind, type BodyLength, type BodySink, type BodySource } from '../http/body.ts'
import type { Headers } from '../http/headers.ts'
import { type Connection, PauseReason } from '../net/connection.ts'
import { ChunkedReader } from './chunked.ts'
import { type Fault, incomplete } from './faults.ts'
import { type HeadLimits, parsed, parseTrailers } from './parse-head.ts'

/** The codec whose message this is. */
export interface BodyReaderOwner {
  readonly connection: Connection
  readonly limits: HeadLimits
  /** Offer kept bytes: the body can take some again. */
  pump(): void
  /** The body was read to its end and the sink told so. */
  onBodyRead(reader: BodyReader): void
  /** The framing is broken; the sink hears of it through `fail`. */
  onBodyFault(reader: BodyReader, fault: Fault): void
  /** Nobody wants the rest. */
  onBodyCancelled(reader: BodyReader, error: ProxyError): void
}

/** Bodies longer than this are read into large buffers. */
const bulkBytes = 32 * 1024
/** Bodies of unknown length are taken for long from here on. */
const bulkAfterBytes = 64 * 1024

const State = {
  Open: 0,
  Done: 1,
  Failed: 2,
  /** There is no body, and the sink has not been told so. */
  Empty: 3,
} as const
type State = (typeof State)[keyof typeof State]

/** Swallows what nobody wants. */
const drain: BodySink = {
  source: undefined,
  write: () => true,
  end() {},
  fail() {},
}

export class BodyReader implements BodySource {
  length: BodyLength
  bytes = 0
  /** The sink said stop. */
  holding = false
  /** Bytes were left because more are needed (trailers that straddle reads). */
  starved = false
  private readonly owner: BodyReaderOwner
  private state: State
  private sink: BodySink | undefined = undefined
  private remaining: number
  private chunks: ChunkedReader | undefined
  private bulk = false

  /** `untilClose`: without chunks, up to the end of the connection. */
  constructor(owner: BodyReaderOwner, length: BodyLength, untilClose: boolean) {
    this.owner = owner
    this.length = length
    this.remaining = length
    this.chunks = length === BodyKind.Unknown && !untilClose ? new ChunkedReader() : undefined
    this.state = length === 0 ? State.Empty : State.Open
  }

  /** Every byte of it was read. */
  get done(): boolean {
    return this.state === State.Done || this.state === State.Empty
  }

  get open(): boolean {
    return this.state === State.Open
  }

  /** Its end is told by the framing, not by the end of the connection. */
  get counted(): boolean {
    return this.length >= 0 || this.chunks !== undefined
  }

  /** Someone takes the bytes, if only to drop them. */
  get wanted(): boolean {
    return this.sink !== undefined
  }

  flowInto(sink: BodySink): void {
    invariant(this.sink === undefined || this.sink === drain, 'a body flows into one sink only')
    sink.source = this
    if (this.state === State.Failed || this.sink === drain) return
    this.sink = sink
    if (this.state !== State.Open) {
      this.finish(undefined)
      return
    }
    if (this.length > bulkBytes || this.length === BodyKind.Tunnel) this.expectBulk()
    this.owner.pump()
  }

  resume(): void {
    if (!this.holding) return
    this.holding = false
    this.owner.pump()
    if (!this.holding) this.owner.connection.resume(PauseReason.Sink)
  }

  cancel(error: ProxyError): void {
    if (this.state !== State.Open && this.state !== State.Empty) return
    this.discard()
    this.owner.onBodyCancelled(this, error)
  }

  /** From now on the bytes are read and dropped. */
  discard(): void {
    this.sink = drain
    if (!this.holding) return
    this.holding = false
    this.owner.connection.resume(PauseReason.Sink)
  }

  /** The message was an upgrade or CONNECT that succeeded: raw bytes follow. */
  becomeTunnel(): void {
    this.length = BodyKind.Tunnel
    this.chunks = undefined
    this.state = State.Open
  }

  /** Takes what it can of `bytes[start, end)`; returns the offset of the first byte not taken. */
  feed(bytes: Buffer, start: number, end: number): number {
    this.starved = false
    if (this.sink === undefined) return start
    if (this.length >= 0) return this.feedCounted(bytes, start, end)
    if (this.chunks !== undefined) return this.feedChunks(this.chunks, bytes, start, end)
    this.deliver(bytes, start, end)
    return end
  }

  /** The connection has no more bytes; true if that is a proper end of this body. */
  finishAtClose(): boolean {
    if (this.counted || this.state !== State.Open) return false
    this.finish(undefined)
    return true
  }

  /** Tells the sink that the rest will never come. */
  fail(error: ProxyError): void {
    if (this.state !== State.Open) return
    this.state = State.Failed
    this.release()
    this.sink?.fail(error)
  }

  private feedCounted(bytes: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.remaining)
    this.remaining -= stop - start
    this.deliver(bytes, start, stop)
    if (this.remaining === 0 && this.state === State.Open) this.finish(undefined)
    return stop
  }

  private feedChunks(chunks: ChunkedReader, bytes: Buffer, start: number, end: number): number {
    let at = start
    while (at < end && this.state === State.Open && !this.holding) {
      if (chunks.atTrailers) return this.feedTrailers(bytes, at, end)
      at = chunks.advance(bytes, at, end)
      if (chunks.fault !== 0) {
        this.owner.onBodyFault(this, chunks.fault)
        return end
      }
      if (chunks.atTrailers) continue
      const stop = Math.min(end, at + chunks.remaining)
      if (stop > at) {
        chunks.took(stop - at)
        this.deliver(bytes, at, stop)
        at = stop
      }
    }
    return at
  }

  private feedTrailers(bytes: Buffer, start: number, end: number): number {
    const at = parseTrailers(bytes, start, end, this.owner.limits)
    if (at === incomplete) {
      this.starved = true
      return start
    }
    if (at < 0) {
      this.owner.onBodyFault(this, at as Fault)
      return end
    }
    this.finish(parsed.trailers)
    return at
  }

  private deliver(bytes: Buffer, start: number, end: number): void {
    if (start === end) return
    this.bytes += end - start
    if (!this.bulk && this.length < 0 && this.bytes > bulkAfterBytes) this.expectBulk()
    if (this.give(this.sink!, bytes, start, end)) return
    if (this.state !== State.Open || this.sink === drain) return
    this.holding = true
    this.owner.connection.pause(PauseReason.Sink)
  }

  private give(sink: BodySink, bytes: Buffer, start: number, end: number): boolean {
    if (sink.writePart !== undefined) return sink.writePart(bytes, start, end)
    const whole = start === 0 && end === bytes.length
    return sink.write(whole ? bytes : bytes.subarray(start, end))
  }

  private finish(trailers: Headers | undefined): void {
    this.state = State.Done
    this.release()
    this.sink?.end(trailers)
    this.owner.onBodyRead(this)
  }

  private expectBulk(): void {
    this.bulk = true
    this.owner.connection.expectBulk(true)
  }

  private release(): void {
    if (this.bulk) this.owner.connection.expectBulk(false)
    this.bulk = false
    if (!this.holding) return
    this.holding = false
    this.owner.connection.resume(PauseReason.Sink)
  }
}
