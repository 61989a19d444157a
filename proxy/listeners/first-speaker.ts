/**
 * A client that stays silent on a port whose protocol nobody declared may wait for the server to speak
 * first (MySQL, SMTP). So its endpoint is dialed, and whoever speaks first decides.
 */
import type { HashKeySpec } from '../../config/snapshot.ts'
import type { ProxyError } from '../base/errors.ts'
import type { Address } from '../net/address.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'
import type { TcpForward } from '../tcp/forward.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import type { TcpLease, TcpWaiter } from '../upstream/tcp-lease.ts'

export interface FirstSpeakerOwner {
  /** The client spoke, or the endpoint is of no help: detection goes on with what was read. */
  onClientFirst(connection: Connection, bytes: Buffer): void
  /** The client is gone. */
  onGone(connection: Connection, error: ProxyError | undefined): void
}

const none = Buffer.alloc(0)

export class FirstSpeaker implements PickRequest, TcpWaiter, ByteReceiver {
  readonly originalDestination: Address | undefined
  readonly tried: readonly Endpoint[] = []
  private readonly connection: Connection
  private readonly forward: TcpForward
  private readonly owner: FirstSpeakerOwner
  private endpoint: Endpoint | undefined = undefined
  private lease: TcpLease | undefined = undefined
  private upstream: Connection | undefined = undefined
  private over = false

  /** `forward`: not started; takes over when the server speaks. Call `start`. */
  constructor(connection: Connection, forward: TcpForward, owner: FirstSpeakerOwner) {
    this.connection = connection
    this.forward = forward
    this.originalDestination = forward.originalDestination
    this.owner = owner
  }

  hashText(key: HashKeySpec): string | undefined {
    return this.forward.hashText(key)
  }

  start(): void {
    this.connection.receiveWith(this)
    const picked = this.forward.cluster.pick(this)
    if (picked.kind === 'refuse') {
      this.giveUp(none)
      return
    }
    this.endpoint = picked.endpoint
    this.lease = picked.endpoint.dialTcp(this)
  }

  // --- the endpoint
  onConnected(upstream: Connection): void {
    this.upstream = upstream
    upstream.receiveWith({
      onBytes: (buffer, start, end) => this.serverSpoke(upstream, buffer.subarray(start, end)),
      onEnd: () => this.giveUp(none),
      onClose: () => this.giveUp(none),
      onWritable: () => undefined,
    })
  }

  onNoConnection(): void {
    this.giveUp(none)
  }

  // --- the client
  onBytes(buffer: Buffer, start: number, end: number): void {
    this.giveUp(buffer.subarray(start, end))
  }

  onEnd(): void {
    this.leave()
    this.connection.end()
  }

  onClose(error: ProxyError | undefined): void {
    this.leave(error)
  }

  onWritable(): void {
    // Nothing was written.
  }

  private serverSpoke(upstream: Connection, bytes: Buffer): void {
    if (this.over) return
    this.over = true
    const { endpoint, forward, lease } = this
    forward.startWith({
      endpoint: endpoint!,
      lease: lease!,
      upstream,
      bytes: Buffer.from(bytes),
    })
  }

  /** Back to waiting for the client; the endpoint's connection was in vain. */
  private giveUp(bytes: Buffer): void {
    if (this.over) return
    this.over = true
    this.dropUpstream()
    this.owner.onClientFirst(this.connection, bytes)
  }

  private leave(error?: ProxyError): void {
    if (this.over) return
    this.over = true
    this.dropUpstream()
    this.owner.onGone(this.connection, error)
  }

  private dropUpstream(): void {
    this.lease?.cancel()
    this.upstream?.destroy()
  }
}
