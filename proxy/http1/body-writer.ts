/**
 * The body of a message being sent: puts the framing on. Head, chunk sizes and small chunks go as
 * text, so that a small message leaves in one write. Hot: bench/micro/http1-write.bench.ts.
 */
import { latin1 } from '../base/bytes.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import type { BodySink, BodySource } from '../http/body.ts'
import type { Headers } from '../http/headers.ts'
import type { Connection } from '../net/connection.ts'
import { trailerText } from './write-head.ts'

/** How the end of a body is told. */
export const BodyFrame = {
  /** No body may follow (HEAD, 204, 304): what comes is dropped. */
  None: 0,
  Length: 1,
  Chunked: 2,
  /** By the end of the connection. */
  Close: 3,
  Tunnel: 4,
} as const
export type BodyFrame = (typeof BodyFrame)[keyof typeof BodyFrame]

/** The codec whose message this is. */
export interface BodyWriterOwner {
  readonly connection: Connection
  /** The body was sent to its end. */
  onBodyWritten(writer: BodyWriter): void
  /**
   * The body will never be complete: the peer must be told by cutting the connection. `unexpected`:
   * another length than declared was written, which the writer's side does not know yet.
   */
  onBodyCut(writer: BodyWriter, error: ProxyError, unexpected: boolean): void
}

/** Chunks up to this size are joined with what goes before into one text. */
const joinedBytes = 4096

const State = { Open: 0, Done: 1 } as const
type State = (typeof State)[keyof typeof State]

export class BodyWriter implements BodySink {
  source: BodySource | undefined = undefined
  /** Payload bytes taken. */
  bytes = 0
  frame: BodyFrame
  private readonly owner: BodyWriterOwner
  private remaining: number
  private state: State = State.Open
  /** The last write found the connection full. */
  waiting = false

  /** `length` counts for BodyFrame.Length only. */
  constructor(owner: BodyWriterOwner, frame: BodyFrame, length: number) {
    this.owner = owner
    this.frame = frame
    this.remaining = frame === BodyFrame.Length ? length : 0
  }

  get done(): boolean {
    return this.state === State.Done
  }

  /** Sends the head, in one write with what follows. */
  start(head: string): void {
    if (!this.owner.connection.writeText(head)) this.waiting = true
  }

  /** The message was an upgrade or CONNECT that succeeded: raw bytes follow. */
  becomeTunnel(): void {
    this.frame = BodyFrame.Tunnel
    this.state = State.Open
  }

  write(chunk: Buffer): boolean {
    return this.writePart(chunk, 0, chunk.length)
  }

  writePart(bytes: Buffer, start: number, end: number): boolean {
    if (this.state === State.Done || this.frame === BodyFrame.None) return true
    const size = end - start
    // A chunk of no bytes would end the body.
    if (size === 0) return true
    this.bytes += size
    if (this.frame === BodyFrame.Length) {
      this.remaining -= size
      if (this.remaining < 0) return this.mismatch()
    }
    const { connection } = this.owner
    const chunked = this.frame === BodyFrame.Chunked
    let flowing: boolean
    if (size <= joinedBytes) {
      const text = latin1(bytes, start, end)
      flowing = connection.writeText(chunked ? `${size.toString(16)}\r\n${text}\r\n` : text)
    } else {
      if (chunked) connection.writeText(`${size.toString(16)}\r\n`)
      flowing = connection.write(size === bytes.length ? bytes : bytes.subarray(start, end))
      if (chunked) connection.writeText('\r\n')
    }
    if (!flowing) this.waiting = true
    return flowing
  }

  end(trailers?: Headers): void {
    if (this.state === State.Done) return
    if (this.remaining > 0) {
      this.mismatch()
      return
    }
    this.state = State.Done
    if (this.frame === BodyFrame.Chunked)
      this.owner.connection.writeText(trailers === undefined ? '0\r\n\r\n' : trailerText(trailers))
    this.owner.onBodyWritten(this)
  }

  fail(error: ProxyError): void {
    if (this.state === State.Done) return
    this.state = State.Done
    this.owner.onBodyCut(this, error, false)
  }

  /** The codec gave up: nothing more is sent or told. */
  abandon(): void {
    this.state = State.Done
  }

  /** The connection takes bytes again. */
  onWritable(): void {
    if (!this.waiting) return
    this.waiting = false
    this.source?.resume()
  }

  /** More or less than declared: only a cut keeps the peer from reading on in the wrong place. */
  private mismatch(): false {
    this.state = State.Done
    const error = new ProxyError(ErrorCode.Internal, Side.Proxy, {
      detail: 'http1.body_length_mismatch',
      message: `The body has ${this.bytes} bytes, which is not the length that was declared.`,
    })
    this.owner.onBodyCut(this, error, true)
    return false
  }
}
