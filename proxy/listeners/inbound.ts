/** What arrives for the workload, captured: to the application at the address that was dialed. */
import type { ProxyError } from '../base/errors.ts'
import type { HttpScope } from '../exchange/scope.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { loopsBack } from '../net/original-destination.ts'
import { TcpForward } from '../tcp/forward.ts'
import type { Cluster } from '../upstream/cluster.ts'
import { isForHttp, silent, type Verdict } from './detection.ts'
import { endpointAt, inboundCluster, inboundPassthroughCluster } from './fixed-clusters.ts'
import { HttpConnection, type HttpListener } from './http-connection.ts'
import type { Surroundings } from './outbound.ts'
import { refuse } from './refuse.ts'
import { Sniffer, type SniffOwner } from './sniffer.ts'
import type { InboundPort } from './table.ts'

export class Inbound implements SniffOwner, HttpListener {
  readonly direction = 'inbound'
  private readonly around: Surroundings
  /** False in explicit mode: what was dialed is the listener's own address. */
  private readonly captured: boolean
  private readonly sniffer = new Sniffer(this, () => this.around.services.wheel)

  constructor(around: Surroundings, captured: boolean) {
    this.around = around
    this.captured = captured
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
      refuse(this.around.services, 'inbound', connection, { kind: 'loop', destination })
      return
    }
    const port = this.around.table.inbound(destination.port)
    if (port?.tls === undefined) this.route(connection, port)
    else
      port.tls.accept(connection, {
        onSecured: (inside) => this.route(inside, port),
        onRefused: (why) =>
          refuse(this.around.services, 'inbound', connection, { kind: 'handshake', why }),
      })
  }

  private route(connection: Connection, port: InboundPort | undefined): void {
    if (port !== undefined && port.spec.protocol !== 'tcp' && port.spec.protocol !== 'tls')
      this.sniffer.sniff(connection)
    else this.forwardOf(connection, silent).start()
  }

  isUndeclared(connection: Connection): boolean {
    return this.portOf(connection)?.spec.protocol === 'auto'
  }

  decide(connection: Connection, verdict: Verdict): void {
    this.recorder.protocolDetected('inbound', verdict.spoken)
    if (isForHttp(verdict.spoken, this.portOf(connection)?.spec.protocol))
      new HttpConnection(this, connection).start(verdict.bytes, verdict.ended)
    else this.forwardOf(connection, verdict).start()
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

  get detectionMs(): number {
    return this.around.table.snapshot.mesh.protocolDetectionTimeoutMs
  }

  forwardOf(connection: Connection, verdict: Verdict): TcpForward {
    const port = this.portOf(connection)
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
