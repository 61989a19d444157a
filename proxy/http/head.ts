/** Heads of requests and replies as meaning: no framing, no hop-by-hop fields; those belong to the codecs. */
import { Headers } from './headers.ts'

/** HTTP versions as numbers: 10, 11, 20. */
export type HttpVersion = 10 | 11 | 20

export class RequestHead {
  method: string
  /** Origin form, `/path?query`, or `*`; for CONNECT the authority. As sent until the exchange normalises it. */
  target: string
  /** The target as it was read, known to be fit to be sent: for codecs, which check any other. */
  wireTarget: string
  /** From the absolute-form target, else Host; `` when a 1.0 request names none. As sent, with port if any. */
  authority: string
  /** `http` or `https`, of the absolute form or the connection. */
  scheme: string
  version: HttpVersion
  /** End-to-end fields, Host among them at its own place (kept equal to `authority` by setAuthority). */
  readonly headers: Headers
  /** Lower-case Upgrade token when the client asked for one and may (GET with Connection: upgrade); else ``. */
  upgrade: string
  /** The client waits for 100 before it sends the body. */
  expectsContinue: boolean

  constructor(method: string, target: string, version: HttpVersion, headers: Headers) {
    this.method = method
    this.target = target
    this.wireTarget = ''
    this.authority = ''
    this.scheme = 'http'
    this.version = version
    this.headers = headers
    this.upgrade = ''
    this.expectsContinue = false
  }

  /** Changes the authority and the Host field with it. */
  setAuthority(authority: string): void {
    this.authority = authority
    this.headers.set('Host', authority)
  }
}

export class ResponseHead {
  status: number
  /** Reason phrase as received; `` lets the codec write the usual one. */
  reason: string
  version: HttpVersion
  /** End-to-end fields only. */
  readonly headers: Headers

  constructor(status: number, reason = '', version: HttpVersion = 11, headers = new Headers()) {
    this.status = status
    this.reason = reason
    this.version = version
    this.headers = headers
  }
}
