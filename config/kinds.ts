/**
 * The shapes of the resources' `spec` after the schema has normalised them (see resource.ts). Field
 * meanings: the Istio API. Optional here means absent has its own meaning; everything else has its
 * default filled in. Fields that the proxy does not act on are absent: the schema reports them.
 */
import type {
  ConnectionPool,
  DestinationRuleSpec,
  LocalityLb,
  OutlierDetection,
  ZoneAwareLb,
} from './kinds-policies.ts'
import type { Resource } from './resource.ts'

export type * from './kinds-policies.ts'

// --- Kubernetes -----------------------------------------------------------------------------------
export interface ServiceSpec {
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
  readonly selector: Readonly<Record<string, string>>
  /** `None` is kept: headless. clusterIP and clusterIPs merged, no repeats. */
  readonly clusterIPs: readonly string[]
  readonly externalName?: string
  readonly publishNotReadyAddresses: boolean
  readonly internalTrafficPolicy: 'Cluster' | 'Local'
  readonly trafficDistribution?: string
  readonly ports: readonly ServicePort[]
}
export interface ServicePort {
  readonly name: string
  readonly port: number
  /** Port number or container port name; defaults to `port`. */
  readonly targetPort: number | string
  readonly protocol: 'TCP' | 'UDP' | 'SCTP'
  readonly appProtocol?: string
}
export interface EndpointSliceSpec {
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN'
  readonly ports: ReadonlyArray<{
    readonly name: string
    readonly port?: number
    readonly protocol: string
  }>
  readonly endpoints: ReadonlyArray<{
    readonly addresses: readonly string[]
    readonly ready: boolean
    readonly terminating: boolean
    readonly targetRef?: {
      readonly kind: string
      readonly name: string
      readonly namespace?: string
    }
    readonly nodeName?: string
    readonly zone?: string
  }>
}
export interface PodSpec {
  readonly serviceAccountName: string
  readonly nodeName?: string
  readonly containers: ReadonlyArray<{
    readonly name: string
    readonly ports: ReadonlyArray<{ readonly name: string; readonly containerPort: number }>
  }>
  /** status.podIPs (or podIP), none when the Pod has not started. */
  readonly addresses: readonly string[]
  /** status.conditions Ready; true when not written. */
  readonly ready: boolean
  readonly phase: string
}
export type NamespaceSpec = Record<string, never>

// --- networking.istio.io --------------------------------------------------------------------------
export type StringMatch =
  | { readonly exact: string }
  | { readonly prefix: string }
  | { readonly regex: string }
  | { readonly present: true }

export interface VirtualServiceSpec {
  /** Empty: a delegate. */
  readonly hosts: readonly string[]
  /** `mesh` when none is written. */
  readonly gateways: readonly string[]
  readonly exportTo: readonly string[]
  readonly http: readonly HttpRoute[]
  readonly tls: readonly TlsRoute[]
  readonly tcp: readonly TcpRoute[]
}
export interface HttpRoute {
  readonly name: string
  readonly match: readonly HttpMatch[]
  readonly route: readonly HttpRouteDestination[]
  readonly redirect?: HttpRedirect
  readonly directResponse?: {
    readonly status: number
    readonly string?: string
    readonly bytes?: string
  }
  readonly delegate?: { readonly name: string; readonly namespace?: string }
  readonly rewrite?: HttpRewrite
  readonly timeoutMs?: number
  readonly retries?: HttpRetry
  readonly headers?: HeaderOperations
  readonly corsPolicy?: CorsPolicy
  readonly fault?: HttpFault
  readonly mirror?: Destination
  readonly mirrorPercentage?: Percent
  /** Deprecated: whole percents; counts where there is no mirrorPercentage. */
  readonly mirrorPercent?: number
  readonly mirrors?: ReadonlyArray<{
    readonly destination: Destination
    readonly percentage?: Percent
  }>
}
export interface HttpFault {
  readonly delay?: {
    readonly fixedDelayMs?: number
    readonly percentage?: Percent
    /** Deprecated: whole percents; counts where there is no percentage. */
    readonly percent?: number
  }
  readonly abort?: {
    readonly httpStatus?: number
    /** Name of a gRPC status. */
    readonly grpcStatus?: string
    readonly percentage?: Percent
  }
}
/** 0 to 100; without a value it is 0. */
export interface Percent {
  readonly value?: number
}
export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeMs?: number
  readonly allowCredentials: boolean
  readonly unmatchedPreflights: 'FORWARD' | 'IGNORE'
}
export interface HttpMatch {
  readonly name: string
  readonly uri?: StringMatch
  readonly scheme?: StringMatch
  readonly method?: StringMatch
  readonly authority?: StringMatch
  readonly headers: Readonly<Record<string, StringMatch>>
  readonly withoutHeaders: Readonly<Record<string, StringMatch>>
  readonly queryParams: Readonly<Record<string, StringMatch>>
  readonly ignoreUriCase: boolean
  readonly statPrefix?: string
  /** 0: any. */
  readonly port: number
  readonly sourceLabels: Readonly<Record<string, string>>
  readonly sourceNamespace: string
  readonly gateways: readonly string[]
}
export interface Destination {
  readonly host: string
  readonly subset: string
  readonly port?: number
}
export interface HttpRouteDestination {
  readonly destination: Destination
  readonly weight: number
  readonly headers?: HeaderOperations
}
export interface HeaderOperations {
  readonly request?: HeaderOps
  readonly response?: HeaderOps
}
export interface HeaderOps {
  readonly set: Readonly<Record<string, string>>
  readonly add: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}
export interface HttpRedirect {
  readonly uri?: string
  readonly prefixRewrite?: string
  readonly authority?: string
  readonly scheme?: string
  readonly port?: number
  readonly derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT'
  readonly redirectCode: number
}
export interface HttpRewrite {
  readonly uri?: string
  readonly uriRegexRewrite?: { readonly match: string; readonly rewrite: string }
  readonly authority?: string
}
export interface HttpRetry {
  readonly attempts: number
  readonly perTryTimeoutMs?: number
  /** As written, comma separated; absent: the default list. */
  readonly retryOn?: string
  readonly retryRemoteLocalities: boolean
  readonly retryIgnorePreviousHosts?: boolean
  readonly backoffMs?: number
}
export interface TlsRoute {
  readonly match: ReadonlyArray<L4Match & { readonly sniHosts: readonly string[] }>
  readonly route: readonly RouteDestination[]
}
export interface TcpRoute {
  readonly match: readonly L4Match[]
  readonly route: readonly RouteDestination[]
}
export interface L4Match {
  readonly destinationSubnets: readonly string[]
  readonly port: number
  readonly sourceLabels: Readonly<Record<string, string>>
  readonly gateways: readonly string[]
  readonly sourceNamespace: string
}
export interface RouteDestination {
  readonly destination: Destination
  readonly weight: number
}

export interface ServiceEntrySpec {
  readonly hosts: readonly string[]
  readonly addresses: readonly string[]
  readonly ports: ReadonlyArray<{
    readonly number: number
    readonly name: string
    /** Upper case; `` when not written. */
    readonly protocol: string
    readonly targetPort?: number
  }>
  readonly location: 'MESH_EXTERNAL' | 'MESH_INTERNAL'
  readonly resolution: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS'
  readonly endpoints: readonly WorkloadEntrySpec[]
  readonly workloadSelector?: Readonly<Record<string, string>>
  readonly exportTo: readonly string[]
  readonly subjectAltNames: readonly string[]
}
export interface WorkloadEntrySpec {
  readonly address: string
  readonly ports: Readonly<Record<string, number>>
  /** spec.labels with metadata.labels over them. */
  readonly labels: Readonly<Record<string, string>>
  readonly network: string
  readonly locality: string
  readonly weight: number
  readonly serviceAccount: string
}

export interface ServerTls {
  readonly mode:
    | 'PASSTHROUGH'
    | 'SIMPLE'
    | 'MUTUAL'
    | 'AUTO_PASSTHROUGH'
    | 'ISTIO_MUTUAL'
    | 'OPTIONAL_MUTUAL'
  /** Paths of files. */
  readonly serverCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly caCrl?: string
  readonly verifyCertificateSpki: readonly string[]
  readonly verifyCertificateHash: readonly string[]
  readonly minProtocolVersion?: string
  readonly maxProtocolVersion?: string
  readonly cipherSuites: readonly string[]
  readonly insecureSkipVerify?: boolean
}

export interface SidecarSpec {
  /** Undefined: no selector, the whole namespace. */
  readonly workloadSelector?: Readonly<Record<string, string>>
  readonly ingress: ReadonlyArray<{
    readonly port: { readonly number: number; readonly protocol: string; readonly name: string }
    readonly bind: string
    readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE'
    readonly defaultEndpoint: string
    readonly connectionPool?: ConnectionPool
    readonly tls?: ServerTls
  }>
  /** Undefined: not written, which means everything of every namespace. */
  readonly egress?: ReadonlyArray<{
    readonly port?: { readonly number: number; readonly protocol: string; readonly name: string }
    readonly bind: string
    readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE'
    readonly hosts: readonly string[]
  }>
  readonly outboundTrafficPolicy?: {
    readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY'
    readonly egressProxy?: Destination
  }
  readonly inboundConnectionPool?: ConnectionPool
}

/** MeshConfig is not a Kubernetes object: a file with `kind: MeshConfig`, or the `mesh` key of Istio's ConfigMap. */
export interface MeshConfigSpec {
  readonly outboundTrafficPolicy?: { readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY' }
  readonly inboundTrafficPolicy: { readonly mode: 'PASSTHROUGH' | 'LOCALHOST' }
  readonly connectTimeoutMs: number
  readonly tcpKeepalive?: {
    readonly probes?: number
    readonly timeMs?: number
    readonly intervalMs?: number
  }
  readonly defaultHttpRetryPolicy?: HttpRetry
  readonly defaultInboundHttpRetryPolicy?: HttpRetry
  readonly defaultTrafficPolicy?: {
    readonly connectionPool?: ConnectionPool
    readonly outlierDetection?: OutlierDetection
  }
  readonly localityLbSetting?: LocalityLb
  readonly zoneAwareLbSetting?: ZoneAwareLb
  readonly protocolDetectionTimeoutMs: number
  readonly defaultServiceExportTo: readonly string[]
  readonly defaultVirtualServiceExportTo: readonly string[]
  readonly defaultDestinationRuleExportTo: readonly string[]
  readonly rootNamespace: string
  readonly trustDomain: string
  readonly dnsRefreshRateMs: number
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'
  readonly accessLogFile: string
  readonly accessLogFormat: string
  readonly accessLogEncoding: 'TEXT' | 'JSON'
}

export type KnownResource =
  | Resource<'Service', ServiceSpec>
  | Resource<'EndpointSlice', EndpointSliceSpec>
  | Resource<'Pod', PodSpec>
  | Resource<'Namespace', NamespaceSpec>
  | Resource<'VirtualService', VirtualServiceSpec>
  | Resource<'DestinationRule', DestinationRuleSpec>
  | Resource<'ServiceEntry', ServiceEntrySpec>
  | Resource<'WorkloadEntry', WorkloadEntrySpec>
  | Resource<'Sidecar', SidecarSpec>
  | Resource<'MeshConfig', MeshConfigSpec>
