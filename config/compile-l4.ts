/** TLS routes by SNI and TCP routes of one service port, as its VirtualServices say, or straight to the service. */
import type { Client } from './compile-client.ts'
import { clusterName, type Destinations } from './compile-destinations.ts'
import { noEdits } from './compile-headers.ts'
import { staticMiss } from './compile-matches.ts'
import { canonicalPrefix, isWildcard } from './compile-names.ts'
import type { MeshPort, MeshService } from './compile-registry.ts'
import type { MeshRoutes } from './compile-virtual-services.ts'
import { hostCovers } from './schema/hosts.ts'
import type { DestinationSpec, TcpRouteSpec, TlsRouteSpec } from './snapshot.ts'

export interface L4Routes {
  readonly tls: readonly TlsRouteSpec[]
  readonly tcp: readonly TcpRouteSpec[]
}

export class L4Compiler {
  private readonly client: Client
  private readonly destinations: Destinations
  private readonly routes: readonly MeshRoutes[]

  /** `routes`: those with tls or tcp rules, in order. */
  constructor(client: Client, destinations: Destinations, routes: readonly MeshRoutes[]) {
    this.client = client
    this.destinations = destinations
    this.routes = routes.filter(({ source }) => source.spec.tls.length + source.spec.tcp.length > 0)
  }

  /**
   * `names`: SNI hosts that lead to the service where it has no address of its own. As soon as a
   * VirtualService has a TLS match for a declared TLS port, other SNIs are left to the outbound policy.
   */
  of(service: MeshService, port: MeshPort, names: readonly string[]): L4Routes {
    const owners = this.routes.filter(({ hosts }) =>
      hosts.some((host) => hostCovers(host, service.hostname)),
    )
    const tls = byServerName(owners.flatMap((owner) => this.tls(owner, port.number)))
    if (port.protocol === 'tls') {
      if (tls.length > 0) return { tls, tcp: [] }
      const destinations = [straight(service, port)]
      const { origin } = service.sources[0]
      const route = { sniHosts: names, destinationSubnets: [], destinations, origin }
      return { tls: [route], tcp: names.length > 0 ? [] : this.tcp([], service, port) }
    }
    return { tls, tcp: this.tcp(owners, service, port) }
  }

  private tls({ source }: MeshRoutes, port: number): TlsRouteSpec[] {
    return source.spec.tls.flatMap((rule, index) => {
      const path = ['spec', 'tls', index]
      return rule.match.flatMap((match, at) => {
        if (staticMiss(match, port, this.client, 'l4') !== undefined) return []
        return {
          sniHosts: match.sniHosts.map((host) => host.toLowerCase()),
          destinationSubnets: match.destinationSubnets.map(canonicalPrefix),
          destinations: this.destinations.forL4(rule.route, source, path, port),
          origin: source.originAt([...path, 'match', at]),
        }
      })
    })
  }

  /** Ends with the first rule for every destination, or with the service itself. */
  private tcp(owners: readonly MeshRoutes[], service: MeshService, port: MeshPort): TcpRouteSpec[] {
    const found: TcpRouteSpec[] = []
    for (const { source } of owners)
      for (const [index, rule] of source.spec.tcp.entries()) {
        const path = ['spec', 'tcp', index]
        const add = (
          label: string,
          subnets: readonly string[],
          at: readonly (string | number)[],
        ) => {
          found.push({
            path: label,
            destinationSubnets: subnets.map(canonicalPrefix),
            destinations: this.destinations.forL4(rule.route, source, path, port.number),
            origin: source.originAt(at),
          })
          return subnets.length === 0
        }
        if (rule.match.length === 0 && add(`tcp[${index}]`, [], path)) return found
        for (const [at, match] of rule.match.entries()) {
          if (staticMiss(match, port.number, this.client, 'l4') !== undefined) continue
          const label = `tcp[${index}].match[${at}]`
          if (add(label, match.destinationSubnets, [...path, 'match', at])) return found
        }
      }
    const { origin } = service.sources[0]
    const destinations = [straight(service, port)]
    return [...found, { path: '', destinationSubnets: [], destinations, origin }]
  }
}

/**
 * The first route for a server name (and the same subnets) wins; then routes stand in the order in
 * which they are to be tried: those for subnets, exact names, longer wildcards, any name.
 */
export function byServerName(routes: readonly TlsRouteSpec[]): TlsRouteSpec[] {
  const taken = new Set<string>()
  const single: TlsRouteSpec[] = []
  for (const route of routes) {
    const free = route.sniHosts.filter((name) => {
      const key = `${name} ${route.destinationSubnets.join(',')}`
      return !taken.has(key) && taken.add(key)
    })
    const exact = free.filter((name) => !isWildcard(name))
    if (exact.length > 0) single.push({ ...route, sniHosts: exact })
    for (const name of free) if (isWildcard(name)) single.push({ ...route, sniHosts: [name] })
    if (route.sniHosts.length === 0) single.push(route)
  }
  return single.sort((a, b) => tlsRank(b) - tlsRank(a))
}

/** Lengths of names are below 256. */
function tlsRank({ sniHosts, destinationSubnets }: TlsRouteSpec): number {
  const [name] = sniHosts
  const byName = name === undefined ? 0 : isWildcard(name) ? name.length : 1_000
  return destinationSubnets.length > 0 ? 10_000 + byName : byName
}

function straight(service: MeshService, port: MeshPort): DestinationSpec {
  const { origin } = service.sources[0]
  return {
    cluster: clusterName(port.number, '', service.hostname),
    weight: 1,
    headers: noEdits,
    origin,
  }
}
