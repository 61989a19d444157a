/**
 * The contract between configuration and traffic: what one workload's proxy must do, as plain
 * readonly data that may be posted to a thread. No functions, no defaults left open, every spec with
 * its Origin. The live thing linked from a `XSpec` is called `X`.
 */

import type { Origin } from './snapshot-origin.ts'
import type {
  ConnectionPoolSpec,
  LoadBalancerSpec,
  OutlierDetectionSpec,
  RetryBudgetSpec,
} from './snapshot-policies.ts'
import type { RetrySpec, RouteTableSpec, TcpRouteSpec, TlsRouteSpec } from './snapshot-routes.ts'

// The contract is read as one: these parts have files of their own for their length alone.
export type * from './snapshot-faults.ts'
export type * from './snapshot-origin.ts'
export type * from './snapshot-policies.ts'
export type * from './snapshot-routes.ts'

export interface Snapshot {
  /** Hash over everything below: the same content has the same version. */
  readonly version: string
  readonly workload: WorkloadSpec
  readonly mesh: MeshSpec
  readonly outbound: OutboundSpec
  readonly inbound: InboundSpec
  /** By cluster name, `outbound|9080|v1|reviews.default.svc.cluster.local` (Istio's form). */
  readonly clusters: ReadonlyMap<string, ClusterSpec>
  /** By endpoint set key; shared by all subsets of one service port. */
  readonly endpointSets: ReadonlyMap<string, readonly EndpointSpec[]>
}

/** Who this proxy works for. */
export interface WorkloadSpec {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  /** Addresses of the workload, the first one primary; canonical text (no IPv4-mapped IPv6). */
  readonly addresses: readonly string[]
  /** `region/zone/subzone` as it was told; absent: its labels, Pod or EndpointSlice may say. */
  readonly locality?: string
}

export interface MeshSpec {
  readonly trustDomain: string
  readonly domain: string
  readonly rootNamespace: string
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'
  /** 0 waits for ever (Istio MeshConfig.protocolDetectionTimeout). */
  readonly protocolDetectionTimeoutMs: number
  /** Of requests to the application (MeshConfig.defaultInboundHttpRetryPolicy); absent: none. */
  readonly inboundRetries?: RetrySpec
  readonly accessLogFile: string
  readonly accessLogEncoding: 'TEXT' | 'JSON'
  readonly accessLogFormat: string
}

/** What a port speaks: declared, or `auto` when the first bytes decide. */
export type PortProtocol = 'http' | 'http2' | 'grpc' | 'tcp' | 'tls' | 'auto'

export interface OutboundSpec {
  readonly policy: OutboundPolicySpec
  readonly listeners: readonly OutboundListenerSpec[]
  /** Places of their own where the workload's calls are taken without capture (Sidecar egress). */
  readonly doors: readonly DoorSpec[]
}

export interface DoorSpec {
  /** IP address, or `unix:///path` with port 0. */
  readonly address: string
  readonly port: number
  /** listener: like captured connections to the address and port. proxy: the client names host and port. */
  readonly kind: 'listener' | 'proxy'
  readonly origin: Origin
}

/** What happens to traffic for unknown destinations (MeshConfig or Sidecar outboundTrafficPolicy). */
export interface OutboundPolicySpec {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY'
  /** Cluster that takes unknown traffic under ALLOW_ANY (Sidecar egressProxy); absent: where it was going. */
  readonly egressProxy?: string
  /** Undefined when nothing was written: the built-in default. */
  readonly origin: Origin | undefined
}

/**
 * What connections to one original destination get. The most specific address wins: exact address,
 * longest CIDR, then `addresses: []` (every address). There is at most one per (address, port).
 */
export interface OutboundListenerSpec {
  /** IP addresses or CIDRs; empty: every address on this port. */
  readonly addresses: readonly string[]
  readonly port: number
  /** Host name of the service that opaque bytes (and HTTP on an address of its own) belong to; `` when none. */
  readonly service: string
  /** http*, grpc: HTTP expected (what is not HTTP goes on as TCP); auto: sniffed; tcp, tls: opaque. */
  readonly protocol: PortProtocol
  /** Used when the connection speaks HTTP; undefined: HTTP is not looked for. */
  readonly http: RouteTableSpec | undefined
  /** By SNI, in order (VirtualService tls, and services' own host names on TLS ports). */
  readonly tls: readonly TlsRouteSpec[]
  /** In order, first match wins; used for opaque bytes. */
  readonly tcp: readonly TcpRouteSpec[]
  readonly origin: Origin
}

/** What arrives for the workload itself. */
export interface InboundSpec {
  readonly ports: readonly InboundPortSpec[]
  /** Where traffic for ports not listed goes: the application at the original address, or loopback. */
  readonly mode: 'PASSTHROUGH' | 'LOCALHOST'
}

export interface InboundPortSpec {
  /** Workload (target) port, as found in the original destination. */
  readonly port: number
  readonly protocol: PortProtocol
  /** Fully qualified name of the service, for logs and metrics; `` when none. */
  readonly service: string
  /** Service port, used in names only. */
  readonly servicePort: number
  /** Where the application listens; `original`: the connection's own destination address. */
  readonly target: { readonly address: string | 'original'; readonly port: number }
  /** `inbound|9080||` */
  readonly cluster: string
  /** Towards the application. */
  readonly connectionPool: ConnectionPoolSpec
  /** Where it was written: Sidecar, DestinationRule or MeshConfig. */
  readonly poolOrigin: Origin | undefined
  /** The proxy ends TLS here, and `protocol` is what is inside. */
  readonly tls: ServerTlsSpec | undefined
  /** Opened by the proxy itself at this address, without capture (Sidecar ingress captureMode NONE). */
  readonly door: string | undefined
  readonly origin: Origin
}

/** Istio ServerTLSSettings of a Sidecar's ingress; file names are paths. */
export interface ServerTlsSpec {
  readonly serverCertificate: string
  readonly privateKey: string
  /** `` where clients need no certificate. */
  readonly caCertificates: string
  readonly caCrl: string
  readonly clients: 'none' | 'optional' | 'required'
  readonly verify: boolean
  readonly certificateHashes: readonly string[]
  readonly keyHashes: readonly string[]
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  readonly cipherSuites: readonly string[]
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

/** A named group of endpoints with the policy under which this proxy calls them. */
export interface ClusterSpec {
  readonly name: string
  /**
   * static: endpoints are addresses. strict-dns: endpoint addresses are names, all answers are used.
   * logical-dns: one answer per new connection. original-destination: the connection's own.
   * dynamic-dns: the host that the request or the server name asks for, on the cluster's port.
   */
  readonly discovery:
    | 'static'
    | 'strict-dns'
    | 'logical-dns'
    | 'original-destination'
    | 'dynamic-dns'
  readonly service: string
  readonly serviceName: string
  readonly serviceNamespace: string
  readonly port: number
  readonly subset: string
  /** Overrides the port of the original destination (resolution NONE with targetPort). */
  readonly originalPortOverride: number | undefined
  readonly protocol: PortProtocol
  /** Key into Snapshot.endpointSets; `` for original-destination. */
  readonly endpointSet: string
  /** Only endpoints that carry all of these labels (DestinationRule subset). */
  readonly subsetLabels: Readonly<Record<string, string>>
  readonly loadBalancer: LoadBalancerSpec
  readonly connectionPool: ConnectionPoolSpec
  readonly retryBudget: RetryBudgetSpec
  /** Undefined: endpoints are never ejected. */
  readonly outlierDetection: OutlierDetectionSpec | undefined
  /** MeshConfig.dnsRefreshRate: without a TTL, and after a failure. */
  readonly dnsRefreshMs: number
  /** Undefined: plain text. */
  readonly tls: ClientTlsSpec | undefined
  /** Opaque connections go through a proxy, which is asked for the target (DestinationRule tunnel). */
  readonly tunnel: TunnelSpec | undefined
  /** PROXY protocol header at the beginning of each connection. */
  readonly proxyProtocol: 'V1' | 'V2' | undefined
  readonly external: boolean
  /** Service or ServiceEntry. */
  readonly origin: Origin
  /** The DestinationRule (line of the subset, if any) in force; undefined: none. */
  readonly policyOrigin: Origin | undefined
  /** Where connectionPool and outlierDetection were written (DestinationRule or MeshConfig); undefined: nowhere. */
  readonly poolOrigin: Origin | undefined
  readonly outlierOrigin: Origin | undefined
  /** Where the balancing is written: a loadBalancer block or an annotation. Absent: the default. */
  readonly loadBalancerOrigin?: Origin
  /** Where the nearness of endpoints is written. Absent: nowhere. */
  readonly localityOrigin?: Origin
  /** Where `tls` was written; undefined: nowhere. */
  readonly tlsOrigin: Origin | undefined
  /** Hash of this spec without the endpoints: equal means the live cluster is kept on reload. */
  readonly hash: string
}

/** Istio ClientTLSSettings for SIMPLE and MUTUAL; of ISTIO_MUTUAL only `unusable`. File names are paths. */
export interface ClientTlsSpec {
  readonly mode: 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  /** `` takes the request's host, for opaque bytes that of the service. */
  readonly sni: string
  /** One of them must be in the certificate; empty: the server name must be. */
  readonly subjectAltNames: readonly string[]
  /** `` is the system's authorities. */
  readonly caCertificates: string
  readonly caCrl: string
  /** `` shows none. */
  readonly clientCertificate: string
  readonly privateKey: string
  readonly verify: boolean
  /** Why no connection can be made like this: then none is made, rather than one in plain text. */
  readonly unusable: string
}

export interface TunnelSpec {
  readonly method: 'CONNECT' | 'POST'
  /** `host:port` that the proxy is asked for. */
  readonly target: string
}

/** One place that answers; frozen objects, label objects are shared between endpoints. */
export interface EndpointSpec {
  /** IP address, `unix:///path`, `unix://@name`, or a DNS name when the cluster resolves names. */
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly labels: Readonly<Record<string, string>>
  /** `region/zone/subzone`, or ``. */
  readonly locality: string
  /** False: known but not ready; picked by nobody except in panic. */
  readonly healthy: boolean
  /** Workload name for people (Pod or WorkloadEntry), or ``. */
  readonly workload: string
  readonly serviceAccount: string
  /** Kubernetes node and Istio network, where known: nearness may ask for them. */
  readonly node?: string
  readonly network?: string
}
