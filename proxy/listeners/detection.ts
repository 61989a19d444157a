/**
 * Waits for the first bytes of a connection and says what they speak. Bytes already read go to the
 * verdict exactly once; a client that stays silent is handed over as opaque after the timeout.
 */
import type { PortProtocol } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import type { ProxyError } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'
import { readClientHello } from '../protocol/client-hello.ts'
import { detect, type Spoken } from '../protocol/detect.ts'

/** What was found out. */
export interface Verdict {
  /** Never `more`. `opaque` without bytes: the client is silent and waits for the server. */
  readonly spoken: Exclude<Spoken, 'more'>
  /** All bytes read so far, valid during the call. */
  readonly bytes: Buffer
  /** The client's FIN was seen. */
  readonly ended: boolean
  /** SNI of a TLS client, lower case; `` when it names none. */
  readonly serverName: string
}

export interface DetectionOwner {
  onSpoken(connection: Connection, verdict: Verdict): void
  /** It closed before it said anything of use. */
  onGone(connection: Connection, error: ProxyError | undefined): void
}

const none = Buffer.alloc(0)

/** Nothing was read: the connection is opaque by declaration. */
export const silent: Verdict = { spoken: 'opaque', bytes: none, ended: false, serverName: '' }

/** What a port declared as HTTP gets is read as HTTP, and refused as such where it is none. */
export function isForHttp(spoken: Verdict['spoken'], declared: PortProtocol | undefined): boolean {
  return spoken === 'http1' || (declared === 'http' && spoken !== 'http2')
}

export class Detection implements ByteReceiver, DeadlineOwner {
  private readonly connection: Connection
  private readonly owner: DetectionOwner
  private readonly wheel: TimerWheel
  private readonly timer = new Timer(this)
  private readonly timeoutMs: number
  private seen: Buffer = none
  private over = false

  /**
   * Gives up after `timeoutMs` (0: never; MeshConfig.protocolDetectionTimeout), or, while not a byte has
   * come, after `silenceMs`. `already` was read before.
   */
  constructor(
    connection: Connection,
    owner: DetectionOwner,
    wheel: TimerWheel,
    timeoutMs: number,
    silenceMs = timeoutMs,
    already?: Buffer,
  ) {
    this.connection = connection
    this.owner = owner
    this.wheel = wheel
    this.timeoutMs = timeoutMs
    if (silenceMs > 0) wheel.arm(this.timer, silenceMs)
    connection.receiveWith(this, already)
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    const fresh = buffer.subarray(start, end)
    const bytes = this.seen.length === 0 ? fresh : Buffer.concat([this.seen, fresh])
    const spoken = detect(bytes)
    const hello = spoken === 'tls' ? readClientHello(bytes) : undefined
    if (spoken === 'more' || hello === 'more') {
      if (this.seen.length === 0) this.spokeFirst()
      this.seen = bytes === fresh ? Buffer.from(fresh) : bytes
    } else this.settle(spoken, bytes, false, typeof hello === 'object' ? hello.serverName : '')
  }

  /** The client is not silent: now it has all the time there is. */
  private spokeFirst(): void {
    if (this.timeoutMs > 0) this.wheel.arm(this.timer, this.timeoutMs)
    else this.wheel.cancel(this.timer)
  }

  onEnd(): void {
    if (this.over) return
    if (this.seen.length === 0) {
      this.close(undefined)
      this.connection.end()
    } else this.settle('opaque', this.seen, true)
  }

  onClose(error: ProxyError | undefined): void {
    this.close(error)
  }

  onWritable(): void {
    // Nothing is written before the verdict.
  }

  onDeadline(): void {
    clock.refresh()
    this.settle('opaque', this.seen, false)
  }

  private close(error: ProxyError | undefined): void {
    if (this.over) return
    this.over = true
    this.wheel.cancel(this.timer)
    this.owner.onGone(this.connection, error)
  }

  private settle(
    spoken: Exclude<Spoken, 'more'>,
    bytes: Buffer,
    ended: boolean,
    serverName = '',
  ): void {
    if (this.over) return
    this.over = true
    this.wheel.cancel(this.timer)
    this.owner.onSpoken(this.connection, { spoken, bytes, ended, serverName })
  }
}
