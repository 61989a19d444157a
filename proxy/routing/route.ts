/** Live routes: a rule's match block with its compiled conditions and what it leads to. */
import type {
  DestinationSpec,
  DirectResponseSpec,
  ForwardSpec,
  MirrorSpec,
  Origin,
  RetrySpec,
  RouteSpec,
  StickyKeySpec,
} from '../../config/snapshot.ts'
import { FilterChain } from '../filters/chain.ts'
import { CorsFilter } from '../filters/cors.ts'
import { FaultFilter } from '../filters/fault.ts'
import { FaultPlan } from '../filters/fault-plan.ts'
import type { Filter } from '../filters/filter.ts'
import { authorityOf, HeaderEdits } from '../filters/header-edits.ts'
import { Redirect } from '../filters/redirect.ts'
import { MatchedPath, Rewrite } from '../filters/rewrite.ts'
import { RequestTest } from './predicates.ts'
import { StickySplit } from './sticky-split.ts'
import { TextTest } from './text-test.ts'
import { TrafficSplit } from './traffic-split.ts'

export type RouteAction<Target> = ForwardAction<Target> | RedirectAction | DirectAction

/** One destination of a forward; the exchange keeps it for all attempts. */
export interface Choice<Target> {
  readonly target: Target
  readonly spec: DestinationSpec
  /** Rule and destination operations in their order; undefined: none. */
  readonly requestEdits: HeaderEdits | undefined
  readonly responseEdits: HeaderEdits | undefined
  /** To be applied after requestEdits; undefined: path and authority stay. */
  readonly rewrite: Rewrite | undefined
}

/** Callers keep their destination: the text chooses among `split.choices`. */
export interface Sticky {
  readonly key: StickyKeySpec
  readonly split: StickySplit
}

/** Where copies of requests go. */
export interface Mirror<Target> {
  readonly target: Target
  readonly spec: MirrorSpec
}

export interface ForwardAction<Target> {
  readonly kind: 'forward'
  /** pick(random) once per request. */
  readonly split: TrafficSplit<Choice<Target>>
  /** Whole exchange; undefined: no limit. */
  readonly timeoutMs: number | undefined
  readonly retries: RetrySpec
  /** Of every try; absent: none. */
  readonly faults?: FaultPlan | undefined
  /** Absent: `split` draws. */
  readonly sticky?: Sticky | undefined
  /** Absent: none. */
  readonly mirrors?: ReadonlyArray<Mirror<Target>> | undefined
}

export interface RedirectAction {
  readonly kind: 'redirect'
  /** `status`, and `location(head, schemeOf(head))`. */
  readonly redirect: Redirect
  readonly responseEdits: HeaderEdits | undefined
}

export interface DirectAction {
  readonly kind: 'direct'
  readonly status: number
  readonly body: Buffer
  readonly responseEdits: HeaderEdits | undefined
}

/** Everything that is the same for all routes of one table. */
export interface LinkContext<Target> {
  /** Called once per destination and mirror of a host at the host's first use. */
  readonly resolve: (destination: { readonly cluster: string }) => Target
  /** Service port of the listener. */
  readonly port: number
}

export class Route<Target> {
  readonly spec: RouteSpec
  readonly action: RouteAction<Target>
  /** All conditions; `test(head, path)`. */
  readonly conditions: RequestTest
  /** Undefined: the rule has none. */
  readonly filters: FilterChain | undefined

  constructor(spec: RouteSpec, context: LinkContext<Target>) {
    this.spec = spec
    this.conditions = new RequestTest(spec.match)
    this.action = linkAction(spec, context)
    this.filters = linkFilters(spec)
  }

  /** Istio's route name, for logs. */
  get name(): string {
    return this.spec.name
  }

  get origin(): Origin {
    return this.spec.origin
  }
}

/** In Istio's order: faults come before cross-origin answers, and redirects have neither. */
function linkFilters({ action }: RouteSpec): FilterChain | undefined {
  if (action.kind !== 'forward') return undefined
  return FilterChain.of([linkFaults(action), linkCors(action)])
}

function linkFaults({ faults }: ForwardSpec): Filter | undefined {
  if (faults === undefined || faults.beforeRetries.length === 0) return undefined
  return new FaultFilter(new FaultPlan(faults))
}

function linkCors({ cors }: ForwardSpec): Filter | undefined {
  return cors && new CorsFilter(cors, cors.allowOrigins.map(TextTest.of))
}

function linkAction<Target>(spec: RouteSpec, context: LinkContext<Target>): RouteAction<Target> {
  const { action } = spec
  const matched = new MatchedPath(spec.match?.uri)
  if (action.kind === 'forward') return linkForward(action, matched, context)
  const responseEdits = HeaderEdits.of([action.headers.response])
  if (action.kind === 'direct')
    return { kind: 'direct', status: action.status, body: bodyOf(action), responseEdits }
  const redirect = new Redirect(action, matched, context.port)
  return { kind: 'redirect', redirect, responseEdits }
}

function linkForward<Target>(
  spec: ForwardSpec,
  matched: MatchedPath,
  context: LinkContext<Target>,
): ForwardAction<Target> {
  const choices = spec.destinations.map((destination): Choice<Target> => {
    const edits = destination.headers
    const authority = authorityOf(spec.headers.request) ?? authorityOf(edits.request)
    const rewrites = spec.rewrite !== undefined || authority !== undefined
    return {
      target: context.resolve(destination),
      spec: destination,
      requestEdits: HeaderEdits.of([edits.request, spec.headers.request]),
      responseEdits: HeaderEdits.of([edits.response, spec.headers.response]),
      rewrite: rewrites ? new Rewrite(spec.rewrite, matched, authority) : undefined,
    }
  })
  const split = new TrafficSplit(spec.destinations, choices)
  const mirrors = spec.mirrors?.map((mirror) => ({ target: context.resolve(mirror), spec: mirror }))
  const sticky = spec.sticky && {
    key: spec.sticky.key,
    split: new StickySplit(
      spec.destinations.map(({ cluster }) => cluster),
      spec.destinations,
    ),
  }
  const { faults: disturbed, retries, timeoutMs } = spec
  const faults =
    disturbed === undefined || disturbed.eachTry.length === 0 ? undefined : new FaultPlan(disturbed)
  return { kind: 'forward', split, sticky, timeoutMs, retries, faults, mirrors }
}

function bodyOf({ body, base64 }: DirectResponseSpec): Buffer {
  return Buffer.from(body, base64 ? 'base64' : 'utf8')
}
