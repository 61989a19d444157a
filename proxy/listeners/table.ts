/**
 * One snapshot, live: what a worker's listeners and exchanges look things up in. Swapped as a whole;
 * whoever started with one keeps it. Everything is linked when first asked for.
 */
import type {
  InboundPortSpec,
  InboundSpec,
  OutboundListenerSpec,
  RouteTableSpec,
  ServerTlsSpec,
  Snapshot,
} from '../../config/snapshot.ts'
import type { HttpScope } from '../exchange/scope.ts'
import type { ServerTls } from '../net/tls-server.ts'
import { defaultPool } from './fixed-clusters.ts'
import { KnownAddresses } from './known-addresses.ts'
import { ListenerIndex } from './listener-index.ts'
import { TcpRoutes } from './tcp-routes.ts'

/** Makes the scopes; given by the directions, which know about unknown hosts and applications. */
export interface ScopeMaker {
  outbound(snapshot: Snapshot, routes: RouteTableSpec, port: number): HttpScope
  inbound(snapshot: Snapshot, port: InboundPortSpec): HttpScope
  serverTls(port: InboundPortSpec, tls: ServerTlsSpec): ServerTls
}

/** A port of the workload that no service declares, as an inbound port that detects. */
function undeclared(port: number, snapshot: Snapshot): InboundPortSpec {
  const { name, namespace } = snapshot.workload
  return {
    port,
    protocol: 'auto',
    service: '',
    servicePort: port,
    target: { address: snapshot.inbound.mode === 'LOCALHOST' ? '127.0.0.1' : 'original', port },
    cluster: 'InboundPassthroughCluster',
    connectionPool: defaultPool,
    poolOrigin: undefined,
    tls: undefined,
    door: undefined,
    origin: { kind: 'built-in', namespace, name, file: '', line: 0 },
  }
}

export class OutboundListener {
  readonly spec: OutboundListenerSpec
  readonly tcp: TcpRoutes
  private readonly table: Table
  private linked: HttpScope | undefined = undefined

  constructor(spec: OutboundListenerSpec, table: Table) {
    this.spec = spec
    this.table = table
    this.tcp = new TcpRoutes(spec.tls, spec.tcp)
  }

  get http(): HttpScope | undefined {
    if (this.linked === undefined && this.spec.http !== undefined)
      this.linked = this.table.makers.outbound(this.table.snapshot, this.spec.http, this.spec.port)
    return this.linked
  }
}

export class InboundPort {
  readonly spec: InboundPortSpec
  private readonly table: Table
  private ownTls: ServerTls | undefined = undefined
  private linked: HttpScope | undefined = undefined

  constructor(spec: InboundPortSpec, table: Table) {
    this.spec = spec
    this.table = table
  }

  /** Undefined: TLS does not end here. */
  get tls(): ServerTls | undefined {
    const { tls } = this.spec
    if (tls !== undefined) this.ownTls ??= this.table.makers.serverTls(this.spec, tls)
    return this.ownTls
  }

  get http(): HttpScope {
    this.linked ??= this.table.makers.inbound(this.table.snapshot, this.spec)
    return this.linked
  }
}

const noRoutes: RouteTableSpec = { name: 'unknown', virtualHosts: [] }

export class Table {
  readonly snapshot: Snapshot
  readonly makers: ScopeMaker
  private readonly listeners: ListenerIndex<OutboundListener>
  private readonly ports = new Map<number, InboundPort>()
  private readonly strangers = new Map<number, HttpScope>()
  private byService: Map<string, OutboundListener> | undefined = undefined
  private known: KnownAddresses | undefined = undefined

  constructor(snapshot: Snapshot, makers: ScopeMaker) {
    this.snapshot = snapshot
    this.makers = makers
    this.listeners = new ListenerIndex(
      snapshot.outbound.listeners,
      (spec) => new OutboundListener(spec, this),
    )
    for (const spec of snapshot.inbound.ports)
      this.ports.set(spec.port, new InboundPort(spec, this))
  }

  outbound(address: string, port: number): OutboundListener | undefined {
    return this.listeners.find(address, port)
  }

  /** Explicit mode, where only the port is known at first. */
  outboundPort(port: number): OutboundListener | undefined {
    return this.listeners.anyAddress(port)
  }

  /** Explicit mode: the listener whose opaque bytes belong to the service of that host name. */
  serviceListener(host: string, port: number): OutboundListener | undefined {
    if (this.byService === undefined) {
      this.byService = new Map()
      for (const { addresses, service, port: on } of this.snapshot.outbound.listeners) {
        if (service === '') continue
        const [address = ''] = addresses[0]?.split('/') ?? []
        const live = address === '' ? this.outboundPort(on) : this.listeners.find(address, on)
        if (live !== undefined) this.byService.set(`${service}:${on}`, live)
      }
    }
    return this.byService.get(`${host}:${port}`)
  }

  inbound(port: number): InboundPort | undefined {
    return this.ports.get(port)
  }

  /** Routes for a connection whose port is declared no more. */
  undeclaredInbound(port: number): HttpScope {
    return new InboundPort(undeclared(port, this.snapshot), this).http
  }

  get inboundMode(): InboundSpec['mode'] {
    return this.snapshot.inbound.mode
  }

  /** Routes for HTTP on a port no service has: every host is unknown. */
  strangerScope(port: number): HttpScope {
    let scope = this.strangers.get(port)
    if (scope === undefined) {
      scope = this.makers.outbound(this.snapshot, noRoutes, port)
      this.strangers.set(port, scope)
    }
    return scope
  }

  /** True for the address of a Pod or another known endpoint: a call to it goes to it. */
  isEndpoint(address: string): boolean {
    this.known ??= new KnownAddresses(this.snapshot.endpointSets)
    return this.known.has(address)
  }
}
