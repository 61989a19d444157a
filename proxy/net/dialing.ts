/**
 * How connections to upstreams are asked for: the contract between whoever needs one (the pool, the
 * TCP forwarder) and whoever makes it (dial.ts, scripted fakes in tests).
 */
import type { ProxyError } from '../base/errors.ts'
import type { Address } from './address.ts'
import type { Connection } from './connection.ts'
import type { TlsTarget } from './tls.ts'

/** Shared by all dials to one endpoint; never changed after it was made. */
export interface DialTarget {
  /** Where to: an IP address and port, or a unix socket path with port 0. */
  readonly address: Address
  readonly timeoutMs: number
  /** Further addresses of the same name, asked at each dial; undefined: there are none. */
  readonly alternatives?: (() => readonly Address[]) | undefined
  /** TCP keep-alive probes; undefined: the system's choice. Zero fields: the system's value. */
  readonly keepalive:
    | { readonly probes: number; readonly timeMs: number; readonly intervalMs: number }
    | undefined
  /** Source address to bind; undefined: the system chooses. */
  readonly sourceAddress: string | undefined
  /** TLS from the first byte (after `preface`); undefined: plain text. */
  readonly tls?: TlsTarget | undefined
  /** Bytes that open the connection, e.g. a PROXY protocol header, made of its two addresses. */
  readonly preface?: ((local: Address, remote: Address) => Buffer) | undefined
}

export interface DialReceiver {
  /** Connected (and, with TLS, verified). The receiver calls receiveWith before it returns. */
  onConnected(connection: Connection): void
  /**
   * ConnectFailure or ConnectTimeout, side upstream, retryable. The message names the address and the
   * errno: `10.0.0.7:9080 refused the connection (ECONNREFUSED)`.
   */
  onDialFailed(error: ProxyError): void
}

/** A dial under way. */
export interface Dialing {
  /** Nobody waits for it any more: no receiver method is called afterwards, nothing stays open. */
  cancel(): void
}

export interface Dialer {
  /** Exactly one receiver method is called, once, never before dial() returned; none after cancel(). */
  dial(target: DialTarget, receiver: DialReceiver): Dialing
}
