/** Bodies of replies that are made or spoilt on purpose (try-fault.ts). */
import type { ProxyError } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { BodyLength, BodySink, BodySource } from '../http/body.ts'
import type { Headers } from '../http/headers.ts'

/** A short text as a body. */
export class TextBody implements BodySource {
  readonly length: BodyLength
  bytes = 0
  private readonly text: string
  private readonly done: () => void

  constructor(text: string, done: () => void) {
    this.text = text
    this.done = done
    this.length = text.length
  }

  flowInto(sink: BodySink): void {
    sink.source = this
    this.bytes = this.text.length
    if (this.bytes > 0) sink.write(Buffer.from(this.text, 'latin1'))
    sink.end()
    this.done()
  }

  resume(): void {
    // All of it left at once.
  }

  cancel(): void {
    // There is nobody to tell.
  }
}

/** Lets a body pass up to a number of bytes, then breaks it off. */
export class BrokenBody implements BodySource, BodySink {
  readonly length: BodyLength
  bytes = 0
  source: BodySource | undefined = undefined
  private readonly inner: BodySource
  private readonly afterBytes: number
  private readonly onCut: (sink: BodySink) => void
  private sink: BodySink | undefined = undefined
  private broken = false

  /** `onCut` fails the sink, or breaks its connection. */
  constructor(inner: BodySource, afterBytes: number, onCut: (sink: BodySink) => void) {
    this.inner = inner
    this.length = inner.length
    this.afterBytes = afterBytes
    this.onCut = onCut
  }

  flowInto(sink: BodySink): void {
    this.sink = sink
    sink.source = this
    if (this.afterBytes === 0) this.cut()
    else this.inner.flowInto(this)
  }

  resume(): void {
    this.inner.resume()
  }

  cancel(error: ProxyError): void {
    this.inner.cancel(error)
  }

  write(chunk: Buffer): boolean {
    if (this.broken) return false
    const left = this.afterBytes - this.bytes
    if (chunk.length < left) {
      this.bytes += chunk.length
      return this.sink!.write(chunk)
    }
    this.bytes += left
    this.sink!.write(chunk.subarray(0, left))
    this.cut()
    return false
  }

  end(trailers?: Headers): void {
    if (!this.broken) this.sink!.end(trailers)
  }

  fail(error: ProxyError): void {
    if (!this.broken) this.sink!.fail(error)
  }

  private cut(): void {
    this.broken = true
    this.onCut(this.sink!)
  }
}

/** How often a slow body gets its share. */
const stepMs = 100

/** Lets a body pass at so many bytes a second, and holds its source meanwhile. */
export class SlowBody implements BodySource, BodySink, DeadlineOwner {
  readonly length: BodyLength
  bytes = 0
  source: BodySource | undefined = undefined
  private readonly inner: BodySource
  private readonly wheel: TimerWheel
  private readonly perStep: number
  private readonly timer = new Timer(this)
  private sink: BodySink | undefined = undefined
  /** Bytes that may pass before the next step. */
  private allowed: number
  private held: Buffer | undefined = undefined
  private ended: { readonly trailers: Headers | undefined } | undefined = undefined
  private sinkFull = false
  private over = false

  constructor(inner: BodySource, bytesPerSecond: number, wheel: TimerWheel) {
    this.inner = inner
    this.length = inner.length
    this.wheel = wheel
    this.perStep = Math.max(1, Math.floor((bytesPerSecond * stepMs) / 1000))
    this.allowed = this.perStep
  }

  flowInto(sink: BodySink): void {
    this.sink = sink
    sink.source = this
    this.inner.flowInto(this)
  }

  resume(): void {
    this.sinkFull = false
    if (!this.timer.armed) this.flow()
  }

  cancel(error: ProxyError): void {
    this.stop()
    this.inner.cancel(error)
  }

  write(chunk: Buffer): boolean {
    if (this.over) return false
    const free = this.held === undefined && !this.sinkFull
    if (free && chunk.length <= this.allowed) {
      this.pass(chunk)
      return !this.sinkFull
    }
    // The source is held from here on: at most one chunk is kept.
    this.held = this.held === undefined ? Buffer.from(chunk) : Buffer.concat([this.held, chunk])
    if (!this.timer.armed) this.wheel.arm(this.timer, stepMs)
    return false
  }

  end(trailers?: Headers): void {
    if (this.held === undefined) {
      this.stop()
      this.sink!.end(trailers)
    } else this.ended = { trailers }
  }

  fail(error: ProxyError): void {
    this.stop()
    this.sink!.fail(error)
  }

  onDeadline(): void {
    this.allowed = this.perStep
    if (!this.sinkFull) this.flow()
  }

  private flow(): void {
    const { held } = this
    if (this.over) return
    if (held !== undefined) {
      const part = held.subarray(0, this.allowed)
      this.held = part.length === held.length ? undefined : held.subarray(part.length)
      if (part.length > 0) this.pass(part)
    }
    if (this.held !== undefined) {
      if (!this.sinkFull) this.wheel.arm(this.timer, stepMs)
    } else if (this.ended !== undefined) this.end(this.ended.trailers)
    else if (!this.sinkFull) this.inner.resume()
  }

  private pass(part: Buffer): void {
    this.allowed -= part.length
    this.bytes += part.length
    if (!this.sink!.write(part)) this.sinkFull = true
  }

  /** Also when nobody wants the rest any more. */
  stop(): void {
    this.over = true
    this.wheel.cancel(this.timer)
  }
}
