/** The shape of a DestinationRule's `spec` after the schema has normalised it (see kinds.ts). */
export interface DestinationRuleSpec {
  readonly host: string
  readonly trafficPolicy?: TrafficPolicy
  readonly subsets: ReadonlyArray<{
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly trafficPolicy?: TrafficPolicy
  }>
  readonly exportTo: readonly string[]
  readonly workloadSelector?: Readonly<Record<string, string>>
}
export interface RetryBudget {
  readonly percent?: number
  readonly budgetIntervalMs?: number
  readonly minRetryConcurrency?: number
}
export interface PolicyBlocks {
  readonly retryBudget?: RetryBudget
  readonly loadBalancer?: LoadBalancer
  readonly connectionPool?: ConnectionPool
  readonly outlierDetection?: OutlierDetection
  readonly tls?: ClientTls
  /** Not in portLevelSettings. */
  readonly tunnel?: Tunnel
  readonly proxyProtocol?: { readonly version: 'V1' | 'V2' }
}
export interface ClientTls {
  readonly mode: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  /** Paths of files. */
  readonly clientCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly caCrl?: string
  readonly credentialName?: string
  readonly subjectAltNames: readonly string[]
  readonly sni?: string
  readonly insecureSkipVerify?: boolean
}
export interface Tunnel {
  /** `` is CONNECT. */
  readonly protocol: string
  readonly targetHost: string
  readonly targetPort: number
}
export interface TrafficPolicy extends PolicyBlocks {
  readonly portLevelSettings: ReadonlyArray<PolicyBlocks & { readonly port: number }>
}
export interface LoadBalancer {
  readonly simple?: string
  readonly consistentHash?: ConsistentHash
  readonly localityLbSetting?: LocalityLb
  readonly zoneAwareLbSetting?: ZoneAwareLb
  readonly warmup?: {
    readonly durationMs: number
    readonly minimumPercent?: number
    readonly aggression?: number
  }
  /** Deprecated: counts where there is no `warmup`. */
  readonly warmupDurationMs?: number
}
/** One of the four keys; ringHash, maglev or the deprecated minimumRingSize, or none of them. */
export interface ConsistentHash {
  readonly httpHeaderName?: string
  readonly httpCookie?: HashCookie
  readonly useSourceIp?: boolean
  readonly httpQueryParameterName?: string
  readonly ringHash?: { readonly minimumRingSize?: number }
  readonly maglev?: { readonly tableSize?: number }
  readonly minimumRingSize?: number
}
export interface HashCookie {
  readonly name: string
  readonly path?: string
  /** Absent: none is made. 0: for the session. */
  readonly ttlMs?: number
  readonly attributes: ReadonlyArray<{ readonly name: string; readonly value: string }>
}
export interface LocalityLb {
  readonly enabled?: boolean
  readonly distribute: ReadonlyArray<{
    readonly from: string
    readonly to: Readonly<Record<string, number>>
  }>
  readonly failover: ReadonlyArray<{ readonly from: string; readonly to: string }>
  readonly failoverPriority: readonly string[]
}
export interface ZoneAwareLb {
  readonly enabled?: boolean
  readonly failover: LocalityLb['failover']
  readonly failoverPriority: readonly string[]
  readonly minClusterSize?: number
}
export interface ConnectionPool {
  readonly tcp?: {
    readonly maxConnections?: number
    readonly connectTimeoutMs?: number
    readonly idleTimeoutMs?: number
    readonly maxConnectionDurationMs?: number
    readonly tcpKeepalive?: {
      readonly probes?: number
      readonly timeMs?: number
      readonly intervalMs?: number
    }
  }
  readonly http?: {
    readonly http1MaxPendingRequests?: number
    readonly http2MaxRequests?: number
    readonly maxRequestsPerConnection?: number
    readonly maxRetries?: number
    readonly idleTimeoutMs?: number
  }
}

export interface OutlierDetection {
  readonly consecutive5xxErrors?: number
  readonly consecutiveGatewayErrors?: number
  readonly splitExternalLocalOriginErrors?: boolean
  readonly consecutiveLocalOriginFailures?: number
  readonly intervalMs?: number
  readonly baseEjectionMs?: number
  readonly maxEjectionPercent?: number
  readonly minHealthPercent?: number
  readonly outlierDetectionHttpErrorCodes?: readonly number[]
}
