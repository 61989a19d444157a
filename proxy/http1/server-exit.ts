/**
 * The ways out of a connection to a client. A reply is never endangered by closing with unread input:
 * first FIN, then reading and dropping for a while, then the close.
 */
import type { ProxyError } from '../base/errors.ts'
import { type Connection, PauseReason } from '../net/connection.ts'
import { BodyFrame } from './body-writer.ts'
import type { Inlet } from './inlet.ts'
import { refusalStatus, refusalText } from './refusal.ts'
import type { ServerWatch } from './server-watch.ts'

export class ServerExit {
  private readonly connection: Connection
  private readonly inlet: Inlet
  private readonly watch: ServerWatch

  constructor(connection: Connection, inlet: Inlet, watch: ServerWatch) {
    this.connection = connection
    this.inlet = inlet
    this.watch = watch
  }

  /** Sends what is queued, then FIN; what still comes is dropped. */
  gracefully(): void {
    this.inlet.close()
    this.connection.resume(PauseReason.Sink)
    this.connection.end()
    this.watch.awaitClose()
  }

  /** Says what is wrong with the request, last of all; returns the status. */
  refusing(error: ProxyError, method: string | undefined): number {
    this.connection.writeText(refusalText(error, method === 'HEAD'))
    this.gracefully()
    return refusalStatus(error)
  }

  /** So that an unfinished reply cannot be taken for a finished one: its frame decides how. */
  cutting(frame: BodyFrame | undefined, error: ProxyError): void {
    if (frame !== BodyFrame.Close && frame !== BodyFrame.Tunnel) {
      this.gracefully()
      return
    }
    this.inlet.close()
    this.connection.reset(error)
  }

  /** Nobody is there to read anything. */
  atOnce(error: ProxyError): void {
    this.inlet.close()
    this.connection.destroy(error)
  }
}
