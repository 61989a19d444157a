/**
 * The contract between configuration and traffic: what one workload's proxy must do, as plain
 * readonly data that may be posted to a thread. No functions, no defaults left open, every spec with
 * its Origin. The live thing linked from a `XSpec` is called `X`.
 */

/** Where a piece of configuration was written: enough to open the file at the line. */
export interface Origin {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly file: string
  /** 1-based. */
  readonly line: number
}

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
}

export interface MeshSpec {
  readonly trustDomain: string
  readonly domain: string
  readonly rootNamespace: string
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'
  /** 0 waits for ever (Istio MeshConfig.protocolDetectionTimeout). */
  readonly protocolDetectionTimeoutMs: number
  readonly accessLogFile: string
  readonly accessLogEncoding: 'TEXT' | 'JSON'
  readonly accessLogFormat: string
}

/** What a port speaks: declared, or `auto` when the first bytes decide. */
export type PortProtocol = 'http' | 'http2' | 'grpc' | 'tcp' | 'tls' | 'auto'

export interface OutboundSpec {
  readonly policy: OutboundPolicySpec
  readonly listeners: readonly OutboundListenerSpec[]
}

/** What happens to traffic for unknown destinations (MeshConfig or Sidecar outboundTrafficPolicy). */
export interface OutboundPolicySpec {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY'
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

/** Host tables of one port (all services that speak HTTP there), or one service behind one VIP. */
export interface RouteTableSpec {
  /** Istio's route configuration name: the port, or `host:port` for a sniffed VIP. */
  readonly name: string
  readonly virtualHosts: readonly VirtualHostSpec[]
}

export interface VirtualHostSpec {
  /** `reviews.default.svc.cluster.local:9080`, as Istio names it. */
  readonly name: string
  /** Lower case, without port: exact, `*.suffix`, `*suffix`, or `*`. Port in the request's Host is ignored. */
  readonly domains: readonly string[]
  /** First match wins. */
  readonly routes: readonly RouteSpec[]
  /** Rules that can never apply to this proxy and port, told by `explain` only. */
  readonly skipped: readonly SkippedRuleSpec[]
  /** The VirtualService that owns this host, else the Service or ServiceEntry. */
  readonly origin: Origin
}

/** A rule (or one of its match blocks) dropped at compile time, with the reason. */
export interface SkippedRuleSpec {
  /** `http[2].match[0]` */
  readonly path: string
  readonly origin: Origin
  /** One plain sentence: which condition failed and why. */
  readonly reason: string
  /** How many entries of `routes` stand before it: keeps the order readable. */
  readonly before: number
}

/** One match block of one rule with what it leads to. Blocks of a rule share the action object. */
export interface RouteSpec {
  /** Istio's route name (rule name, `rule.match`), `default` for a service without VirtualService. */
  readonly name: string
  /** `http[0].match[1]`; `` for a default route. */
  readonly path: string
  /** The object with the line of this rule or block. */
  readonly origin: Origin
  readonly match: RouteMatchSpec | undefined
  readonly action: RouteActionSpec
}

/** All conditions must hold (Istio HTTPMatchRequest); port, labels, gateways were decided at compile time. */
export interface RouteMatchSpec {
  readonly uri: StringMatchSpec | undefined
  readonly scheme: StringMatchSpec | undefined
  readonly method: StringMatchSpec | undefined
  readonly authority: StringMatchSpec | undefined
  readonly headers: readonly NamedMatchSpec[]
  readonly withoutHeaders: readonly NamedMatchSpec[]
  readonly queryParams: readonly NamedMatchSpec[]
}

/** Istio StringMatch. `present` is `{}` or regex `*`; regexes are RE2 and match the whole value. */
export interface StringMatchSpec {
  readonly kind: 'exact' | 'prefix' | 'regex' | 'present'
  readonly value: string
  /** Only for uri exact and prefix (ignoreUriCase). */
  readonly ignoreCase: boolean
  /** Line of the condition in the route's file. */
  readonly line: number
}

export interface NamedMatchSpec {
  /** Headers: lower case. Query parameters: as written. */
  readonly name: string
  readonly match: StringMatchSpec
}

export type RouteActionSpec = ForwardSpec | RedirectSpec | DirectResponseSpec

export interface ForwardSpec {
  readonly kind: 'forward'
  /** At least one; weights are relative, entries of weight 0 are already gone unless there is just one. */
  readonly destinations: readonly DestinationSpec[]
  readonly rewrite: RewriteSpec | undefined
  /** Whole exchange, ms; undefined: no limit (Istio HTTPRoute.timeout). */
  readonly timeoutMs: number | undefined
  readonly retries: RetrySpec
  readonly headers: HeaderEditsSpec
}

export interface DestinationSpec {
  readonly cluster: string
  readonly weight: number
  /** Applied before the rule's, which win; those of a rule's only destination are joined to the rule's. */
  readonly headers: HeaderEditsSpec
  readonly origin: Origin
}

/** Istio HTTPRewrite. `uri` replaces what the route's own uri condition matched. */
export interface RewriteSpec {
  readonly uri: string | undefined
  readonly uriRegex: { readonly match: string; readonly rewrite: string } | undefined
  readonly authority: string | undefined
}

/** Istio HTTPRetry after defaults; attempts 0 switches retries off. */
export interface RetrySpec {
  readonly attempts: number
  readonly perTryTimeoutMs: number | undefined
  /** Conditions by their Envoy names, e.g. `connect-failure`. */
  readonly retryOn: readonly string[]
  readonly statusCodes: readonly number[]
  readonly backoffMs: number
  readonly ignorePreviousHosts: boolean
  readonly origin: Origin | undefined
}

/** Istio HTTPRedirect. */
export interface RedirectSpec {
  readonly kind: 'redirect'
  readonly status: number
  readonly uri: string | undefined
  readonly prefixRewrite: string | undefined
  readonly authority: string | undefined
  readonly scheme: string | undefined
  /** A number, or how to derive it; undefined keeps the request's. */
  readonly port: number | 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT' | undefined
  readonly headers: HeaderEditsSpec
}

/** Istio HTTPDirectResponse; also what REGISTRY_ONLY makes of unknown hosts. */
export interface DirectResponseSpec {
  readonly kind: 'direct'
  readonly status: number
  /** UTF-8 text, or base64 when `base64` is set. */
  readonly body: string
  readonly base64: boolean
  readonly headers: HeaderEditsSpec
}

/** Istio Headers: remove, then set (overwrite), then add (append); names as written, sorted. */
export interface HeaderEditsSpec {
  readonly request: HeaderOperationsSpec
  readonly response: HeaderOperationsSpec
}
export interface HeaderOperationsSpec {
  /** Lower case. */
  readonly remove: readonly string[]
  readonly set: ReadonlyArray<readonly [name: string, value: string]>
  readonly add: ReadonlyArray<readonly [name: string, value: string]>
}

export interface TlsRouteSpec {
  /** Lower case, exact or `*.suffix`; empty: any SNI and none. */
  readonly sniHosts: readonly string[]
  readonly destinationSubnets: readonly string[]
  readonly destinations: readonly DestinationSpec[]
  readonly origin: Origin
}

export interface TcpRouteSpec {
  /** `tcp[0].match[0]`, `` for a default. */
  readonly path: string
  /** CIDRs of the original destination; empty: any. */
  readonly destinationSubnets: readonly string[]
  readonly destinations: readonly DestinationSpec[]
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
  readonly origin: Origin
}

/** A named group of endpoints with the policy under which this proxy calls them. */
export interface ClusterSpec {
  readonly name: string
  /**
   * static: endpoints are addresses. strict-dns: endpoint addresses are names, all answers are used.
   * logical-dns: one answer per new connection. original-destination: the connection's own.
   */
  readonly discovery: 'static' | 'strict-dns' | 'logical-dns' | 'original-destination'
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
  readonly external: boolean
  /** Service or ServiceEntry. */
  readonly origin: Origin
  /** The DestinationRule (line of the subset, if any) in force; undefined: none. */
  readonly policyOrigin: Origin | undefined
  /** Where connectionPool and outlierDetection were written (DestinationRule or MeshConfig); undefined: nowhere. */
  readonly poolOrigin: Origin | undefined
  readonly outlierOrigin: Origin | undefined
  /** Hash of this spec without the endpoints: equal means the live cluster is kept on reload. */
  readonly hash: string
}

export interface LoadBalancerSpec {
  readonly kind: 'LEAST_REQUEST' | 'ROUND_ROBIN' | 'RANDOM' | 'PASSTHROUGH'
}

/** Istio ConnectionPoolSettings after defaults; limits are 4294967295 when not set. */
export interface ConnectionPoolSpec {
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** 0: never. */
  readonly tcpIdleTimeoutMs: number
  readonly maxConnectionDurationMs: number | undefined
  readonly keepalive:
    | { readonly probes: number; readonly timeMs: number; readonly intervalMs: number }
    | undefined
  readonly maxPendingRequests: number
  readonly maxRequests: number
  /** 0: unlimited. */
  readonly maxRequestsPerConnection: number
  readonly maxRetries: number
  readonly httpIdleTimeoutMs: number
}

/** Istio OutlierDetection after defaults. */
export interface OutlierDetectionSpec {
  /** Failures in a row that eject an endpoint; 0: this does not count. */
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  /** Only with `splitLocalOrigin`. */
  readonly consecutiveLocalOrigin: number
  /** Refused connections, resets and timeouts count apart from the endpoint's own replies. */
  readonly splitLocalOrigin: boolean
  /** How often it is looked who may come back. */
  readonly intervalMs: number
  /** Times the number of ejections in a row, up to `maxEjectionMs`. */
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  /** Share of the endpoints that may be ejected at once. */
  readonly maxEjectionPercent: number
  /** One endpoint may be ejected whatever the share, as long as another one is left. */
  readonly alwaysEjectOne: boolean
  /** Below this share of usable endpoints all are used, ejected or not; 0: never. */
  readonly minHealthPercent: number
  /** Statuses that count as 5xx; empty: 500 to 599. */
  readonly errorStatuses: readonly number[]
}

/**
 * How many retries a cluster may see, beside maxRetries. failing: in every second at most `percent` of
 * the requests of that second and `perSecond` more end without a good answer. concurrent (Istio
 * retryBudget, which replaces maxRetries): at once at most `percent` of the requests under way, or
 * `minConcurrency` if that is more; with an interval the requests begun within it count as well.
 */
export type RetryBudgetSpec =
  | { readonly kind: 'failing'; readonly percent: number; readonly perSecond: number }
  | {
      readonly kind: 'concurrent'
      readonly percent: number
      readonly minConcurrency: number
      readonly intervalMs: number
    }
  | { readonly kind: 'off' }

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
}
