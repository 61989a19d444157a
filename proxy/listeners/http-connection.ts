/** One HTTP connection of a client: every stream becomes an exchange in the scope of the moment. */
import { clock } from '../base/clock.ts'
import type { ProxyError } from '../base/errors.ts'
import { Exchange } from '../exchange/exchange.ts'
import { failureRow } from '../exchange/failure.ts'
import type { HttpScope } from '../exchange/scope.ts'
import type { ServerCodec, ServerCodecOwner, ServerStream } from '../http/codec.ts'
import type { RequestHead } from '../http/head.ts'
import type { Connection } from '../net/connection.ts'
import { makeServerCodec } from '../protocol/codecs.ts'
import { type Direction, ExchangeRecord } from '../telemetry/exchange-record.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { OpenCodecs } from './open-codecs.ts'

/** What a connection asks of its listener. */
export interface HttpListener {
  readonly direction: Direction
  readonly recorder: Recorder
  /** Open HTTP connections: what drain closes. */
  readonly codecs: OpenCodecs
  /** The routes in force now for this request. */
  scope(connection: Connection, head: RequestHead): HttpScope
  /** Takes CONNECT requests where they are allowed (explicit mode); false: nothing was done. */
  connect?(stream: ServerStream): boolean
}

export class HttpConnection implements ServerCodecOwner {
  private readonly listener: HttpListener
  private readonly connection: Connection
  private readonly codec: ReturnType<typeof makeServerCodec>

  constructor(listener: HttpListener, connection: Connection) {
    this.listener = listener
    this.connection = connection
    this.codec = makeServerCodec(connection, this)
    listener.codecs.add(this.codec)
  }

  /** `already`: bytes read by detection; `ended`: and the client's FIN. */
  start(already: Buffer, ended: boolean): void {
    this.codec.start(already, ended)
  }

  onStream(stream: ServerStream): void {
    const { head } = stream
    if (head.method === 'CONNECT' && this.listener.connect?.(stream) === true) return
    new Exchange(stream, this.listener.scope(this.connection, head)).start()
  }

  onRefused(
    _codec: ServerCodec,
    error: ProxyError,
    status: number,
    head: RequestHead | undefined,
  ): void {
    const { connection, listener } = this
    const { local, originalDestination, remote } = connection
    const at = originalDestination ?? local
    const record = new ExchangeRecord(listener.direction, clock.wall(), clock.now, at, remote)
    if (head !== undefined) {
      record.method = head.method
      record.path = head.target
      record.authority = head.authority
      record.version = head.version
    }
    record.status = status
    record.flags = failureRow(error).flags
    record.details = error.detail
    listener.recorder.protocolError(listener.direction, error.detail)
    listener.recorder.requestStarted(listener.direction)
    listener.recorder.requestEnded(listener.direction)
    listener.recorder.finishExchange(record)
  }

  onClosed(codec: ServerCodec): void {
    this.listener.codecs.delete(codec)
    this.listener.recorder.downstreamClosed(this.listener.direction)
  }
}
