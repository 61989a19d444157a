/**
 * Reads chunked framing (RFC 9112 7.1) byte by byte and tells how many data bytes lie at hand; never
 * copies. Hot: bench/micro/http1-chunked.bench.ts.
 */
import { Fault } from './faults.ts'
import { ByteClass, byteClass, cr, hexValue, lf, space, tab } from './grammar.ts'

const semicolon = 59

const State = {
  /** Before the first size digit. */
  Size: 0,
  MoreSize: 1,
  /** White space behind the size: only an extension may follow. */
  Blank: 2,
  Extension: 3,
  SizeLf: 4,
  Data: 5,
  DataCr: 6,
  DataLf: 7,
  Trailers: 8,
} as const
type State = (typeof State)[keyof typeof State]

/** Bytes of one extension (RFC 9112 7.1.1 asks for a limit). */
const extensionLimit = 4096

export class ChunkedReader {
  /** Data bytes of the current chunk still to come. */
  remaining = 0
  /** What is wrong; 0 while nothing is. */
  fault: Fault | 0 = 0
  private state: State = State.Size
  private extensionBytes = 0

  /** The last chunk was read; the trailer section follows. */
  get atTrailers(): boolean {
    return this.state === State.Trailers
  }

  /** `count` data bytes were taken. */
  took(count: number): void {
    this.remaining -= count
    if (this.remaining === 0) this.state = State.DataCr
  }

  /**
   * Reads framing up to the next data byte or the trailers. Returns the offset there; less data than
   * that, `end`. After a fault the offset means nothing.
   */
  advance(bytes: Uint8Array, start: number, end: number): number {
    let at = start
    while (at < end && this.state !== State.Data && this.state !== State.Trailers) {
      this.step(bytes[at]!)
      if (this.fault !== 0) return at
      at++
    }
    return at
  }

  private step(c: number): void {
    switch (this.state) {
      case State.Size:
      case State.MoreSize:
        this.stepSize(c)
        return
      case State.Blank:
        if (c === semicolon) this.state = State.Extension
        else if (c !== space && c !== tab) this.fault = Fault.ChunkExtension
        this.countExtension()
        return
      case State.Extension:
        if (c === cr) this.state = State.SizeLf
        else if ((byteClass[c]! & ByteClass.Value) === 0) this.fault = Fault.ChunkExtension
        this.countExtension()
        return
      case State.SizeLf:
        if (c !== lf) this.fault = Fault.ChunkExtension
        this.extensionBytes = 0
        this.state = this.remaining > 0 ? State.Data : State.Trailers
        return
      case State.DataCr:
        if (c !== cr) this.fault = Fault.ChunkEnd
        this.state = State.DataLf
        return
      case State.DataLf:
        if (c !== lf) this.fault = Fault.ChunkEnd
        this.state = State.Size
        return
      default:
        return
    }
  }

  private stepSize(c: number): void {
    const digit = hexValue[c]!
    if (digit < 16) {
      this.remaining = this.remaining * 16 + digit
      if (this.remaining > Number.MAX_SAFE_INTEGER) this.fault = Fault.ChunkSize
      this.state = State.MoreSize
      // Leading zeros are legal but not without end.
      this.countExtension()
      return
    }
    if (this.state === State.Size) this.fault = Fault.ChunkSize
    else if (c === cr) this.state = State.SizeLf
    else if (c === semicolon) this.state = State.Extension
    else if (c === space || c === tab) this.state = State.Blank
    else this.fault = Fault.ChunkExtension
  }

  private countExtension(): void {
    if (++this.extensionBytes > extensionLimit) this.fault = Fault.ChunkExtension
  }
}
