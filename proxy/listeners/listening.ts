/** What the two directions share: the services of the worker and the connections that are open. */
import type { ExchangeServices } from '../exchange/scope.ts'
import type { ServerCodec } from '../http/codec.ts'
import type { TcpServices } from '../tcp/forward.ts'

/** Once per worker. */
export interface ListeningServices extends ExchangeServices, TcpServices {
  /** Open HTTP connections of clients. */
  readonly codecs: Set<ServerCodec>
}
