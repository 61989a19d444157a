/** What pools ask for when they need a connection; implemented by dial.ts, and by fakes in tests. */
import type { ProxyError } from '../base/errors.ts'
import type { Connection } from './connection.ts'

export interface DialTarget {
  /** IP address, DNS name (looked up by the system), `/path` or `@name` of a unix socket. */
  readonly address: string
  readonly port: number
  readonly connectTimeoutMs: number
  /** Local address to bind, or `` for the kernel's choice. */
  readonly source: string
  readonly keepalive: { readonly timeMs: number } | undefined
}

export interface DialReceiver {
  /** Connected; the receiver must call connection.receiveWith before it returns. */
  onConnected(connection: Connection): void
  /** ConnectFailure or ConnectTimeout, retryable, naming the target. Not called after cancel(). */
  onFailed(error: ProxyError): void
}

export interface Dialing {
  /** Gives up; neither method of the receiver is called any more. */
  cancel(): void
}

export interface Dialer {
  dial(target: DialTarget, receiver: DialReceiver): Dialing
}
