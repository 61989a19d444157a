/** The open HTTP connections of a worker's clients, and how they come to their end together. */
import type { ServerCodec } from '../http/codec.ts'

export class OpenCodecs {
  private readonly open = new Set<ServerCodec>()
  /** Monotonic ms; undefined while the worker goes on. */
  private since: number | undefined = undefined

  get size(): number {
    return this.open.size
  }

  /** When `retire` was called first. */
  get retiredSince(): number | undefined {
    return this.since
  }

  add(codec: ServerCodec): void {
    this.open.add(codec)
    if (this.since !== undefined) codec.retire()
  }

  delete(codec: ServerCodec): void {
    this.open.delete(codec)
  }

  /** Each connection, those still to come among them, ends with its next reply. */
  retire(): void {
    this.since ??= performance.now()
    for (const codec of this.open) codec.retire()
  }

  /** What lies idle ends now. */
  drain(): void {
    this.retire()
    for (const codec of this.open) codec.drain()
  }
}
