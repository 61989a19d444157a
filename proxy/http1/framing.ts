/**
 * Where a message ends: the accept/reject table of RFC 9112 6.3, read as strictly as the RFC allows,
 * because two readings of one message are how requests get smuggled.
 */
import { BodyKind, type BodyLength } from '../http/body.ts'
import { Fault } from './faults.ts'
import { isNamed } from './fields.ts'
import { ByteClass, byteClass } from './grammar.ts'

/** What the framing fields of one head said; one object per thread, filled by parse-head. */
export class Framing {
  lengths = 0
  /** Value of Content-Length; -1: not a plain number. */
  length = 0
  encodings = 0
  /** The last Transfer-Encoding was exactly `chunked`. */
  chunked = false

  reset(): void {
    this.lengths = 0
    this.length = 0
    this.encodings = 0
    this.chunked = false
  }

  addLength(bytes: Uint8Array, start: number, end: number): void {
    this.lengths++
    this.length = decimal(bytes, start, end)
  }

  addEncoding(bytes: Uint8Array, start: number, end: number): void {
    this.encodings++
    this.chunked = end - start === 7 && isNamed(bytes, start, 'chunked')
  }

  /** Faults that Content-Length has on its own; 0 when none. */
  private lengthFault(): Fault | 0 {
    if (this.lengths > 1) return Fault.LengthRepeated
    return this.lengths === 1 && this.length < 0 ? Fault.LengthInvalid : 0
  }

  /** Faults that Transfer-Encoding has on its own; 0 when none. */
  private encodingFault(version: number): Fault | 0 {
    if (this.encodings === 0) return 0
    if (version === 10) return Fault.EncodingVersion
    return this.encodings > 1 || !this.chunked ? Fault.EncodingUnsupported : 0
  }

  /** Length of a request body (BodyKind.Unknown: chunked), or a Fault. */
  requestLength(method: string, version: number): BodyLength | Fault {
    if (this.encodings > 0 && this.lengths > 0) return Fault.LengthAndEncoding
    const fault = this.encodingFault(version) || this.lengthFault()
    if (fault !== 0) return fault
    if (method === 'CONNECT' && (this.encodings > 0 || this.length > 0)) return Fault.ConnectBody
    return this.encodings > 0 ? BodyKind.Unknown : this.length
  }

  /**
   * Length of a reply body, or a Fault. `tunnel`: the request asked to switch (Upgrade or CONNECT).
   * BodyKind.Unknown: chunked if `encodings` > 0, else until the end of the connection.
   */
  replyLength(
    method: string,
    status: number,
    version: number,
    upgrading: boolean,
  ): BodyLength | Fault {
    if (status < 200 || status === 204) {
      if (this.encodings > 0 || this.lengths > 1 || this.length !== 0) return Fault.BodilessFraming
      if (status !== 101) return 0
      return upgrading ? BodyKind.Tunnel : Fault.SwitchUnasked
    }
    if (method === 'CONNECT' && status < 300) return BodyKind.Tunnel
    const lengthFault = this.lengthFault()
    if (method === 'HEAD' || status === 304) return lengthFault === 0 ? 0 : lengthFault
    // RFC 9112 6.3 rule 3: Transfer-Encoding wins over Content-Length; the connection is not reused.
    if (this.encodings > 0) return this.encodingFault(version) || BodyKind.Unknown
    if (lengthFault !== 0) return lengthFault
    return this.lengths === 1 ? this.length : BodyKind.Unknown
  }
}

/** A Content-Length value: digits only, exact in a double; else -1. */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let i = start; i < end; i++) {
    const c = bytes[i]!
    if ((byteClass[c]! & ByteClass.Digit) === 0) return -1
    value = value * 10 + c - 48
    if (value > Number.MAX_SAFE_INTEGER) return -1
  }
  return start === end ? -1 : value
}
