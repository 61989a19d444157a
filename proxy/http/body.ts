/**
 * Pipes for bodies. Backpressure is one boolean: after `write` returned false the source holds until
 * `resume`. Nothing here copies; chunks are valid during the call only.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Headers } from './headers.ts'

/** Bytes to come: a number ≥ 0 when declared, else one of BodyKind. */
export type BodyLength = number
export const BodyKind = {
  /** Length not known in advance: chunked, or until the end of the connection. */
  Unknown: -1,
  /** After 101 or a CONNECT 2xx: raw bytes both ways until the end of the connection. */
  Tunnel: -2,
} as const

export interface BodySource {
  readonly length: BodyLength
  /** Payload bytes delivered so far. */
  readonly bytes: number
  /** Starts the flow into `sink`, at once if bytes are waiting. Called once; sets `sink.source`. */
  flowInto(sink: BodySink): void
  /** Called by the sink when it can take more after a false. */
  resume(): void
  /** Nobody wants the rest: the source's side is told (HTTP/1: drained within bounds, then closed). */
  cancel(error: ProxyError): void
}

export interface BodySink {
  /** Whom to resume; set by the source's flowInto. */
  source: BodySource | undefined
  /** False: hold until source.resume(). */
  write(chunk: Buffer): boolean
  /** The same of `bytes[start, end)`, for sinks that need no view of it; undefined in others. */
  writePart?(bytes: Buffer, start: number, end: number): boolean
  /** The body is complete. */
  end(trailers?: Headers): void
  /** The body will never be complete: the receiving side is told by a reset or a cut. */
  fail(error: ProxyError): void
}
