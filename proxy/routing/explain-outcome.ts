/** What happens to a request that follows a rule: destinations, shares, endpoints, edits, limits. */
import type {
  ClusterSpec,
  DestinationSpec,
  EndpointSpec,
  HeaderEditsSpec,
  HeaderOperationsSpec,
  Origin,
  RetryBudgetSpec,
  RetrySpec,
  RouteSpec,
  Snapshot,
} from '../../config/snapshot.ts'
import { Redirect } from '../filters/redirect.ts'
import { MatchedPath, Rewrite } from '../filters/rewrite.ts'
import { RequestHead } from '../http/head.ts'
import { Headers } from '../http/headers.ts'
import { balancingText, nearnessText } from './explain-balancing.ts'
import { explainFilters, type FilterOutcome } from './explain-filters.ts'
import { limitsText, outliersText } from './explain-policy.ts'
import { transportTexts } from './explain-transport.ts'
import { schemeOf } from './predicates.ts'

export interface EndpointOutcome {
  readonly address: string
  readonly port: number
  readonly workload: string
  readonly healthy: boolean
  /** `region/zone/subzone`, or ``. */
  readonly locality: string
}

export interface DestinationOutcome {
  readonly cluster: string
  /** 0 to 1. */
  readonly share: number
  readonly origin: Origin
  /** What this destination does to every request it gets, when that is a refusal; else ``. */
  readonly refusal: string
  readonly subsetLabels: Readonly<Record<string, string>>
  readonly discovery: ClusterSpec['discovery'] | undefined
  /** How one of the endpoints is chosen; `` when there is no cluster. */
  readonly loadBalancer: string
  readonly loadBalancerOrigin: Origin | undefined
  /** `` where it is the default. */
  readonly retryBudget: string
  /** In words; `` when there are none. */
  readonly limits: string
  readonly limitsOrigin: Origin | undefined
  readonly outliers: string
  readonly outliersOrigin: Origin | undefined
  /** Which endpoints come first, or ``. */
  readonly nearness: string
  readonly nearnessOrigin: Origin | undefined
  /** TLS, a tunnel, a header: what connections are beside plain TCP. */
  readonly transport: readonly string[]
  readonly transportOrigin: Origin | undefined
  /** Service or ServiceEntry. */
  readonly service: Origin | undefined
  /** DestinationRule in force. */
  readonly policy: Origin | undefined
  readonly endpoints: readonly EndpointOutcome[]
}

export type Outcome =
  | {
      readonly kind: 'forward'
      /** Before anything is sent, in this order. */
      readonly filters: readonly FilterOutcome[]
      readonly destinations: readonly DestinationOutcome[]
      /** As sent on: after rewriting. */
      readonly target: string
      readonly authority: string
      readonly rewritten: boolean
      readonly timeoutMs: number | undefined
      readonly retries: RetrySpec
      readonly requestEdits: readonly string[]
      readonly responseEdits: readonly string[]
    }
  | {
      readonly kind: 'redirect'
      readonly status: number
      readonly location: string
      readonly responseEdits: readonly string[]
    }
  | {
      readonly kind: 'direct'
      readonly status: number
      readonly body: string
      readonly responseEdits: readonly string[]
    }

type Endpoints = Pick<Snapshot, 'clusters' | 'endpointSets'>

/** `port`: service port of the listener. */
export function explainOutcome(
  route: RouteSpec,
  head: RequestHead,
  port: number,
  snapshot: Endpoints,
): Outcome {
  const { action } = route
  const matched = new MatchedPath(route.match?.uri)
  const responseEdits = editLines(action.headers.response)
  if (action.kind === 'redirect') {
    const location = new Redirect(action, matched, port).location(head, schemeOf(head))
    return { kind: 'redirect', status: action.status, location, responseEdits }
  }
  if (action.kind === 'direct') {
    const body = action.base64 ? Buffer.from(action.body, 'base64').toString() : action.body
    return { kind: 'direct', status: action.status, body, responseEdits }
  }
  const sent = copyOf(head)
  if (action.rewrite !== undefined) new Rewrite(action.rewrite, matched).apply(sent)
  return {
    kind: 'forward',
    filters: explainFilters(action, head, snapshot),
    destinations: explainDestinations(action.destinations, snapshot),
    target: sent.target,
    authority: sent.authority,
    rewritten: action.rewrite !== undefined,
    timeoutMs: action.timeoutMs,
    retries: action.retries,
    requestEdits: edits(action.destinations, action.headers, 'request'),
    responseEdits: edits(action.destinations, action.headers, 'response'),
  }
}

/** The destinations of a rule (HTTP, TLS or TCP) with what they stand for now. */
export function explainDestinations(
  destinations: readonly DestinationSpec[],
  snapshot: Endpoints,
): DestinationOutcome[] {
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0)
  return destinations.map((destination) => {
    const { cluster, weight, origin } = destination
    const spec = snapshot.clusters.get(cluster)
    const endpoints = spec === undefined ? [] : endpointsOf(spec, snapshot)
    return {
      cluster,
      share: total === 0 ? 1 / destinations.length : weight / total,
      origin,
      refusal: spec === undefined ? missing(cluster, snapshot) : refusalOf(spec, endpoints),
      subsetLabels: spec?.subsetLabels ?? {},
      discovery: spec?.discovery,
      loadBalancer: spec === undefined ? '' : balancingText(spec.loadBalancer),
      loadBalancerOrigin: spec?.loadBalancerOrigin,
      retryBudget: spec === undefined ? '' : retryBudgetText(spec.retryBudget),
      limits: spec === undefined ? '' : limitsText(spec.connectionPool),
      limitsOrigin: spec?.poolOrigin,
      outliers: outliersText(spec?.outlierDetection, endpoints.filter(isReady).length),
      outliersOrigin: spec?.outlierOrigin,
      nearness: nearnessText(spec?.loadBalancer.locality),
      nearnessOrigin: spec?.localityOrigin,
      transport: spec === undefined ? [] : transportTexts(spec),
      transportOrigin: spec?.tlsOrigin,
      service: spec?.origin,
      policy: spec?.policyOrigin,
      endpoints: endpoints.map(({ address, port, workload, healthy, locality }) => ({
        address,
        port,
        workload,
        healthy,
        locality,
      })),
    }
  })
}

function isReady({ healthy }: EndpointSpec): boolean {
  return healthy
}

function retryBudgetText(spec: RetryBudgetSpec): string {
  switch (spec.kind) {
    case 'off':
      return 'retries without a budget'
    case 'concurrent':
      return `retries: at once at most ${spec.percent} % of the requests under way, or ${spec.minConcurrency}`
    default:
      return spec.percent === 20 && spec.perSecond === 10
        ? ''
        : `retries: in every second at most ${spec.percent} % of its requests and ${spec.perSecond} more in vain`
  }
}

function endpointsOf(cluster: ClusterSpec, { endpointSets }: Endpoints): EndpointSpec[] {
  const wanted = Object.entries(cluster.subsetLabels)
  const all = endpointSets.get(cluster.endpointSet) ?? []
  return all.filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value))
}

/** Why there is no cluster of that name: `outbound|9080|v1|reviews.default.svc.cluster.local`. */
function missing(name: string, { clusters }: Endpoints): string {
  const [, port, subset, host] = name.split('|')
  if (clusters.has(`outbound|${port}||${host}`))
    return `503 NC: no DestinationRule in force gives ${host} a subset ${subset}`
  const ports = new Set<number>()
  for (const { service, port: known } of clusters.values()) if (service === host) ports.add(known)
  if (ports.size > 0) return `503 NC: ${host} has no port ${port}, only ${[...ports].join(', ')}`
  return `503 NC: this workload sees no service ${host}`
}

function refusalOf(cluster: ClusterSpec, endpoints: readonly EndpointSpec[]): string {
  if (cluster.discovery === 'original-destination' || cluster.discovery === 'dynamic-dns') return ''
  if (endpoints.length === 0) {
    const labels = Object.entries(cluster.subsetLabels).map(([key, value]) => `${key}=${value}`)
    const whose = labels.length === 0 ? '' : ` with ${labels.join(', ')}`
    return `503 UH: it has no endpoints${whose}`
  }
  return endpoints.some(({ healthy }) => healthy) ? '' : '503 UH: none of its endpoints is ready'
}

function edits(
  destinations: readonly DestinationSpec[],
  rule: HeaderEditsSpec,
  side: 'request' | 'response',
): string[] {
  const own = destinations.flatMap(({ headers, cluster }) =>
    editLines(headers[side]).map((line) =>
      destinations.length === 1 ? line : `${line} (only for ${cluster})`,
    ),
  )
  return [...own, ...editLines(rule[side])]
}

function editLines({ remove, set, add }: HeaderOperationsSpec): string[] {
  return [
    ...remove.map((name) => `remove ${name}`),
    ...set.map(([name, value]) => `set ${name}: ${value}`),
    ...add.map(([name, value]) => `add ${name}: ${value}`),
  ]
}

function copyOf(head: RequestHead): RequestHead {
  const copy = new RequestHead(head.method, head.target, head.version, new Headers())
  copy.authority = head.authority
  return copy
}
