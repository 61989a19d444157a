/** Virtual hosts: which names a port answers to, and whose routes they follow. */
import { type Client, placeOf } from './compile-client.ts'
import { clusterName } from './compile-destinations.ts'
import { noEdits } from './compile-headers.ts'
import { put } from './compile-labels.ts'
import { bySpecificity, isWildcard, otherNames } from './compile-names.ts'
import { isHttp } from './compile-ports.ts'
import type { MeshPort, MeshService } from './compile-registry.ts'
import type { CompiledRules, RuleCompiler } from './compile-routes.ts'
import type { Scope } from './compile-scope.ts'
import type { MeshRoutes } from './compile-virtual-services.ts'
import { hostCovers } from './schema/hosts.ts'
import type { RouteSpec, RouteTableSpec, SkippedRuleSpec, VirtualHostSpec } from './snapshot.ts'

/** The routes of one host, and the object that owns it. */
interface Owned {
  readonly routes: readonly RouteSpec[]
  readonly skipped: readonly SkippedRuleSpec[]
  readonly owner: MeshRoutes | undefined
}

export class TableBuilder {
  private readonly scope: Scope
  private readonly client: Client
  private readonly rules: RuleCompiler
  private readonly exact = new Map<string, MeshRoutes[]>()
  /** Most specific first; of equal ones the first in order. */
  private readonly wildcards: Array<{ readonly host: string; readonly routes: MeshRoutes }> = []
  /** Aliases by the host they stand for. */
  private readonly aliasesOf = new Map<string, string[]>()
  private readonly byPort = new Map<number, Map<string, MeshService>>()
  private readonly loose: ReadonlyMap<number, ReadonlyArray<readonly [string, MeshRoutes]>>

  constructor(scope: Scope, client: Client, rules: RuleCompiler) {
    this.scope = scope
    this.client = client
    this.rules = rules
    for (const routes of scope.routes)
      for (const host of routes.hosts) {
        if (isWildcard(host)) this.wildcards.push({ host, routes })
        else put(this.exact, host, routes)
      }
    this.wildcards.sort((a, b) => bySpecificity(a.host, b.host))
    for (const { hostname, target } of scope.aliases.values()) put(this.aliasesOf, target, hostname)
    for (const service of scope.services.values())
      for (const port of service.ports)
        if (isHttp(port.protocol) || port.protocol === 'auto') {
          const services = this.byPort.get(port.number) ?? new Map<string, MeshService>()
          this.byPort.set(port.number, services.set(service.hostname, service))
        }
    this.loose = this.looseHosts()
  }

  /** Ports on which a VirtualService serves a host that no service has. */
  get loosePorts(): Iterable<number> {
    return this.loose.keys()
  }

  /** The table by which requests to a port are told apart, by their Host. */
  shared(port: number): RouteTableSpec {
    const hosts = new HostTable(port)
    const services = [...(this.byPort.get(port)?.values() ?? [])]
    for (const service of services) {
      const { hostname } = service
      hosts.reserve(hostname, hostname)
      for (const alias of this.aliasesOf.get(hostname) ?? []) hosts.reserve(alias, hostname)
    }
    for (const [host, routes] of this.loose.get(port) ?? [])
      this.addHost(hosts, host, this.owned(routes, port))
    for (const service of services) this.addService(hosts, service, port)
    return { name: String(port), virtualHosts: hosts.done() }
  }

  /** The table behind one service's own address: Host is not asked. */
  ofService(service: MeshService, port: MeshPort): RouteTableSpec {
    const name = `${service.hostname}:${port.number}`
    const virtualHost = this.virtualHost(
      name,
      ['*'],
      service,
      this.find(service.hostname, port.number),
      port.number,
    )
    return { name, virtualHosts: [virtualHost] }
  }

  private addService(hosts: HostTable, service: MeshService, port: number): void {
    const { hostname } = service
    const names = [hostname, ...this.names(hostname)]
    for (const address of service.addresses)
      if (!address.includes('/')) names.push(address.includes(':') ? `[${address}]` : address)
    for (const alias of this.aliasesOf.get(hostname) ?? []) {
      const own = this.exact.has(alias) ? this.find(alias, port) : undefined
      const spelled = [alias, ...this.names(alias)]
      if (own?.owner === undefined) names.push(...spelled)
      else hosts.add(this.virtualHost(`${alias}:${port}`, spelled, service, own, port), hostname)
    }
    if (service.headless) names.push(...names.map((name) => `*.${name}`))
    const found = this.find(hostname, port)
    hosts.add(this.virtualHost(`${hostname}:${port}`, names, service, found, port), hostname)
  }

  private names(hostname: string): string[] {
    return otherNames(hostname, this.client.namespace, this.client.domain)
  }

  private addHost(hosts: HostTable, host: string, owned: Owned): void {
    if (owned.owner === undefined) return
    const { routes, skipped, owner } = owned
    const name = `${host}:${hosts.port}`
    const { origin } = owner.source
    // As it stands in Host.
    const domain = host.includes(':') ? `[${host}]` : host
    hosts.add({ name, domains: [domain], routes, skipped, origin }, '', owner)
  }

  private virtualHost(
    name: string,
    domains: readonly string[],
    service: MeshService,
    { routes, skipped, owner }: Owned,
    port: number,
  ): VirtualHostSpec {
    const { origin } = service.sources[0]
    if (owner !== undefined) return { name, domains, routes, skipped, origin: owner.source.origin }
    return { name, domains, routes: [this.defaultRoute(service, port)], skipped, origin }
  }

  private defaultRoute(service: MeshService, port: number): RouteSpec {
    const { origin } = service.sources[0]
    const cluster = clusterName(port, '', service.hostname)
    const action = this.rules.forwardTo({ cluster, weight: 1, headers: noEdits, origin })
    return { name: 'default', path: '', origin, match: undefined, action }
  }

  // --- which VirtualService owns a host ---------------------------------------------------------------
  /**
   * Of those that name the host the first that has usable rules owns it whole. Of wildcards it is the first
   * of the most specific ones, usable or not: Istio assigns them before it looks at their rules.
   */
  private find(hostname: string, port: number): Owned {
    const skipped: SkippedRuleSpec[] = []
    const exact = this.exact.get(hostname)
    let winner: MeshRoutes | undefined
    let won: Owned | undefined
    for (const routes of exact ?? this.coveringBest(hostname)) {
      if (winner !== undefined) {
        skipped.push(shadowed(placeOf(winner.source), routes, won?.routes.length ?? 0))
        continue
      }
      const owned = this.owned(routes, port)
      if (owned.owner === undefined) skipped.push(...owned.skipped)
      else won = owned
      if (won !== undefined || exact === undefined) winner = routes
    }
    if (won === undefined) return { routes: [], skipped, owner: undefined }
    return skipped.length === 0 ? won : { ...won, skipped: [...won.skipped, ...skipped] }
  }

  private coveringBest(hostname: string): readonly MeshRoutes[] {
    const best = this.wildcards.find(({ host }) => hostCovers(host, hostname))
    if (best === undefined) return []
    return this.wildcards.filter(({ host }) => host === best.host).map(({ routes }) => routes)
  }

  private owned(routes: MeshRoutes, port: number): Owned {
    const compiled: CompiledRules = this.rules.compile(routes, port)
    if (compiled.routes.length === 0) return { ...compiled, owner: undefined }
    return { ...compiled, owner: routes }
  }

  /**
   * Hosts of VirtualServices that belong to no service: on port 80, and wherever another host of the
   * same VirtualService is one. A wildcard stops being a host where a service of the port matches it.
   */
  private looseHosts(): Map<number, Array<readonly [string, MeshRoutes]>> {
    const loose = new Map<number, Array<readonly [string, MeshRoutes]>>()
    for (const routes of this.scope.routes) {
      if (routes.http.length === 0) continue
      const unclaimed = routes.hosts.filter((host) => isWildcard(host) || !this.isService(host))
      if (unclaimed.length === 0) continue
      for (const port of this.siblingPorts(routes))
        for (const host of unclaimed)
          if (!isWildcard(host) || !this.coversService(host, port))
            if (this.rules.compile(routes, port).routes.length > 0)
              put(loose, port, [host, routes] as const)
    }
    return loose
  }

  private siblingPorts(routes: MeshRoutes): Set<number> {
    const { listener } = this.scope
    const ports = new Set(listener === undefined || listener.port === 80 ? [80] : [])
    for (const host of routes.hosts)
      for (const service of isWildcard(host) ? this.covered(host) : this.oneService(host))
        for (const { number, protocol } of service.ports)
          if (isHttp(protocol) || protocol === 'auto') ports.add(number)
    return ports
  }

  private isService(host: string): boolean {
    return this.scope.services.has(host) || this.scope.aliases.has(host)
  }

  private oneService(host: string): MeshService[] {
    const service = this.scope.services.get(this.scope.aliases.get(host)?.target ?? host)
    return service === undefined ? [] : [service]
  }

  private *covered(wildcard: string): Generator<MeshService> {
    for (const service of this.scope.services.values())
      if (hostCovers(wildcard, service.hostname)) yield service
  }

  private coversService(wildcard: string, port: number): boolean {
    for (const hostname of this.byPort.get(port)?.keys() ?? [])
      if (hostCovers(wildcard, hostname)) return true
    return false
  }
}

/** Domains of one table: each belongs to one virtual host, full names before short ones. */
class HostTable {
  readonly port: number
  /** Full names, with the service that may use them. */
  private readonly reserved = new Map<string, string>()
  private readonly taken = new Map<string, number>()
  private readonly hosts: VirtualHostSpec[] = []

  constructor(port: number) {
    this.port = port
  }

  reserve(host: string, service: string): void {
    this.reserved.set(host.toLowerCase(), service)
  }

  /** `service`: whose reserved names the host may have. */
  add(host: VirtualHostSpec, service: string, loser?: MeshRoutes): void {
    const domains: string[] = []
    for (const name of host.domains) {
      const domain = name.toLowerCase()
      if ((this.reserved.get(domain) ?? service) !== service) continue
      const before = this.taken.get(domain)
      if (before === undefined) {
        this.taken.set(domain, this.hosts.length)
        domains.push(domain)
      } else if (loser !== undefined && before < this.hosts.length) this.addLoser(before, loser)
    }
    if (domains.length > 0) this.hosts.push({ ...host, domains })
  }

  done(): VirtualHostSpec[] {
    return this.hosts
  }

  private addLoser(index: number, loser: MeshRoutes): void {
    const host = this.hosts[index]!
    const { kind, namespace, name, file, line } = host.origin
    const winner = `${kind} ${namespace}/${name} (${file}:${line})`
    const skipped = [...host.skipped, shadowed(winner, loser, host.routes.length)]
    this.hosts[index] = { ...host, skipped }
  }
}

function shadowed(winner: string, loser: MeshRoutes, before: number): SkippedRuleSpec {
  const reason = `${winner} owns this host: nothing of a second VirtualService counts`
  return { path: '', origin: loser.source.origin, reason, before }
}
