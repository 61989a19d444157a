/** One cluster per port of every service in scope, and one per subset that a DestinationRule in force defines. */
import { hash } from 'node:crypto'
import { Annotation } from './annotation-names.ts'
import { Balancing } from './compile-balancing.ts'
import { type Client, tell } from './compile-client.ts'
import { clusterName } from './compile-destinations.ts'
import { type EndpointIndex, endpointSetKey } from './compile-endpoints.ts'
import { NearnessIndex } from './compile-nearness.ts'
import { outlierDetectionSpec } from './compile-outliers.ts'
import {
  blocksFor,
  type MergedRule,
  type PolicyIndex,
  PoolSettings,
  subsetOrigin,
} from './compile-policies.ts'
import { type BlockPlace, balancingPlace, blockPlace, originOf } from './compile-policy-places.ts'
import type { MeshPort, MeshService, Of } from './compile-registry.ts'
import { retryBudgetSpec } from './compile-retry-budget.ts'
import { clientTlsSpec, tunnelSpec } from './compile-transport.ts'
import { UnusedBalancing } from './compile-unused.ts'
import type { ClusterSpec, EndpointSpec, Origin } from './snapshot.ts'

export interface Clusters {
  readonly clusters: Map<string, ClusterSpec>
  readonly endpointSets: Map<string, readonly EndpointSpec[]>
}

const noLabels: Readonly<Record<string, string>> = {}

/** What the clusters of one snapshot share. */
interface Shared {
  readonly pools: PoolSettings
  readonly balancing: Balancing
  readonly nearness: NearnessIndex
  readonly unused: UnusedBalancing
  readonly client: Client
}

/** `registry`: all services, also those that this workload does not call. */
export function buildClusters(
  services: Iterable<MeshService>,
  registry: readonly MeshService[],
  endpoints: EndpointIndex,
  policies: PolicyIndex,
  client: Client,
): Clusters {
  const built: Clusters = { clusters: new Map(), endpointSets: new Map() }
  const shared: Shared = {
    pools: new PoolSettings(client),
    balancing: new Balancing(),
    nearness: new NearnessIndex(client, endpoints, registry),
    unused: new UnusedBalancing(client),
    client,
  }
  for (const service of services) {
    const rule = policies.ruleFor(service)
    if (!endpoints.knowsNode) tellUnknownNode(service, client)
    for (const port of service.ports) {
      const found = endpoints.of(service, port)
      if (found.length > 0 || !isOnDemand(service.discovery))
        built.endpointSets.set(endpointSetKey(port.number, service.hostname), found)
      const names = ['', ...(rule?.subsets.keys() ?? [])]
      for (const subset of names) {
        const cluster = clusterSpec(service, port, rule, subset, shared)
        built.clusters.set(cluster.name, cluster)
      }
    }
  }
  return built
}

function tellUnknownNode(service: MeshService, client: Client): void {
  const [source] = service.sources
  if (source.kind !== 'Service' || source.spec.internalTrafficPolicy !== 'Local') return
  tell(
    client,
    'warning',
    'OUT-NODE',
    source,
    ['spec', 'internalTrafficPolicy'],
    'internalTrafficPolicy Local has no effect: the node of this workload is not known',
    'Include the Pod of this workload, with its spec.nodeName and status.podIP.',
  )
}

function clusterSpec(
  service: MeshService,
  port: MeshPort,
  rule: MergedRule | undefined,
  subset: string,
  { balancing, client, nearness, pools, unused }: Shared,
): ClusterSpec {
  const written = rule?.subsets.get(subset)?.subset
  const blocks = blocksFor(rule, port.number, written)
  const meshOutliers = client.mesh.defaultTrafficPolicy?.outlierDetection
  const outliersAt = blockPlace('outlierDetection', rule, port.number, subset, client)
  const balancedAt = blockPlace('loadBalancer', rule, port.number, subset, client)
  const annotations = rule?.source.annotations ?? noLabels
  const near = isOnDemand(service.discovery)
    ? undefined
    : nearness.of(service, blocks, balancedAt, outliersAt)
  const loadBalancer = balancing.for(blocks.loadBalancer, annotations, near?.locality)
  unused.check(service, port, loadBalancer, balancedAt)
  const discovery = loadBalancer.kind === 'PASSTHROUGH' ? 'original-destination' : service.discovery
  const original = isOnDemand(discovery)
  const { hostname, name, namespace, external } = service
  const acting = {
    name: clusterName(port.number, subset, hostname),
    discovery,
    service: hostname,
    serviceName: name,
    serviceNamespace: namespace,
    port: port.number,
    subset,
    originalPortOverride: original ? targetPortOf(service, port) : undefined,
    protocol: port.declared,
    endpointSet: original ? '' : endpointSetKey(port.number, hostname),
    subsetLabels: written?.labels ?? noLabels,
    loadBalancer,
    connectionPool: pools.for(blocks),
    retryBudget: retryBudgetSpec(blocks.retryBudget, annotations[Annotation.RetryBudget]),
    outlierDetection: outlierDetectionSpec(blocks.outlierDetection ?? meshOutliers, outliersAt),
    dnsRefreshMs: client.mesh.dnsRefreshRateMs,
    tls: clientTlsSpec(blocks.tls, service, rule),
    tunnel: tunnelSpec(blocks.tunnel),
    proxyProtocol: blocks.proxyProtocol?.version,
    external,
  }
  return {
    ...acting,
    origin: service.sources[0].origin,
    policyOrigin: rule === undefined ? undefined : policyOrigin(rule, subset),
    poolOrigin: originOf(blockPlace('connectionPool', rule, port.number, subset, client)),
    outlierOrigin: originOf(outliersAt),
    tlsOrigin: originOf(blockPlace('tls', rule, port.number, subset, client)),
    ...balancingOrigins(balancingPlace(balancedAt, rule?.source), near?.origin),
    hash: hash('sha256', JSON.stringify(acting), 'base64url').slice(0, 22),
  }
}

function balancingOrigins(
  place: BlockPlace | undefined,
  localityOrigin: Origin | undefined,
): Pick<ClusterSpec, 'loadBalancerOrigin' | 'localityOrigin'> {
  return {
    ...(place === undefined ? {} : { loadBalancerOrigin: place.resource.originAt(place.path) }),
    ...(localityOrigin === undefined ? {} : { localityOrigin }),
  }
}

/** Endpoints come with the requests. */
function isOnDemand(discovery: ClusterSpec['discovery']): boolean {
  return discovery === 'original-destination' || discovery === 'dynamic-dns'
}

function policyOrigin(rule: MergedRule, subset: string): ClusterSpec['policyOrigin'] {
  return subset === '' ? rule.source.origin : subsetOrigin(rule, subset)
}

/** Only ServiceEntries change the port of the original destination. */
function targetPortOf(service: MeshService, port: MeshPort): number | undefined {
  const [source] = service.sources
  if (source.kind !== 'ServiceEntry') return undefined
  for (const { spec } of service.sources as readonly Of<'ServiceEntry'>[]) {
    const written = spec.ports.find(({ number }) => number === port.number)
    if (written !== undefined)
      return written.targetPort === written.number ? undefined : written.targetPort
  }
  return undefined
}
