/**
 * The workload's own calls, captured: from the accepted connection to an HTTP codec or an opaque
 * forward, readable top to bottom.
 */
import type { ProxyError } from '../base/errors.ts'
import type { HttpScope } from '../exchange/scope.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { loopsBack } from '../net/original-destination.ts'
import { TcpForward } from '../tcp/forward.ts'
import type { Clusters } from '../upstream/clusters.ts'
import { Detection, type DetectionOwner, silent, type Verdict } from './detection.ts'
import { passthroughCluster } from './fixed-clusters.ts'
import { HttpConnection, type HttpListener } from './http-connection.ts'
import type { ListeningServices } from './listening.ts'
import { type Refusal, refuse } from './refuse.ts'
import type { OutboundListener, Table } from './table.ts'

/** What a direction needs of its worker. */
export interface Surroundings {
  readonly services: ListeningServices
  readonly clusters: Clusters
  /** The table in force now. */
  readonly table: Table
  /** Ports of the proxy itself: connections dialed to one of them would go in circles. */
  readonly ownPorts: ReadonlySet<number>
}

export class Outbound implements DetectionOwner, HttpListener {
  readonly direction = 'outbound'
  private readonly around: Surroundings

  constructor(around: Surroundings) {
    this.around = around
  }

  get recorder() {
    return this.around.services.recorder
  }

  get codecs() {
    return this.around.services.codecs
  }

  /** `connection` was just accepted; nothing was read from it. */
  accept(connection: Connection): void {
    this.recorder.downstreamOpened('outbound')
    const destination = connection.originalDestination
    const { ownPorts } = this.around
    if (
      destination === undefined ||
      loopsBack(destination, connection.local, 'outbound', ownPorts)
    ) {
      refuse(this.recorder, 'outbound', connection, { kind: 'loop', destination })
      return
    }
    const listener = this.listenerFor(destination)
    if (listener === undefined) this.acceptUnknown(connection)
    else if (listener.spec.http !== undefined || listener.tcp.needServerName)
      this.sniff(connection, this.around.table.snapshot.mesh.protocolDetectionTimeoutMs)
    else this.forward(connection, listener, silent)
  }

  onSpoken(connection: Connection, verdict: Verdict): void {
    const destination = connection.originalDestination!
    const listener = this.listenerFor(destination)
    this.recorder.protocolDetected('outbound', verdict.spoken)
    const http = listener === undefined || listener.spec.http !== undefined
    if (http && verdict.spoken === 'http1')
      new HttpConnection(this, connection).start(verdict.bytes, verdict.ended)
    else this.forward(connection, listener, verdict)
  }

  onGone(_connection: Connection, _error: ProxyError | undefined): void {
    this.recorder.downstreamClosed('outbound')
  }

  scope(connection: Connection): HttpScope {
    const { table } = this.around
    const { address, port } = connection.originalDestination!
    return table.outbound(address, port)?.http ?? table.strangerScope(port)
  }

  private listenerFor({ address, port }: Address): OutboundListener | undefined {
    return this.around.table.outbound(address, port)
  }

  /** Opaque bytes to the address of a Pod go to it, though the port belongs to some service. */
  private isOwnPod(listener: OutboundListener | undefined, { address }: Address): boolean {
    if (listener === undefined || listener.spec.addresses.length > 0) return false
    return this.around.table.isEndpoint(address)
  }

  private acceptUnknown(connection: Connection): void {
    const { table } = this.around
    // Where strangers are refused, HTTP clients are told why; so it is worth to look.
    if (table.snapshot.outbound.policy.mode === 'REGISTRY_ONLY') this.sniff(connection, 0)
    else this.forward(connection, undefined, silent)
  }

  private sniff(connection: Connection, timeoutMs: number): void {
    new Detection(connection, this, this.around.services.wheel, timeoutMs)
  }

  private forward(
    connection: Connection,
    listener: OutboundListener | undefined,
    verdict: Verdict,
  ): void {
    const { clusters, services, table } = this.around
    const destination = connection.originalDestination
    const tls = verdict.spoken === 'tls' ? verdict : undefined
    const choice = this.isOwnPod(listener, destination!)
      ? undefined
      : listener?.tcp.choose(destination, tls, services.random)
    const cluster =
      choice === undefined
        ? this.strangerCluster(table, destination!)
        : clusters.get(choice.cluster)
    if (cluster === undefined) {
      const refusal: Refusal =
        choice === undefined
          ? {
              kind: 'stranger',
              destination: destination!,
              origin: table.snapshot.outbound.policy.origin,
              serverName: verdict.serverName,
            }
          : { kind: 'no-cluster', cluster: choice.cluster, origin: choice.origin }
      refuse(this.recorder, 'outbound', connection, refusal)
      return
    }
    const forward = new TcpForward(
      {
        direction: 'outbound',
        connection,
        destination,
        cluster,
        origin: choice?.origin ?? table.snapshot.outbound.policy.origin,
        routeName: choice?.routeName ?? '',
        serverName: verdict.serverName,
        already: verdict.bytes,
        ended: verdict.ended,
      },
      services,
    )
    forward.start()
  }

  /** Unknown destinations: passed through, refused, or, when it is a known Pod, always passed. */
  private strangerCluster(table: Table, destination: Address) {
    const { clusters } = this.around
    const open = table.snapshot.outbound.policy.mode === 'ALLOW_ANY'
    return open || table.isEndpoint(destination.address)
      ? clusters.fixed(passthroughCluster)
      : undefined
  }
}
