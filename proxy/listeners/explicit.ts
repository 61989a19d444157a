/**
 * Without capture: clients name the service themselves, by Host, absolute target or CONNECT authority
 * on the outbound port, or by a port that stands for one service (`--bind`).
 */
import type { WorkloadSpec } from '../../config/snapshot.ts'
import type { ProxyError } from '../base/errors.ts'
import type { HttpScope } from '../exchange/scope.ts'
import { BodyKind } from '../http/body.ts'
import type { ServerStream } from '../http/codec.ts'
import { type RequestHead, ResponseHead } from '../http/head.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { TcpForward } from '../tcp/forward.ts'
import { isForHttp, silent, type Verdict } from './detection.ts'
import { passthroughCluster } from './fixed-clusters.ts'
import { HttpConnection, type HttpListener } from './http-connection.ts'
import type { Surroundings } from './outbound.ts'
import { type Refusal, refuse } from './refuse.ts'
import { splitAuthority } from './scopes.ts'
import { Sniffer, type SniffOwner } from './sniffer.ts'
import { StreamConnection } from './stream-connection.ts'
import type { OutboundListener, Table } from './table.ts'

/** The service one port stands for. */
export interface Bind {
  readonly service: string
  readonly port: number
}

export class Explicit implements HttpListener, SniffOwner {
  readonly direction = 'outbound'
  private readonly around: Surroundings
  private readonly bind: Bind | undefined
  /** A tunnel: the client named the service by CONNECT, and names hosts inside as it likes. */
  private readonly inTunnel: boolean
  /** The last answer of `scope`: clients ask for the same host again and again. */
  private known: { table: Table; authority: string; scope: HttpScope } | undefined = undefined
  private readonly sniffer = new Sniffer(this, () => this.around.services.wheel)

  /** `bind` undefined: the outbound port itself. */
  constructor(around: Surroundings, bind?: Bind, inTunnel = false) {
    this.around = around
    this.bind = bind
    this.inTunnel = inTunnel
  }

  get recorder() {
    return this.around.services.recorder
  }

  get codecs() {
    return this.around.services.codecs
  }

  accept(connection: Connection): void {
    this.recorder.downstreamOpened('outbound')
    const { bind } = this
    if (bind === undefined) {
      new HttpConnection(this, connection).start(silent.bytes, false)
      return
    }
    const listener = this.listenerOf(bind)
    const opaque =
      listener === undefined
        ? this.inTunnel
        : listener.spec.http === undefined && !listener.tcp.needServerName
    if (opaque) this.forward(connection, bind, silent)
    else this.sniffer.sniff(connection)
  }

  get detectionMs(): number {
    return this.around.table.snapshot.mesh.protocolDetectionTimeoutMs
  }

  isUndeclared(): boolean {
    return this.bind !== undefined && this.listenerOf(this.bind)?.spec.protocol === 'auto'
  }

  decide(connection: Connection, verdict: Verdict): void {
    this.recorder.protocolDetected('outbound', verdict.spoken)
    const { service, port } = this.bind!
    const listener = listenerOf(this.around.table, service, port)
    if (isForHttp(verdict.spoken, listener?.spec.protocol))
      new HttpConnection(this, connection).start(verdict.bytes, verdict.ended)
    else this.forward(connection, this.bind!, verdict)
  }

  onGone(_connection: Connection, _error: ProxyError | undefined): void {
    this.recorder.downstreamClosed('outbound')
  }

  /** A bound port stands for its service whatever Host the client sends. */
  scope(_connection: Connection, head: RequestHead): HttpScope {
    const { table } = this.around
    if (this.bind !== undefined && !this.inTunnel) {
      const { service, port } = this.bind
      head.setAuthority(`${service}:${port}`)
    }
    const { known } = this
    if (known !== undefined && known.table === table && known.authority === head.authority)
      return known.scope
    const { host, port: named = 80 } = splitAuthority(head.authority)
    // Only the port that was asked for counts, as for captured connections.
    const port = this.bind !== undefined && this.inTunnel ? this.bind.port : named
    const scope = listenerOf(table, host, port)?.http ?? table.strangerScope(port)
    this.known = { table, authority: head.authority, scope }
    return scope
  }

  /**
   * CONNECT: a tunnel to the service (RFC 9110 9.3.6), whose bytes are treated like those of a captured
   * connection to it. False, so that a reply says why: nobody knows the service, or it is HTTP in HTTP.
   */
  connect(stream: ServerStream): boolean {
    const { host, port } = splitAuthority(stream.head.authority || stream.head.target)
    if (port === undefined || this.inTunnel) return false
    const { table } = this.around
    const bind = { service: host, port }
    if (this.listenerOf(bind) === undefined && !this.isKnown(table, bind)) return false
    const tunnel = new StreamConnection(stream)
    stream.owner = tunnel
    new Explicit(this.around, bind, true).accept(tunnel)
    tunnel.open(stream.reply(new ResponseHead(200, 'Connection established'), BodyKind.Tunnel))
    return true
  }

  private isKnown(table: Table, bind: Bind): boolean {
    return this.byName(table, bind) !== undefined || this.stranger(table) !== undefined
  }

  private forward(connection: Connection, to: Bind, verdict: Verdict): void {
    const forward = this.forwardTo(connection, to, verdict)
    if (forward instanceof TcpForward) forward.start()
    else refuse(this.around.services, 'outbound', connection, forward)
  }

  /** For the sniffer: it looks at bound ports only. */
  forwardOf(connection: Connection, verdict: Verdict): TcpForward | Refusal {
    return this.forwardTo(connection, this.bind!, verdict)
  }

  private listenerOf({ service, port }: Bind): OutboundListener | undefined {
    return listenerOf(this.around.table, service, port)
  }

  private forwardTo(connection: Connection, to: Bind, verdict: Verdict): TcpForward | Refusal {
    const { clusters, services, table } = this.around
    const destination: Address = { address: to.service, port: to.port }
    const listener = listenerOf(table, to.service, to.port)
    const tls = verdict.spoken === 'tls' ? verdict : undefined
    const choice = listener?.tcp.choose(destination, tls, services.random)
    const chosen = choice === undefined ? undefined : clusters.get(choice.cluster)
    if (choice !== undefined && chosen === undefined)
      return { kind: 'no-cluster', cluster: choice.cluster, origin: choice.origin }
    // In a tunnel server names that no rule lists are strangers, as captured ones are.
    const strict = this.inTunnel && tls !== undefined && listener?.tcp.needServerName === true
    const cluster = chosen ?? (strict ? undefined : this.byName(table, to)) ?? this.stranger(table)
    const { bytes: already, ended, serverName } = verdict
    if (cluster === undefined) {
      const { origin } = table.snapshot.outbound.policy
      return { kind: 'stranger', destination, origin, serverName, isTls: tls !== undefined }
    }
    return new TcpForward(
      {
        direction: 'outbound',
        connection,
        destination,
        cluster,
        origin: choice?.origin ?? cluster.spec.origin,
        routeName: choice?.routeName ?? '',
        serverName,
        already,
        ended,
      },
      services,
    )
  }

  /** The service's own cluster, for opaque bytes to a port that is declared as HTTP. */
  private byName(table: Table, to: Bind) {
    for (const name of namesOf(table.snapshot.workload, table.snapshot.mesh.domain, to.service)) {
      const cluster = this.around.clusters.get(`outbound|${to.port}||${name}`)
      if (cluster !== undefined) return cluster
    }
    return undefined
  }

  private stranger(table: Table) {
    const { egressProxy, mode } = table.snapshot.outbound.policy
    if (mode !== 'ALLOW_ANY') return undefined
    const { clusters } = this.around
    return egressProxy === undefined
      ? clusters.fixed(passthroughCluster)
      : clusters.get(egressProxy)
  }
}

/** The listener that serves `host` on `port`: the shared host table, else the service's own. */
function listenerOf(table: Table, host: string, port: number): OutboundListener | undefined {
  const shared = table.outboundPort(port)
  if (shared?.http?.routes.host(host) !== undefined) return shared
  for (const name of namesOf(table.snapshot.workload, table.snapshot.mesh.domain, host)) {
    const own = table.serviceListener(name, port)
    if (own !== undefined) return own
  }
  // TLS services without addresses share one listener: the server name leads to them.
  return shared?.tcp.needServerName ? shared : undefined
}

/** What a host may mean, from the workload's namespace: itself, then with what Kubernetes' search path adds. */
function namesOf(workload: WorkloadSpec, domain: string, host: string): string[] {
  const lower = host.toLowerCase()
  return [
    lower,
    `${lower}.${workload.namespace}.svc.${domain}`,
    `${lower}.svc.${domain}`,
    `${lower}.${domain}`,
  ]
}
