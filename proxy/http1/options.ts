/** What can be set about the HTTP/1 codecs; the defaults are Envoy's where it has them. */

import { type Clock, clock } from '../base/clock.ts'
import { type TimerWheel, wheel } from '../base/timer-wheel.ts'
import type { HeadLimits } from './parse-head.ts'

export interface Http1ServerOptions {
  /** Of requests that do not name one: what the connection is. */
  readonly scheme: 'http' | 'https'
  readonly limits: HeadLimits
  /** From the first byte of a head to its last. */
  readonly headTimeoutMs: number
  /** Between requests. */
  readonly idleTimeoutMs: number
  /** A request body that does not arrive, or a reply that is not read, for so long ends the stream. */
  readonly stallTimeoutMs: number
  /** After our FIN, how long to read and drop what the client still sends, so that it can read the reply. */
  readonly lingerMs: number
  readonly wheel: TimerWheel
  readonly clock: Clock
}

export const serverDefaults: Http1ServerOptions = {
  scheme: 'http',
  limits: { headBytes: 60 * 1024, fields: 100 },
  headTimeoutMs: 60_000,
  idleTimeoutMs: 3_600_000,
  stallTimeoutMs: 300_000,
  lingerMs: 1_000,
  wheel,
  clock,
}

export interface Http1ClientOptions {
  readonly limits: HeadLimits
  /** Replies of the 1xx kind to one request. */
  readonly interimReplies: number
}

export const clientDefaults: Http1ClientOptions = {
  limits: { headBytes: 80 * 1024, fields: 100 },
  interimReplies: 100,
}
