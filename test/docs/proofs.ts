/**
 * Where a field is carried out and which test shows it: by kind, then by the beginning of the field's path; the longest
 * one counts. The test must speak of the field by its name.
 */

export interface Proof {
  readonly where: string
  readonly test: string
}

type Proofs = Readonly<Record<string, readonly [where: string, test: string]>>

const pool: Proofs = {
  'tcp.maxConnections': ['proxy/upstream/limits.ts', 'test/upstream/pool.test.ts'],
  'tcp.connectTimeout': ['proxy/net/dial.ts', 'test/config/compile-clusters.test.ts'],
  'tcp.idleTimeout': ['proxy/net/splice.ts', 'test/flows/tcp.test.ts'],
  'tcp.maxConnectionDuration': ['proxy/upstream/pool.ts', 'test/upstream/pool.test.ts'],
  'tcp.tcpKeepalive': ['proxy/net/dial.ts', 'test/config/compile-clusters.test.ts'],
  'http.http1MaxPendingRequests': ['proxy/upstream/limits.ts', 'test/upstream/pool.test.ts'],
  'http.http2MaxRequests': ['proxy/upstream/limits.ts', 'test/upstream/pool.test.ts'],
  'http.maxRequestsPerConnection': ['proxy/upstream/pool.ts', 'test/upstream/pool.test.ts'],
  'http.maxRetries': ['proxy/exchange/retrying.ts', 'test/config/compile-clusters.test.ts'],
  'http.idleTimeout': ['proxy/upstream/idle-shelf.ts', 'test/config/compile-clusters.test.ts'],
}

const detector = [
  'proxy/control/outlier-detector.ts',
  'test/config/compile-outliers.test.ts',
] as const
const counts = ['proxy/upstream/outlier-counts.ts', 'test/config/compile-outliers.test.ts'] as const
const outliers: Proofs = {
  consecutive5xxErrors: ['proxy/upstream/outlier-counts.ts', 'test/flows/outlier.test.ts'],
  consecutiveGatewayErrors: ['proxy/upstream/outlier-counts.ts', 'test/flows/outlier.test.ts'],
  splitExternalLocalOriginErrors: counts,
  consecutiveLocalOriginFailures: counts,
  interval: detector,
  baseEjectionTime: detector,
  maxEjectionPercent: ['proxy/control/outlier-detector.ts', 'test/flows/outlier.test.ts'],
  minHealthPercent: ['proxy/upstream/priorities.ts', 'test/config/compile-outliers.test.ts'],
  outlierDetectionHttpErrorCodes: counts,
}

const retries: Proofs = {
  attempts: ['proxy/exchange/retrying.ts', 'test/flows/http.test.ts'],
  perTryTimeout: ['proxy/exchange/attempt.ts', 'test/flows/retries.test.ts'],
  retryOn: ['proxy/exchange/retry.ts', 'test/flows/retries.test.ts'],
  retryRemoteLocalities: ['proxy/upstream/candidates.ts', 'test/config/compile-actions.test.ts'],
  retryIgnorePreviousHosts: ['proxy/exchange/retrying.ts', 'test/flows/retries.test.ts'],
  backoff: ['proxy/exchange/retry.ts', 'test/flows/retries.test.ts'],
}

const balancing = 'test/config/compile-balancing.test.ts'
const nearness = 'test/config/compile-nearness.test.ts'

const locality: Proofs = {
  localityLbSetting: ['proxy/upstream/views.ts', nearness],
  'localityLbSetting.enabled': ['config/compile-nearness.ts', nearness],
  zoneAwareLbSetting: ['proxy/upstream/zone-balance.ts', nearness],
}

const loadBalancer: Proofs = {
  simple: ['proxy/upstream/views.ts', 'test/config/compile-clusters.test.ts'],
  consistentHash: ['proxy/exchange/hash-text.ts', balancing],
  'consistentHash.ringHash': ['proxy/upstream/ring-hash.ts', balancing],
  'consistentHash.minimumRingSize': ['proxy/upstream/ring-hash.ts', balancing],
  'consistentHash.maglev': ['proxy/upstream/maglev.ts', balancing],
  warmup: ['proxy/upstream/warmth.ts', balancing],
  ...locality,
}

/** The same fields below another one. */
function below(prefix: string, proofs: Proofs): Proofs {
  return Object.fromEntries(
    Object.entries(proofs).map(([path, proof]) => [`${prefix}.${path}`, proof]),
  )
}

const proofs: Readonly<Record<string, Proofs>> = {
  Service: {
    type: ['config/compile-registry.ts', 'test/config/compile-hosts.test.ts'],
    selector: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    clusterIP: ['config/compile-listeners.ts', 'test/config/compile-listeners.test.ts'],
    externalName: ['config/compile-endpoints.ts', 'test/config/compile-hosts.test.ts'],
    publishNotReadyAddresses: [
      'config/compile-endpoints.ts',
      'test/config/compile-endpoints.test.ts',
    ],
    internalTrafficPolicy: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    ports: ['config/compile-ports.ts', 'test/config/compile-listeners.test.ts'],
    trafficDistribution: ['config/compile-traffic-distribution.ts', nearness],
    'ports[].targetPort': ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    'ports[].appProtocol': ['config/compile-ports.ts', 'test/config/compile-names.test.ts'],
  },
  Pod: {
    spec: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    'spec.serviceAccountName': ['config/compile-endpoints.ts', 'test/config/compile-support.ts'],
    status: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    'status.podIP': ['config/schema/kubernetes.ts', 'test/config/compile-support.ts'],
    'status.conditions': ['config/schema/kubernetes.ts', 'test/config/compile-support.ts'],
  },
  EndpointSlice: {
    addressType: ['config/schema/kubernetes.ts', 'test/config/compile-endpoints.test.ts'],
    ports: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    endpoints: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
  },
  VirtualService: {
    hosts: ['config/compile-virtual-services.ts', 'test/config/compile-hosts.test.ts'],
    gateways: ['config/compile-virtual-services.ts', 'test/config/compile-routes.test.ts'],
    exportTo: ['config/compile-virtual-services.ts', 'test/config/compile-hosts.test.ts'],
    'http[].name': ['config/compile-routes.ts', 'test/config/compile-routes.test.ts'],
    'http[].match': ['proxy/routing/predicates.ts', 'test/routing/predicates.test.ts'],
    'http[].match[].name': ['config/compile-routes.ts', 'test/config/compile-routes.test.ts'],
    'http[].match[].ignoreUriCase': [
      'proxy/routing/text-test.ts',
      'test/config/compile-routes.test.ts',
    ],
    'http[].match[].port': ['config/compile-matches.ts', 'test/config/compile-routes.test.ts'],
    'http[].match[].sourceLabels': [
      'config/compile-matches.ts',
      'test/config/compile-routes.test.ts',
    ],
    'http[].match[].sourceNamespace': [
      'config/compile-matches.ts',
      'test/config/compile-routes.test.ts',
    ],
    'http[].route[].destination': [
      'config/compile-destinations.ts',
      'test/config/compile-routes.test.ts',
    ],
    'http[].route[].weight': [
      'proxy/routing/traffic-split.ts',
      'test/routing/traffic-split.test.ts',
    ],
    'http[].route[].headers': ['proxy/filters/header-edits.ts', 'test/flows/reload.test.ts'],
    'http[].redirect': ['proxy/filters/redirect.ts', 'test/filters/redirect.test.ts'],
    'http[].redirect.derivePort': [
      'proxy/filters/redirect.ts',
      'test/config/compile-actions.test.ts',
    ],
    'http[].redirect.redirectCode': ['proxy/exchange/answer.ts', 'test/flows/http.test.ts'],
    'http[].directResponse': ['proxy/exchange/answer.ts', 'test/config/compile-actions.test.ts'],
    'http[].delegate': ['config/compile-delegates.ts', 'test/config/compile-hosts.test.ts'],
    'http[].rewrite': ['proxy/filters/rewrite.ts', 'test/filters/rewrite.test.ts'],
    'http[].match[].statPrefix': [
      'proxy/telemetry/recorder.ts',
      'test/flows/route-metrics.test.ts',
    ],
    'http[].mirror': ['proxy/exchange/mirror.ts', 'test/config/compile-mirrors.test.ts'],
    'http[].fault': ['proxy/filters/fault.ts', 'test/config/compile-faults.test.ts'],
    'http[].corsPolicy': ['proxy/filters/cors.ts', 'test/filters/cors.test.ts'],
    'http[].timeout': ['proxy/exchange/delivery.ts', 'test/flows/http.test.ts'],
    ...below('http[].retries', retries),
    'tls[]': ['proxy/listeners/tcp-routes.ts', 'test/config/compile-listeners.test.ts'],
    'tls[].match[].sourceNamespace': ['config/compile-l4.ts', 'test/config/compile-routes.test.ts'],
    'tls[].route[].weight': ['proxy/listeners/tcp-routes.ts', 'test/flows/tcp.test.ts'],
    'tcp[]': ['proxy/listeners/tcp-routes.ts', 'test/config/compile-listeners.test.ts'],
    'tcp[].match[].sourceNamespace': ['config/compile-l4.ts', 'test/config/compile-routes.test.ts'],
    'tcp[].route[].weight': ['proxy/listeners/tcp-routes.ts', 'test/flows/tcp.test.ts'],
  },
  DestinationRule: {
    host: ['config/compile-policies.ts', 'test/config/compile-clusters.test.ts'],
    ...below('trafficPolicy.loadBalancer', loadBalancer),
    ...below('trafficPolicy.connectionPool', pool),
    ...below('trafficPolicy.outlierDetection', outliers),
    'trafficPolicy.retryBudget': [
      'proxy/upstream/retry-budget.ts',
      'test/config/compile-retry-budget.test.ts',
    ],
    'trafficPolicy.tls': ['proxy/net/tls.ts', 'test/flows/tls-origination.test.ts'],
    'trafficPolicy.tls.caCrl': ['proxy/net/tls.ts', 'test/net/tls.test.ts'],
    'trafficPolicy.tunnel': ['proxy/tcp/tunnel.ts', 'test/flows/tcp-transport.test.ts'],
    'trafficPolicy.proxyProtocol': [
      'proxy/net/proxy-header.ts',
      'test/flows/tcp-transport.test.ts',
    ],
    'trafficPolicy.portLevelSettings': [
      'config/compile-policies.ts',
      'test/config/compile-clusters.test.ts',
    ],
    subsets: ['config/compile-clusters.ts', 'test/config/compile-clusters.test.ts'],
    exportTo: ['config/compile-policies.ts', 'test/config/compile-clusters.test.ts'],
    workloadSelector: ['config/compile-policies.ts', 'test/config/compile-clusters.test.ts'],
  },
  ServiceEntry: {
    hosts: ['config/compile-registry.ts', 'test/config/compile-endpoints.test.ts'],
    addresses: ['config/compile-listeners.ts', 'test/config/compile-listeners.test.ts'],
    ports: ['config/compile-registry.ts', 'test/config/compile-endpoints.test.ts'],
    location: ['config/compile-registry.ts', 'test/config/compile-endpoints.test.ts'],
    resolution: ['config/compile-clusters.ts', 'test/config/compile-endpoints.test.ts'],
    endpoints: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    workloadSelector: ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
    exportTo: ['config/compile-scope.ts', 'test/config/compile-hosts.test.ts'],
    subjectAltNames: ['config/compile-transport.ts', 'test/flows/tls-origination.test.ts'],
  },
  WorkloadEntry: {
    '': ['config/compile-endpoints.ts', 'test/config/compile-endpoints.test.ts'],
  },
  Sidecar: {
    workloadSelector: ['config/compile-scope.ts', 'test/config/compile-scope.test.ts'],
    ingress: ['config/compile-inbound.ts', 'test/config/compile-inbound.test.ts'],
    'ingress[].bind': ['proxy/worker/doors.ts', 'test/flows/doors.test.ts'],
    'ingress[].captureMode': ['proxy/worker/doors.ts', 'test/flows/doors.test.ts'],
    'ingress[].defaultEndpoint': ['config/compile-inbound.ts', 'test/flows/doors.test.ts'],
    'ingress[].connectionPool': ['config/compile-inbound.ts', 'test/config/effects/sidecar.yaml'],
    'ingress[].tls': ['proxy/net/tls-server.ts', 'test/config/effects/sidecar.yaml'],
    inboundConnectionPool: ['config/compile-inbound.ts', 'test/config/effects/sidecar.yaml'],
    egress: ['config/compile-scope.ts', 'test/config/compile-scope.test.ts'],
    'egress[].bind': ['proxy/worker/doors.ts', 'test/flows/doors.test.ts'],
    'egress[].captureMode': ['proxy/worker/doors.ts', 'test/flows/doors.test.ts'],
    outboundTrafficPolicy: ['config/compile-mesh.ts', 'test/config/compile-scope.test.ts'],
    'outboundTrafficPolicy.egressProxy': [
      'proxy/listeners/outbound.ts',
      'test/config/effects/sidecar.yaml',
    ],
  },
  MeshConfig: {
    '': ['config/compile-mesh.ts', 'test/config/compile.test.ts'],
    inboundTrafficPolicy: ['config/compile-mesh.ts', 'test/config/compile-inbound.test.ts'],
    connectTimeout: ['config/compile-policies.ts', 'test/config/compile-clusters.test.ts'],
    tcpKeepalive: ['config/compile-policies.ts', 'test/config/compile-clusters.test.ts'],
    ...below('defaultHttpRetryPolicy', retries),
    ...below('defaultTrafficPolicy.connectionPool', pool),
    ...below('defaultTrafficPolicy.outlierDetection', outliers),
    ...locality,
    defaultServiceExportTo: ['config/compile-scope.ts', 'test/config/effects/mesh.yaml'],
  },
}

export function proofOf(kind: string, path: string): Proof | undefined {
  const fitting = Object.keys(proofs[kind] ?? {})
    .filter((prefix) => path.startsWith(prefix))
    .sort((a, b) => b.length - a.length)
  const found = fitting[0] === undefined ? undefined : proofs[kind]?.[fitting[0]]
  return found === undefined ? undefined : { where: found[0], test: found[1] }
}

/** The field's own name, without the name of a list's item or a map's entry. */
export function ownName(path: string): string {
  const parts = path.replaceAll('[]', '').split('.')
  return parts.filter((part) => part !== '<name>').at(-1) ?? path
}
