/** Which codec speaks what: the one place that knows all HTTP versions. */
import type { ClientCodec, ClientCodecOwner, ServerCodecOwner } from '../http/codec.ts'
import { Http1ClientCodec } from '../http1/client-codec.ts'
import { serverDefaults } from '../http1/options.ts'
import { Http1ServerCodec } from '../http1/server-codec.ts'
import type { Connection } from '../net/connection.ts'

const secured = { ...serverDefaults, scheme: 'https' } as const

export function makeClientCodec(connection: Connection, owner: ClientCodecOwner): ClientCodec {
  return new Http1ClientCodec(connection, owner)
}

/** Not started yet: `start(already, ended)` when its owner is ready. */
export function makeServerCodec(connection: Connection, owner: ServerCodecOwner): Http1ServerCodec {
  return new Http1ServerCodec(connection, owner, connection.secured ? secured : serverDefaults)
}
