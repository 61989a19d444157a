/** The scopes in which exchanges run: outbound tables, and the application behind an inbound port. */
import type {
  ForwardSpec,
  HeaderEditsSpec,
  InboundPortSpec,
  RetrySpec,
  RouteTableSpec,
  Snapshot,
} from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { noCluster, unknownHost } from '../exchange/refusals.ts'
import type { HttpScope, Target } from '../exchange/scope.ts'
import type { RequestHead } from '../http/head.ts'
import { type Address, isLoopback } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import type { ForwardAction } from '../routing/route.ts'
import { RouteTable } from '../routing/route-table.ts'
import { TrafficSplit } from '../routing/traffic-split.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Clusters } from '../upstream/clusters.ts'
import { inboundCluster, passthroughCluster } from './fixed-clusters.ts'
import type { ListeningServices } from './listening.ts'

const noOperations = { remove: [], set: [], add: [] }
const noEdits: HeaderEditsSpec = { request: noOperations, response: noOperations }
/** Passthrough and inbound: nothing is repeated but what never left (Istio §18, observed 46). */
const noRetries: RetrySpec = {
  attempts: 0,
  perTryTimeoutMs: undefined,
  retryOn: [],
  statusCodes: [],
  backoffMs: 25,
  ignorePreviousHosts: true,
  remoteLocalities: false,
  origin: undefined,
}
const forwardAsIs: ForwardAction<Target> = {
  kind: 'forward',
  split: new TrafficSplit<never>([], []),
  timeoutMs: undefined,
  retries: noRetries,
}

/** What all scopes of a worker are made with. */
export interface ScopeParts {
  readonly services: ListeningServices
  readonly clusters: Clusters
  readonly ownPorts: ReadonlySet<number>
  /** True for the address of a known endpoint, in the snapshot's table. */
  readonly isEndpoint: (snapshot: Snapshot, address: string) => boolean
}

export class OutboundScope implements HttpScope {
  readonly direction = 'outbound'
  readonly tellOrigin = true
  readonly services: ListeningServices
  readonly routes: RouteTable<Target>
  readonly normalization: HttpScope['normalization']
  readonly version: string
  readonly policyOrigin: HttpScope['policyOrigin']
  readonly ownAddress: string
  readonly passthrough = forwardAsIs
  private readonly snapshot: Snapshot
  private readonly parts: ScopeParts
  private readonly port: number
  /** The authority last asked about, and what it names: clients ask for the same again and again. */
  private named: string | undefined = undefined
  private namedDestination: Address | undefined = undefined

  constructor(snapshot: Snapshot, spec: RouteTableSpec, port: number, parts: ScopeParts) {
    this.snapshot = snapshot
    this.parts = parts
    this.port = port
    this.services = parts.services
    this.normalization = snapshot.mesh.pathNormalization
    this.version = snapshot.version
    this.ownAddress = snapshot.workload.addresses[0] ?? ''
    this.policyOrigin = snapshot.outbound.policy.origin
    const { clusters } = parts
    this.routes = new RouteTable(spec, { resolve: ({ cluster }) => clusters.get(cluster), port })
  }

  destination(head: RequestHead, connection: Connection): Address | undefined {
    // Without capture connections carry none: the request names its destination.
    if (connection.originalDestination !== undefined) return connection.originalDestination
    if (head.authority !== this.named) {
      const { host, port } = splitAuthority(head.authority)
      this.named = head.authority
      this.namedDestination = { address: host, port: port ?? this.port }
    }
    return this.namedDestination
  }

  unknownHost(head: RequestHead, connection: Connection): Cluster | ProxyError {
    const { clusters, isEndpoint, ownPorts } = this.parts
    const captured = connection.originalDestination !== undefined
    const destination = this.destination(head, connection)
    if (destination === undefined) return unknownHost(head.authority, this.port)
    if (!captured && ownPorts.has(destination.port) && isSelf(destination.address))
      return new ProxyError(ErrorCode.Loop, Side.Proxy, {
        message: `${head.authority} is the proxy itself`,
      })
    const { egressProxy, mode } = this.snapshot.outbound.policy
    if (isEndpoint(this.snapshot, destination.address)) return clusters.fixed(passthroughCluster)
    if (egressProxy !== undefined) return clusters.get(egressProxy) ?? noCluster(egressProxy)
    if (mode === 'ALLOW_ANY') return clusters.fixed(passthroughCluster)
    return unknownHost(head.authority, destination.port)
  }
}

export class InboundScope implements HttpScope {
  readonly direction = 'inbound'
  readonly tellOrigin = false
  readonly services: ListeningServices
  readonly routes: RouteTable<Target>
  readonly normalization: HttpScope['normalization']
  readonly version: string
  readonly policyOrigin = undefined
  readonly ownAddress: string
  readonly passthrough = forwardAsIs

  constructor(snapshot: Snapshot, port: InboundPortSpec, parts: ScopeParts) {
    const { services, clusters } = parts
    this.services = services
    this.normalization = snapshot.mesh.pathNormalization
    this.version = snapshot.version
    this.ownAddress = snapshot.workload.addresses[0] ?? ''
    const { spec, endpoints } = inboundCluster(port)
    const routes = inboundRoutes(port, snapshot.mesh.inboundRetries)
    const resolve = (): Cluster => clusters.fixed(spec, endpoints)
    this.routes = new RouteTable(routes, { resolve, port: port.servicePort })
  }

  destination(_head: RequestHead, connection: Connection): Address | undefined {
    return connection.originalDestination ?? connection.local
  }

  unknownHost(head: RequestHead): ProxyError {
    return unknownHost(head.authority, 0)
  }
}

/** Every host and path to the application. */
function inboundRoutes(port: InboundPortSpec, retries = noRetries): RouteTableSpec {
  const { cluster, origin, protocol } = port
  const action: ForwardSpec = {
    kind: 'forward',
    destinations: [{ cluster, weight: 1, headers: noEdits, origin }],
    rewrite: undefined,
    timeoutMs: undefined,
    // As in Istio: not for ports that speak gRPC.
    retries: protocol === 'grpc' ? noRetries : retries,
    headers: noEdits,
  }
  const route = { name: 'default', path: '', origin, match: undefined, action }
  const host = { name: `inbound|http|${port.servicePort}`, domains: ['*'], routes: [route] }
  return { name: cluster, virtualHosts: [{ ...host, skipped: [], origin }] }
}

/** `reviews:9080`, `[fd00::7]:80`, `reviews`. */
export function splitAuthority(authority: string): { host: string; port: number | undefined } {
  const found = /^(.*?)(?::(\d+))?$/.exec(authority)
  const host = found?.[1] ?? authority
  const port = found?.[2]
  const plain = host.startsWith('[') ? host.slice(1, -1) : host
  return { host: plain, port: port === undefined ? undefined : Number(port) }
}

function isSelf(address: string): boolean {
  return isLoopback(address) || address === 'localhost'
}
