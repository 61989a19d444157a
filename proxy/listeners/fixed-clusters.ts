/**
 * Clusters that no resource declares: where unknown outbound traffic goes, and the application behind
 * an inbound port. Named as Istio names them, so that metrics and logs look familiar.
 */
import type {
  ClusterSpec,
  ConnectionPoolSpec,
  EndpointSpec,
  InboundPortSpec,
  Origin,
} from '../../config/snapshot.ts'

const unlimited = 2 ** 32 - 1
const hourMs = 3_600_000

/** Istio's defaults (§3.5). */
export const defaultPool: ConnectionPoolSpec = {
  maxConnections: unlimited,
  connectTimeoutMs: 10_000,
  tcpIdleTimeoutMs: hourMs,
  maxConnectionDurationMs: undefined,
  keepalive: undefined,
  maxPendingRequests: unlimited,
  maxRequests: unlimited,
  maxRequestsPerConnection: 0,
  maxRetries: unlimited,
  httpIdleTimeoutMs: hourMs,
}

function builtIn(name: string): Origin {
  return { kind: 'built-in', namespace: '', name, file: '', line: 0 }
}

function fixed(name: string, parts: Partial<ClusterSpec>): ClusterSpec {
  const spec: ClusterSpec = {
    name,
    discovery: 'original-destination',
    service: '',
    serviceName: '',
    serviceNamespace: '',
    port: 0,
    subset: '',
    originalPortOverride: undefined,
    protocol: 'auto',
    endpointSet: '',
    subsetLabels: {},
    loadBalancer: { kind: 'PASSTHROUGH' },
    connectionPool: defaultPool,
    retryBudget: { kind: 'off' },
    outlierDetection: undefined,
    dnsRefreshMs: 60_000,
    tls: undefined,
    tunnel: undefined,
    proxyProtocol: undefined,
    external: true,
    origin: builtIn(name),
    policyOrigin: undefined,
    tlsOrigin: undefined,
    poolOrigin: undefined,
    outlierOrigin: undefined,
    hash: `fixed:${name}`,
    ...parts,
  }
  return spec
}

export const passthroughCluster = fixed('PassthroughCluster', {
  service: 'PassthroughCluster',
  serviceName: 'PassthroughCluster',
})

/** Inbound ports nobody declared: the application at the address that was dialed, or on loopback. */
export const inboundPassthroughCluster = fixed('InboundPassthroughCluster', {
  service: 'InboundPassthroughCluster',
  serviceName: 'InboundPassthroughCluster',
  external: false,
})

/** One endpoint at a fixed place, e.g. the application. */
export function endpointAt(address: string, port: number): EndpointSpec {
  return {
    address,
    port,
    weight: 1,
    labels: {},
    locality: '',
    healthy: true,
    workload: '',
    serviceAccount: '',
  }
}

/** Asked for each opaque connection. */
const poolTexts = new WeakMap<ConnectionPoolSpec, string>()

function textOf(pool: ConnectionPoolSpec): string {
  let text = poolTexts.get(pool)
  if (text === undefined) {
    text = JSON.stringify(pool)
    poolTexts.set(pool, text)
  }
  return text
}

/** The application behind a declared inbound port. */
export function inboundCluster(port: InboundPortSpec): {
  readonly spec: ClusterSpec
  readonly endpoints: readonly EndpointSpec[]
} {
  const { connectionPool, target, service } = port
  const [serviceName = '', serviceNamespace = ''] = service.split('.')
  const original = target.address === 'original'
  const spec = fixed(port.cluster, {
    discovery: original ? 'original-destination' : 'static',
    loadBalancer: { kind: original ? 'PASSTHROUGH' : 'ROUND_ROBIN' },
    originalPortOverride: target.port,
    service,
    serviceName,
    serviceNamespace,
    port: port.servicePort,
    protocol: port.protocol,
    external: false,
    origin: port.origin,
    connectionPool,
    poolOrigin: port.poolOrigin,
    hash: `fixed:${port.cluster}:${target.address}:${target.port}:${service}:${port.protocol}:${textOf(connectionPool)}`,
  })
  return { spec, endpoints: original ? [] : [endpointAt(target.address, target.port)] }
}
