/** Which rule takes an opaque connection: by server name, then by destination, first match wins. */
import type { DestinationSpec, Origin, TcpRouteSpec, TlsRouteSpec } from '../../config/snapshot.ts'
import type { Random } from '../base/random.ts'
import type { Address } from '../net/address.ts'
import { CidrSet } from '../net/cidr.ts'
import { TrafficSplit } from '../routing/traffic-split.ts'

/** What a rule leads to: the name of a cluster and who said so. */
export interface TcpChoice {
  readonly cluster: string
  readonly origin: Origin
  readonly routeName: string
}

class LiveTcpRoute {
  private readonly origin: Origin
  private readonly name: string
  private readonly subnets: CidrSet
  private readonly sniHosts: readonly string[]
  private readonly split: TrafficSplit<DestinationSpec>

  constructor(spec: TcpRouteSpec | TlsRouteSpec) {
    this.origin = spec.origin
    this.name = 'path' in spec ? spec.path : ''
    this.sniHosts = 'sniHosts' in spec ? spec.sniHosts : []
    this.subnets = new CidrSet(spec.destinationSubnets)
    this.split = new TrafficSplit(spec.destinations, spec.destinations)
  }

  covers(destination: Address | undefined, serverName: string): boolean {
    if (this.sniHosts.length > 0 && !this.sniHosts.some((host) => coversName(host, serverName)))
      return false
    if (this.subnets.size === 0) return true
    return destination !== undefined && this.subnets.contains(destination.address)
  }

  choose(random: Random): TcpChoice {
    const { cluster } = this.split.pick(random)
    return { cluster, origin: this.origin, routeName: this.name }
  }
}

/** `*.example.com` covers any number of labels in front. */
function coversName(host: string, serverName: string): boolean {
  return host.startsWith('*') ? serverName.endsWith(host.slice(1)) : host === serverName
}

/** The opaque rules of one listener. */
export class TcpRoutes {
  private readonly tls: readonly LiveTcpRoute[]
  private readonly tcp: readonly LiveTcpRoute[]

  constructor(tls: readonly TlsRouteSpec[], tcp: readonly TcpRouteSpec[]) {
    this.tls = tls.map((spec) => new LiveTcpRoute(spec))
    this.tcp = tcp.map((spec) => new LiveTcpRoute(spec))
  }

  /** True where the server name must be read before a choice is possible. */
  get needServerName(): boolean {
    return this.tls.length > 0
  }

  /** `tls`: the connection speaks TLS, with this server name. */
  choose(
    destination: Address | undefined,
    tls: { readonly serverName: string } | undefined,
    random: Random,
  ): TcpChoice | undefined {
    if (tls !== undefined)
      for (const route of this.tls)
        if (route.covers(destination, tls.serverName)) return route.choose(random)
    for (const route of this.tcp) if (route.covers(destination, '')) return route.choose(random)
    return undefined
  }
}
