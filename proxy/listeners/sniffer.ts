/**
 * Finds out what a connection speaks where that was not declared, or must be looked at: first the client
 * is listened to; where it stays silent on an undeclared port, whoever speaks first decides.
 */
import type { ProxyError } from '../base/errors.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Connection } from '../net/connection.ts'
import { TcpForward } from '../tcp/forward.ts'
import { Detection, type DetectionOwner, type Verdict } from './detection.ts'
import { FirstSpeaker, type FirstSpeakerOwner } from './first-speaker.ts'
import type { Refusal } from './refuse.ts'

/** How long a client may stay silent where the server may be the one to speak first. */
const quietMs = 100

export interface SniffOwner {
  /** MeshConfig.protocolDetectionTimeout; 0: wait for ever. */
  readonly detectionMs: number
  /** Nobody declared the protocol of this connection's port. */
  isUndeclared(connection: Connection): boolean
  /** Where its bytes go when they are opaque; not started. */
  forwardOf(connection: Connection, verdict: Verdict): TcpForward | Refusal
  /** The verdict that stands. */
  decide(connection: Connection, verdict: Verdict): void
  /** It closed before it said anything of use. */
  onGone(connection: Connection, error: ProxyError | undefined): void
}

export class Sniffer implements DetectionOwner, FirstSpeakerOwner {
  private readonly owner: SniffOwner
  private readonly wheel: () => TimerWheel
  /** Detection after everybody was asked. */
  private readonly last: DetectionOwner

  constructor(owner: SniffOwner, wheel: () => TimerWheel) {
    this.owner = owner
    this.wheel = wheel
    this.last = {
      onSpoken: (connection, verdict) => owner.decide(connection, verdict),
      onGone: (connection, error) => owner.onGone(connection, error),
    }
  }

  sniff(connection: Connection): void {
    const { detectionMs } = this.owner
    const silenceMs = this.owner.isUndeclared(connection) ? quietMs : detectionMs
    new Detection(connection, this, this.wheel(), detectionMs, silenceMs)
  }

  onSpoken(connection: Connection, verdict: Verdict): void {
    const { owner } = this
    const forward =
      verdict.bytes.length === 0 && owner.isUndeclared(connection)
        ? owner.forwardOf(connection, verdict)
        : undefined
    // A proxy that tunnels never speaks before it is asked.
    const dials = forward instanceof TcpForward && forward.cluster.spec.tunnel === undefined
    if (dials) new FirstSpeaker(connection, forward, this).start()
    else owner.decide(connection, verdict)
  }

  onClientFirst(connection: Connection, bytes: Buffer): void {
    const { detectionMs } = this.owner
    new Detection(connection, this.last, this.wheel(), detectionMs, detectionMs, bytes)
  }

  onGone(connection: Connection, error: ProxyError | undefined): void {
    this.owner.onGone(connection, error)
  }
}
