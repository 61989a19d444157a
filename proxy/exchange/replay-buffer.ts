/**
 * Stands between a request body and the attempts it is sent with: keeps a copy up to a limit so that
 * a later attempt can be given the same body, and steps aside when the limit is passed.
 */
import type { ProxyError } from '../base/errors.ts'
import type { BodyLength, BodySink, BodySource } from '../http/body.ts'
import type { Headers } from '../http/headers.ts'

/** All copies of one thread together. */
export const replayMemory = { bytes: 0 }
const mostReplayBytes = 64 * 1024 * 1024

export class ReplayBuffer implements BodySource, BodySink {
  readonly length: BodyLength
  /** It was not this body that was too large, but all of them together. */
  crowded = false
  /** From the client's side. */
  source: BodySource | undefined = undefined
  private readonly limitBytes: number
  private chunks: Buffer[] | undefined = []
  private kept = 0
  private sink: BodySink | undefined = undefined
  private ended = false
  private trailers: Headers | undefined = undefined
  private held = false

  constructor(length: BodyLength, limitBytes: number) {
    this.length = length
    this.limitBytes = limitBytes
    if (length > limitBytes) this.chunks = undefined
  }

  get bytes(): number {
    return this.source?.bytes ?? 0
  }

  /** True while everything received so far could be sent again. */
  get replayable(): boolean {
    return this.chunks !== undefined
  }

  /** Gives what was kept to a new attempt, then what is still to come. */
  flowInto(sink: BodySink): void {
    this.sink = sink
    sink.source = this
    let room = true
    for (const chunk of this.chunks ?? []) room = sink.write(chunk) && room
    if (this.ended) sink.end(this.trailers)
    else if (room && this.held) this.resume()
  }

  /** The current attempt is over; what comes meanwhile is kept for the next. */
  detach(): void {
    this.sink = undefined
  }

  /** No further attempt will come: the copy is let go. */
  forget(): void {
    this.chunks = undefined
    replayMemory.bytes -= this.kept
    this.kept = 0
  }

  resume(): void {
    this.held = false
    this.source?.resume()
  }

  cancel(error: ProxyError): void {
    this.source?.cancel(error)
  }

  write(chunk: Buffer): boolean {
    if (this.chunks !== undefined) this.keep(this.chunks, chunk)
    // Between attempts the client waits: what it has sent is kept, more is not asked for.
    const room = this.sink === undefined ? false : this.sink.write(chunk)
    if (!room) this.held = true
    return room
  }

  end(trailers?: Headers): void {
    this.ended = true
    this.trailers = trailers
    this.sink?.end(trailers)
  }

  fail(error: ProxyError): void {
    this.sink?.fail(error)
  }

  /** Between attempts everything is kept: at most one chunk more, as the client is held then. */
  private keep(chunks: Buffer[], chunk: Buffer): void {
    const tooLarge = this.kept + chunk.length > this.limitBytes
    const crowded = replayMemory.bytes + chunk.length > mostReplayBytes
    if (this.sink !== undefined && (tooLarge || crowded)) {
      this.crowded = !tooLarge
      this.forget()
      return
    }
    chunks.push(Buffer.from(chunk))
    this.kept += chunk.length
    replayMemory.bytes += chunk.length
  }
}
