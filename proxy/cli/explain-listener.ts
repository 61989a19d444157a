/** Which outbound listener a call reaches, and what it does with bytes that are not HTTP: offline. */
import { isIP } from 'node:net'
import type {
  OutboundListenerSpec,
  Snapshot,
  TcpRouteSpec,
  TlsRouteSpec,
} from '../../config/snapshot.ts'
import { ListenerIndex } from '../listeners/listener-index.ts'
import { CidrSet } from '../net/cidr.ts'

export interface ListenerVerdict {
  readonly listener: OutboundListenerSpec | undefined
  /** How it was found, as one sentence without its end mark. */
  readonly how: string
  /** Address the call goes to; `` when the name was not resolved. */
  readonly address: string
  /** The address is that of a known Pod or endpoint. */
  readonly endpoint: boolean
}

/**
 * As the proxy finds it: an IP address by itself, a name by the address of its service where that has
 * a listener of its own, else by the port alone.
 */
export function findListener(snapshot: Snapshot, host: string, port: number): ListenerVerdict {
  const { listeners } = snapshot.outbound
  const index = new ListenerIndex(listeners, (spec) => spec)
  const bare = host.replace(/^\[|\]$/g, '')
  if (isIP(bare) !== 0) return byAddress(snapshot, index, bare, port)
  const own = ownListener(snapshot, host, port)
  if (own !== undefined) {
    const address = own.addresses[0]!
    return { listener: own, how: `${host} has the address ${address}`, address, endpoint: false }
  }
  const listener = index.anyAddress(port)
  const how =
    listener === undefined
      ? `no service this workload sees has port ${port}`
      : `port ${port} of every address`
  return { listener, how, address: '', endpoint: false }
}

function byAddress(
  snapshot: Snapshot,
  index: ListenerIndex<OutboundListenerSpec>,
  address: string,
  port: number,
): ListenerVerdict {
  const endpoint = isEndpoint(snapshot, address)
  const listener = index.find(address, port)
  if (listener === undefined)
    return { listener, how: `nothing listens for ${address}:${port}`, address, endpoint }
  const every = listener.addresses.length === 0
  if (every && listener.http === undefined && endpoint) {
    const how = `${address} is a Pod's own address: calls go straight to it`
    return { listener: undefined, how, address, endpoint }
  }
  const how = every ? `port ${port} of every address` : `its address covers ${address}`
  return { listener, how, address, endpoint }
}

function isEndpoint(snapshot: Snapshot, address: string): boolean {
  for (const endpoints of snapshot.endpointSets.values())
    if (endpoints.some((endpoint) => endpoint.address === address)) return true
  return false
}

/** The listener on the addresses of the service that the name means. */
function ownListener(
  snapshot: Snapshot,
  host: string,
  port: number,
): OutboundListenerSpec | undefined {
  const names = fullNames(host, snapshot)
  for (const { service, port: servicePort, subset, origin } of snapshot.clusters.values()) {
    if (servicePort !== port || subset !== '' || !names.includes(service)) continue
    const found = snapshot.outbound.listeners.find(
      ({ addresses, port: own, origin: by }) =>
        addresses.length > 0 &&
        own === port &&
        by.kind === origin.kind &&
        by.namespace === origin.namespace &&
        by.name === origin.name,
    )
    if (found !== undefined) return found
  }
  return undefined
}

/** What DNS makes of a name in this workload's namespace: `reviews`, `reviews.ns`, `reviews.ns.svc`. */
function fullNames(host: string, { workload, mesh }: Snapshot): string[] {
  const name = host.toLowerCase().replace(/\.$/, '')
  const domain = `svc.${mesh.domain}`
  return [
    name,
    `${name}.${workload.namespace}.${domain}`,
    `${name}.${domain}`,
    `${name}.${mesh.domain}`,
  ]
}

export interface OpaqueVerdict {
  readonly rule: string
  readonly route: TcpRouteSpec | TlsRouteSpec
  readonly verdict: 'wins' | 'fails' | 'unreached'
  readonly reason: string
}

/** TLS rules by server name, then TCP rules, as for a connection whose bytes are not read. */
export function explainOpaque(
  listener: OutboundListenerSpec,
  address: string,
  serverName: string | undefined,
): OpaqueVerdict[] {
  let winner = ''
  const judge = (rule: string, route: TcpRouteSpec | TlsRouteSpec): OpaqueVerdict => {
    if (winner !== '')
      return { rule, route, verdict: 'unreached', reason: `${winner} has won before` }
    const miss = opaqueMiss(route, address, serverName)
    if (miss !== '') return { rule, route, verdict: 'fails', reason: miss }
    winner = rule
    return { rule, route, verdict: 'wins', reason: winningReason(route, serverName) }
  }
  const tls = listener.tls.map((route) => judge(`tls ${route.sniHosts.join(', ') || 'any'}`, route))
  return [...tls, ...listener.tcp.map((route) => judge(route.path || 'default', route))]
}

function opaqueMiss(
  route: TcpRouteSpec | TlsRouteSpec,
  address: string,
  serverName: string | undefined,
): string {
  if ('sniHosts' in route) {
    if (serverName === undefined) return 'the connection does not speak TLS'
    const { sniHosts } = route
    const covered = sniHosts.some((host) =>
      host.startsWith('*') ? serverName.endsWith(host.slice(1)) : host === serverName,
    )
    if (sniHosts.length > 0 && !covered)
      return `it is for ${sniHosts.join(', ')}, the server name is ${serverName}`
  }
  const { destinationSubnets } = route
  if (destinationSubnets.length === 0) return ''
  if (address !== '' && new CidrSet(destinationSubnets).contains(address)) return ''
  const seen = address === '' ? 'the address is not known' : `the address is ${address}`
  return `it is for destinations in ${destinationSubnets.join(', ')}, ${seen}`
}

function winningReason(route: TcpRouteSpec | TlsRouteSpec, serverName: string | undefined): string {
  if ('sniHosts' in route) return `the server name is ${serverName}`
  return route.destinationSubnets.length === 0 ? 'it has no conditions' : 'the address is in range'
}
