/**
 * Outbound listeners: one per port for what is told apart by Host, SNI or port alone, and one per
 * service address for what only the address tells.
 */
import { type Client, placeOf, tell } from './compile-client.ts'
import type { EndpointIndex } from './compile-endpoints.ts'
import { byServerName, type L4Compiler, type L4Routes } from './compile-l4.ts'
import { otherNames } from './compile-names.ts'
import { isHttp } from './compile-ports.ts'
import { isKubernetes, type MeshPort, type MeshService } from './compile-registry.ts'
import type { Scope } from './compile-scope.ts'
import type { TableBuilder } from './compile-tables.ts'
import type { OutboundListenerSpec, PortProtocol, TcpRouteSpec, TlsRouteSpec } from './snapshot.ts'

/** What gathers on one port for every address. */
interface Gathered {
  readonly tables: TableBuilder
  /** HTTP is looked for. */
  http: MeshService | undefined
  /** Origin of a host without service, when no service brought the port. */
  hasLooseHosts: boolean
  readonly tls: TlsRouteSpec[]
  tcp: readonly TcpRouteSpec[]
  /** Who takes opaque bytes: the first one. */
  opaque: MeshService | undefined
  sniffed: boolean
}

export class ListenerBuilder {
  private readonly client: Client
  private readonly endpoints: EndpointIndex
  private readonly ports = new Map<number, Gathered>()
  private readonly taken = new Map<string, MeshService>()
  private readonly listeners: OutboundListenerSpec[] = []

  constructor(client: Client, endpoints: EndpointIndex) {
    this.client = client
    this.endpoints = endpoints
  }

  /** Scopes come in the order of the Sidecar: a port with a listener of its own is closed to later ones. */
  add(scope: Scope, tables: TableBuilder, l4: L4Compiler): void {
    const closed = new Set(this.ports.keys())
    for (const port of tables.loosePorts)
      if (!closed.has(port) && (scope.listener?.port ?? port) === port)
        this.gather(port, tables).hasLooseHosts = true
    for (const service of scope.services.values())
      for (const port of service.ports) {
        this.addPort(service, port, scope, tables, l4, closed.has(port.number))
      }
  }

  done(): OutboundListenerSpec[] {
    for (const [port, gathered] of this.ports) {
      const listener = wildcardListener(port, gathered)
      if (listener !== undefined) this.listeners.push(listener)
    }
    return this.listeners.sort((a, b) => a.port - b.port || compareLists(a.addresses, b.addresses))
  }

  private addPort(
    service: MeshService,
    port: MeshPort,
    scope: Scope,
    tables: TableBuilder,
    l4: L4Compiler,
    closed: boolean,
  ): void {
    const { protocol, number } = port
    if (isHttp(protocol)) {
      if (!closed) this.gather(number, tables).http ??= service
      return
    }
    const { bind } = scope.listener ?? {}
    const addresses = bind === undefined ? this.addressesOf(service, port) : [bind]
    if (addresses !== undefined) this.addAddressed(service, port, addresses, tables, l4)
    else if (!closed) this.addWildcard(service, port, tables, l4)
  }

  /** Undefined: only the port tells. Empty: nowhere to listen. */
  private addressesOf(service: MeshService, port: MeshPort): readonly string[] | undefined {
    if (service.addresses.length > 0) return service.addresses
    if (!service.headless) return undefined
    const own = this.client.workload.addresses
    const found = this.endpoints.of(service, port).map(({ address }) => address)
    return [...new Set(found)].filter((address) => !own.includes(address))
  }

  private addAddressed(
    service: MeshService,
    port: MeshPort,
    addresses: readonly string[],
    tables: TableBuilder,
    l4: L4Compiler,
  ): void {
    const free = addresses.filter((address) => {
      const key = `${address} ${port.number}`
      const before = this.taken.get(key)
      if (before === undefined) this.taken.set(key, service)
      else if (!service.headless) this.tellTaken(service, port, before, `${address}:${port.number}`)
      return before === undefined
    })
    if (free.length === 0) return
    const routes = l4.of(service, port, [])
    this.listeners.push({
      addresses: free,
      port: port.number,
      service: service.hostname,
      protocol: sniffing(port.protocol, routes),
      http: port.protocol === 'auto' ? tables.ofService(service, port) : undefined,
      ...routes,
      origin: service.sources[0].origin,
    })
  }

  private addWildcard(
    service: MeshService,
    port: MeshPort,
    tables: TableBuilder,
    l4: L4Compiler,
  ): void {
    const gathered = this.gather(port.number, tables)
    const names = port.protocol === 'tls' ? this.names(service) : []
    const routes = l4.of(service, port, names)
    gathered.tls.push(...routes.tls)
    if (port.protocol === 'auto') {
      gathered.http ??= service
      gathered.sniffed = true
    }
    if (port.protocol === 'tls') return
    if (gathered.opaque === undefined) {
      gathered.opaque = service
      gathered.tcp = routes.tcp
    } else this.tellTaken(service, port, gathered.opaque, `port ${port.number}`)
  }

  private names(service: MeshService): string[] {
    const { namespace, domain } = this.client
    const others = isKubernetes(service) ? otherNames(service.hostname, namespace, domain) : []
    return [service.hostname, ...others].map((name) => name.toLowerCase())
  }

  private gather(port: number, tables: TableBuilder): Gathered {
    const known = this.ports.get(port)
    if (known !== undefined) return known
    const fresh: Gathered = {
      tables,
      http: undefined,
      hasLooseHosts: false,
      tls: [],
      tcp: [],
      opaque: undefined,
      sniffed: false,
    }
    this.ports.set(port, fresh)
    return fresh
  }

  private tellTaken(service: MeshService, port: MeshPort, before: MeshService, what: string): void {
    const [source] = service.sources
    if (source === before.sources[0]) return
    const http = port.protocol === 'auto' ? ', only HTTP requests find it by their Host' : ''
    tell(
      this.client,
      'warning',
      'OUT-PORT-TAKEN',
      source,
      [],
      `TCP connections to ${what} belong to ${before.hostname}, ${placeOf(before.sources[0])}, which is older${http}`,
      isKubernetes(service)
        ? 'Give the Service its clusterIP, another port, or an http port name.'
        : 'Give the ServiceEntry addresses, or another port.',
    )
  }
}

/** Bytes must be looked at where a route asks for SNI. */
function sniffing(protocol: PortProtocol, { tls }: L4Routes): PortProtocol {
  return protocol === 'tcp' && tls.length > 0 ? 'auto' : protocol
}

function wildcardListener(port: number, gathered: Gathered): OutboundListenerSpec | undefined {
  const { http, opaque, tables, hasLooseHosts, tcp, sniffed } = gathered
  const tls = byServerName(gathered.tls)
  const table = http !== undefined || hasLooseHosts ? tables.shared(port) : undefined
  const origin = http?.sources[0].origin ?? opaque?.sources[0].origin ?? tls[0]?.origin
  const first = origin ?? table?.virtualHosts[0]?.origin
  if (first === undefined) return undefined
  const mixed =
    sniffed || Number(table !== undefined) + Number(tls.length > 0) + Number(tcp.length > 0) > 1
  const only = table !== undefined ? 'http' : tls.length > 0 ? 'tls' : 'tcp'
  return {
    addresses: [],
    port,
    service: opaque?.hostname ?? '',
    protocol: mixed ? 'auto' : only,
    http: table,
    tls,
    tcp,
    origin: first,
  }
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  const [left, right] = [a.join(' '), b.join(' ')]
  return left < right ? -1 : left > right ? 1 : 0
}
