/** What arrives for the workload, captured: to the application at the address that was dialed. */
import type { ProxyError } from '../base/errors.ts'
import type { HttpScope } from '../exchange/scope.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { loopsBack } from '../net/original-destination.ts'
import { TcpForward } from '../tcp/forward.ts'
import type { Cluster } from '../upstream/cluster.ts'
import {
  Detection,
  type DetectionOwner,
  isForHttp,
  quietMs,
  silent,
  type Verdict,
} from './detection.ts'
import { FirstSpeaker, type FirstSpeakerOwner } from './first-speaker.ts'
import { endpointAt, inboundCluster, inboundPassthroughCluster } from './fixed-clusters.ts'
import { HttpConnection, type HttpListener } from './http-connection.ts'
import type { Surroundings } from './outbound.ts'
import { refuse } from './refuse.ts'
import type { InboundPort } from './table.ts'

export class Inbound implements DetectionOwner, FirstSpeakerOwner, HttpListener {
  readonly direction = 'inbound'
  private readonly around: Surroundings
  /** False in explicit mode: what was dialed is the listener's own address. */
  private readonly captured: boolean
  /** Detection after everybody was asked: its verdict stands. */
  private readonly last: DetectionOwner

  constructor(around: Surroundings, captured: boolean) {
    this.around = around
    this.captured = captured
    this.last = {
      onSpoken: (connection, verdict) => this.decide(connection, verdict),
      onGone: (connection, error) => this.onGone(connection, error),
    }
  }

  get recorder() {
    return this.around.services.recorder
  }

  get codecs() {
    return this.around.services.codecs
  }

  /** `connection` was just accepted; nothing was read from it. */
  accept(connection: Connection): void {
    this.recorder.downstreamOpened('inbound')
    const destination = this.destinationOf(connection)
    if (
      destination === undefined ||
      (this.captured && loopsBack(destination, connection.local, 'inbound', this.around.ownPorts))
    ) {
      refuse(this.recorder, 'inbound', connection, { kind: 'loop', destination })
      return
    }
    const port = this.around.table.inbound(destination.port)
    if (port !== undefined && port.spec.protocol !== 'tcp' && port.spec.protocol !== 'tls')
      this.sniff(connection, port.spec.protocol === 'auto')
    else this.forwardOf(connection, port, silent).start()
  }

  /** Silence for a moment on a port that nobody declared: the application may be first to speak. */
  onSpoken(connection: Connection, verdict: Verdict): void {
    const port = this.portOf(connection)
    if (verdict.bytes.length === 0 && port?.spec.protocol === 'auto')
      new FirstSpeaker(connection, this.forwardOf(connection, port, verdict), this).start()
    else this.decide(connection, verdict)
  }

  onClientFirst(connection: Connection, bytes: Buffer): void {
    const { wheel } = this.around.services
    new Detection(connection, this.last, wheel, this.detectionMs, this.detectionMs, bytes)
  }

  private decide(connection: Connection, verdict: Verdict): void {
    this.recorder.protocolDetected('inbound', verdict.spoken)
    if (isForHttp(verdict.spoken, this.portOf(connection)?.spec.protocol))
      new HttpConnection(this, connection).start(verdict.bytes, verdict.ended)
    else this.forwardOf(connection, this.portOf(connection), verdict).start()
  }

  onGone(_connection: Connection, _error: ProxyError | undefined): void {
    this.recorder.downstreamClosed('inbound')
  }

  scope(connection: Connection): HttpScope {
    const { table } = this.around
    const { port } = this.destinationOf(connection)!
    return this.portOf(connection)?.http ?? table.undeclaredInbound(port)
  }

  private destinationOf(connection: Connection): Address | undefined {
    return this.captured ? connection.originalDestination : connection.local
  }

  private portOf(connection: Connection): InboundPort | undefined {
    return this.around.table.inbound(this.destinationOf(connection)!.port)
  }

  private get detectionMs(): number {
    return this.around.table.snapshot.mesh.protocolDetectionTimeoutMs
  }

  private sniff(connection: Connection, serverMaySpeak: boolean): void {
    const { wheel } = this.around.services
    const silenceMs = serverMaySpeak ? quietMs : this.detectionMs
    new Detection(connection, this, wheel, this.detectionMs, silenceMs)
  }

  private forwardOf(
    connection: Connection,
    port: InboundPort | undefined,
    verdict: Verdict,
  ): TcpForward {
    const destination = this.destinationOf(connection)!
    const { services } = this.around
    return new TcpForward(
      {
        direction: 'inbound',
        connection,
        destination,
        cluster: this.clusterFor(port, destination),
        origin: port?.spec.origin,
        routeName: '',
        serverName: verdict.serverName,
        already: verdict.bytes,
        ended: verdict.ended,
      },
      services,
    )
  }

  private clusterFor(port: InboundPort | undefined, destination: Address): Cluster {
    const { clusters, table } = this.around
    if (port !== undefined) {
      const { spec, endpoints } = inboundCluster(port.spec)
      return clusters.fixed(spec, endpoints)
    }
    if (table.inboundMode !== 'LOCALHOST') return clusters.fixed(inboundPassthroughCluster)
    const loopback = destination.address.includes(':') ? '::1' : '127.0.0.1'
    const spec = { ...inboundPassthroughCluster, discovery: 'static' as const }
    return clusters.fixed(
      { ...spec, hash: `fixed:${spec.name}:${destination.port}`, loadBalancer: { kind: 'RANDOM' } },
      [endpointAt(loopback, destination.port)],
    )
  }
}
