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
import { silent, type Verdict } from './detection.ts'
import { passthroughCluster } from './fixed-clusters.ts'
import { HttpConnection, type HttpListener } from './http-connection.ts'
import type { ListeningServices } from './listening.ts'
import { type Refusal, refuse } from './refuse.ts'
import { Sniffer, type SniffOwner } from './sniffer.ts'
import type { OutboundListener, Table } from './table.ts'
import type { TcpChoice } from './tcp-routes.ts'

/** What a direction needs of its worker. */
export interface Surroundings {
  readonly services: ListeningServices
  readonly clusters: Clusters
  /** The table in force now. */
  readonly table: Table
  /** Ports of the proxy itself: connections dialed to one of them would go in circles. */
  readonly ownPorts: ReadonlySet<number>
}

export class Outbound implements SniffOwner, HttpListener {
  readonly direction = 'outbound'
  private readonly around: Surroundings
  /** False: the address that was dialed is the listener's own. */
  private readonly captured: boolean
  private readonly sniffer = new Sniffer(this, () => this.around.services.wheel)

  constructor(around: Surroundings, captured = true) {
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
    this.recorder.downstreamOpened('outbound')
    const destination = this.destinationOf(connection)
    const { ownPorts } = this.around
    if (
      destination === undefined ||
      (this.captured && loopsBack(destination, connection.local, 'outbound', ownPorts))
    ) {
      refuse(this.around.services, 'outbound', connection, { kind: 'loop', destination })
      return
    }
    const listener = this.listenerOf(connection)
    if (listener === undefined) this.acceptUnknown(connection)
    else if (listener.spec.http === undefined && !listener.tcp.needServerName)
      this.forward(connection, silent)
    else this.sniffer.sniff(connection)
  }

  isUndeclared(connection: Connection): boolean {
    return this.listenerOf(connection)?.spec.protocol === 'auto'
  }

  decide(connection: Connection, verdict: Verdict): void {
    const listener = this.listenerOf(connection)
    this.recorder.protocolDetected('outbound', verdict.spoken)
    const http = listener === undefined || listener.spec.http !== undefined
    if (http && verdict.spoken === 'http1')
      new HttpConnection(this, connection).start(verdict.bytes, verdict.ended)
    else this.forward(connection, verdict)
  }

  onGone(_connection: Connection, _error: ProxyError | undefined): void {
    this.recorder.downstreamClosed('outbound')
  }

  scope(connection: Connection): HttpScope {
    const { table } = this.around
    const { address, port } = this.destinationOf(connection)!
    return table.outbound(address, port)?.http ?? table.strangerScope(port)
  }

  private destinationOf(connection: Connection): Address | undefined {
    return this.captured ? connection.originalDestination : connection.local
  }

  private listenerOf(connection: Connection): OutboundListener | undefined {
    const { address, port } = this.destinationOf(connection)!
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
    if (table.snapshot.outbound.policy.mode === 'REGISTRY_ONLY') this.sniffer.sniff(connection)
    else this.forward(connection, silent)
  }

  get detectionMs(): number {
    return this.around.table.snapshot.mesh.protocolDetectionTimeoutMs
  }

  private forward(connection: Connection, verdict: Verdict): void {
    const forward = this.forwardOf(connection, verdict)
    if (forward instanceof TcpForward) forward.start()
    else refuse(this.around.services, 'outbound', connection, forward)
  }

  forwardOf(connection: Connection, verdict: Verdict): TcpForward | Refusal {
    const listener = this.listenerOf(connection)
    const { clusters, services, table } = this.around
    const destination = this.destinationOf(connection)
    const tls = verdict.spoken === 'tls' ? verdict : undefined
    const choice = this.isOwnPod(listener, destination!)
      ? undefined
      : (listener?.tcp.choose(destination, tls, services.random) ??
        this.egressProxy(table, destination!))
    const cluster =
      choice === undefined
        ? this.strangerCluster(table, destination!)
        : clusters.get(choice.cluster)
    if (cluster === undefined) {
      if (choice !== undefined)
        return { kind: 'no-cluster', cluster: choice.cluster, origin: choice.origin }
      const { origin } = table.snapshot.outbound.policy
      const { serverName } = verdict
      const isTls = tls !== undefined
      return { kind: 'stranger', destination: destination!, origin, serverName, isTls }
    }
    return new TcpForward(
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
  }

  /** Unknown destinations where a proxy takes them; Pods are known. */
  private egressProxy({ snapshot }: Table, { address }: Address): TcpChoice | undefined {
    const { egressProxy: cluster, origin } = snapshot.outbound.policy
    if (cluster === undefined || origin === undefined) return undefined
    if (this.around.table.isEndpoint(address)) return undefined
    return { cluster, origin, routeName: 'allow_any' }
  }

  /** Unknown destinations: passed through, refused, or, when it is a known Pod, always passed. */
  private strangerCluster(table: Table, destination: Address) {
    const { clusters } = this.around
    // Passed on, it would come back.
    if (!this.captured) return undefined
    const open = table.snapshot.outbound.policy.mode === 'ALLOW_ANY'
    return open || table.isEndpoint(destination.address)
      ? clusters.fixed(passthroughCluster)
      : undefined
  }
}
