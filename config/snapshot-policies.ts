/** The part of the snapshot that says how the endpoints of a cluster are chosen, limited and judged. */

export interface LoadBalancerSpec {
  readonly kind:
    | 'LEAST_REQUEST'
    | 'ROUND_ROBIN'
    | 'RANDOM'
    | 'PASSTHROUGH'
    | 'RING_HASH'
    | 'MAGLEV'
    /** Outrider's own: the faster of two, failures count as slow. */
    | 'PEAK_EWMA'
  /** With RING_HASH and MAGLEV, and only with them. */
  readonly hash?: HashSpec
  /** Absent: new endpoints get their full share at once. */
  readonly warmup?: WarmupSpec
  /** Absent: all endpoints are equally near. */
  readonly locality?: LocalitySpec
}

export interface HashSpec {
  readonly key: HashKeySpec
  /** RING_HASH: points, at least. MAGLEV: slots, a prime. */
  readonly size: number
}

/** What of a request decides; a request without it goes anywhere. */
export type HashKeySpec =
  /** Lower case. */
  | { readonly kind: 'header'; readonly name: string }
  | {
      readonly kind: 'cookie'
      readonly name: string
      /** What a cookie made here looks like after its value: `; Max-Age=60; HttpOnly`. Absent: none is made. */
      readonly made?: string
    }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query'; readonly name: string }

export interface WarmupSpec {
  readonly durationMs: number
  readonly minimumPercent: number
  readonly aggression: number
}

/** Which endpoints are nearer than others, seen from this proxy. At most one of the ways below, or two where said. */
export interface LocalitySpec {
  /** `region/zone/subzone` of this proxy, or ``. */
  readonly own: string
  /** Share of requests by locality; `region/zone/*` is a prefix. Others get nothing. */
  readonly distribute?: ReadonlyArray<readonly [locality: string, percent: number]>
  /** The more of these labels, from the first on, an endpoint has, the nearer it is. */
  readonly labels?: ReadonlyArray<readonly [label: string, value: string]>
  /** Nearer: same subzone, zone, region; within the same rank of `labels`. `next`: region that is preferred to others. */
  readonly regions?: { readonly next: string }
  /** As much stays in the own locality as it can take, given where the callers are. */
  readonly balance?: {
    readonly minClusterSize: number
    /** Endpoints of the own service by locality. */
    readonly callers: ReadonlyArray<readonly [locality: string, count: number]>
  }
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
  /** Percent of errors within an interval that ejects; 0: this does not count. */
  readonly failurePercentage: number
  /** Standard deviations below the mean of all, in thousandths, that eject; 0: this does not count. */
  readonly successRateFactor: number
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
