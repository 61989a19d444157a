/**
 * Where a codec's bytes come in. Bytes go to the consumer straight from the receive buffer; only what
 * it cannot use yet (a head that straddles reads, a body nobody takes, pipelined requests) is copied
 * and kept, and unless the consumer needs more of it, reading stops meanwhile: at most one read and
 * one unfinished head are ever kept. Hot: bench/micro/http1-parse.bench.ts.
 */
import { type Connection, PauseReason } from '../net/connection.ts'
import { cr, lf } from './grammar.ts'

export interface ByteConsumer {
  /** Uses what it can of `bytes[start, end)`; returns the offset of the first byte not used. */
  consume(bytes: Buffer, start: number, end: number): number
  /** Why bytes were left: true, they make no sense before more come; false, nobody takes them now. */
  readonly starved: boolean
}

const nothing = Buffer.alloc(0)
const smallestBytes = 1024

export class Inlet {
  private readonly connection: Connection
  private readonly consumer: ByteConsumer
  private readonly headBytes: number
  /** Kept bytes are `kept[from, to)`. Parts of it may wait in a socket's queue: written once, never moved. */
  private kept: Buffer = nothing
  private from = 0
  private to = 0
  /** Behind a line end, with nothing but CR since: the next LF ends an empty line. */
  private lineEmpty = true
  private sawEmptyLine = false
  /** Kept bytes from which on the consumer is asked again though no empty line came. */
  private askAgainAt = 0
  private running = false
  private holding = false
  private shut = false

  constructor(connection: Connection, consumer: ByteConsumer, headBytes: number) {
    this.connection = connection
    this.consumer = consumer
    this.headBytes = headBytes
  }

  /** Bytes kept. */
  get size(): number {
    return this.to - this.from
  }

  receive(bytes: Buffer, start: number, end: number): void {
    if (this.shut) return
    if (this.to > this.from) {
      this.append(bytes, start, end)
      if (!this.consumer.starved || this.worthAsking()) this.pump()
      return
    }
    this.running = true
    const at = this.consumer.consume(bytes, start, end)
    this.running = false
    if (at < end && !this.shut) {
      this.append(bytes, at, end)
      this.askAgainAt = 2 * this.size
    }
    this.settle()
  }

  /** Offers the kept bytes again; called when the consumer can take some that it could not. */
  pump(): void {
    if (this.running || this.shut) return
    if (this.to > this.from) {
      this.running = true
      const at = this.consumer.consume(this.kept, this.from, this.to)
      this.running = false
      if (this.shut) return
      this.from = at
      if (at === this.to) this.release()
      else {
        this.rescan()
        this.askAgainAt = Math.min(2 * this.size, Math.max(this.headBytes, this.size) + 1)
      }
    }
    this.settle()
  }

  /** Forgets what is kept and ignores what comes; reading goes on so that the end is seen. */
  close(): void {
    if (this.shut) return
    this.shut = true
    this.release()
    if (this.holding) this.connection.resume(PauseReason.Codec)
    this.holding = false
  }

  private settle(): void {
    if (this.shut) return
    const hold = this.to > this.from && !this.consumer.starved
    if (hold === this.holding) return
    this.holding = hold
    if (hold) this.connection.pause(PauseReason.Codec)
    else this.connection.resume(PauseReason.Codec)
  }

  private append(bytes: Buffer, start: number, end: number): void {
    const size = this.to - this.from
    const added = end - start
    if (this.kept.length - this.to < added) {
      const room = Math.max(smallestBytes, size + added + Math.min(size, this.headBytes))
      const larger = Buffer.allocUnsafe(room)
      this.kept.copy(larger, 0, this.from, this.to)
      this.kept = larger
      this.from = 0
      this.to = size
    }
    bytes.copy(this.kept, this.to, start, end)
    this.to += added
    this.scan(this.to - added)
  }

  private release(): void {
    this.kept = nothing
    this.from = 0
    this.to = 0
    this.rescan()
  }

  private rescan(): void {
    this.lineEmpty = true
    this.sawEmptyLine = false
    this.scan(this.from)
  }

  /** Looks for an empty line, however its lines end: the consumer will have an opinion then. */
  private scan(start: number): void {
    if (this.sawEmptyLine) return
    for (let i = start; i < this.to; i++) {
      const c = this.kept[i]!
      if (c === lf) {
        if (this.lineEmpty) {
          this.sawEmptyLine = true
          return
        }
        this.lineEmpty = true
      } else if (c !== cr) this.lineEmpty = false
    }
  }

  private worthAsking(): boolean {
    return this.sawEmptyLine || this.size >= this.askAgainAt || this.size > this.headBytes
  }
}
