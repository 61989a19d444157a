/** The part of the snapshot that says which requests and connections go where, and what happens to them on the way. */
import type { FaultsSpec } from './snapshot-faults.ts'
import type { Origin } from './snapshot-origin.ts'

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
  /** Its requests are counted under this name; absent: not on their own. */
  readonly statPrefix?: string
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
  /** Absent: none. */
  readonly faults?: FaultsSpec
  /** Absent: none. */
  readonly cors?: CorsSpec
  /** Absent: each request draws its destination. */
  readonly sticky?: StickySpec
  /** Absent: none; each draws on its own. */
  readonly mirrors?: readonly MirrorSpec[]
}

/** Callers keep their destination (Outrider's annotation). */
export interface StickySpec {
  readonly key: StickyKeySpec
  readonly origin: Origin
}

/** What of a request chooses; one without it is drawn. */
export type StickyKeySpec =
  /** Lower case. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'source-ip' }

/** Where copies of requests go (Istio mirror, mirrors). */
export interface MirrorSpec {
  readonly cluster: string
  /** Of the requests, above 0 to 1. */
  readonly fraction: number
  readonly origin: Origin
}

/** Istio CorsPolicy; texts are field values as they are sent, `` leaves the field out. */
export interface CorsSpec {
  readonly allowOrigins: readonly StringMatchSpec[]
  /** `*`: what the preflight asks for. */
  readonly allowMethods: string
  readonly allowHeaders: string
  readonly exposeHeaders: string
  /** Seconds. */
  readonly maxAge: string
  readonly allowCredentials: boolean
  /** Preflights from other origins are sent on, or answered without allowing anything. */
  readonly unmatchedPreflights: 'FORWARD' | 'IGNORE'
  readonly origin: Origin
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
  /** A retry avoids endpoints that were tried; unless-hashed: where no consistent hashing picks them. */
  readonly ignorePreviousHosts: boolean | 'unless-hashed'
  /** After every second try, a retry leaves the levels of nearness that were tried. */
  readonly remoteLocalities: boolean
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
