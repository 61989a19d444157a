/** What the two directions share: the services of the worker and the connections that are open. */
import type { ExchangeServices } from '../exchange/scope.ts'
import type { TcpServices } from '../tcp/forward.ts'
import type { Notes } from './notes.ts'
import type { OpenCodecs } from './open-codecs.ts'

/** Once per worker. */
export interface ListeningServices extends ExchangeServices, TcpServices {
  /** Open HTTP connections of clients. */
  readonly codecs: OpenCodecs
  /** What is said in the log once, not per connection. */
  readonly note: Notes
}
