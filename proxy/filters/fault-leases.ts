/**
 * Faults by calls to the admin port: for one service, until their time is over. Nothing is looked up
 * while there are none. One per worker.
 */
import type { FaultLease } from '../../config/snapshot.ts'
import { FilterChain } from './chain.ts'
import { disturb } from './fault.ts'
import { FaultPlan } from './fault-plan.ts'
import { Continue, type Filter, type FilterContext, type Verdict } from './filter.ts'

interface Lease {
  readonly spec: FaultLease
  readonly plan: FaultPlan
}

/** For requests without filters of their own. */
const noChain = {}

export class FaultLeases implements Filter {
  private readonly wall: () => number
  private leases: readonly Lease[] = []
  private readonly chains = new WeakMap<object, FilterChain>()

  constructor(wall: () => number = Date.now) {
    this.wall = wall
  }

  /** False: nothing here concerns anybody. */
  get active(): boolean {
    return this.leases.length > 0
  }

  /** Leases that are known already go on counting. */
  replace(specs: readonly FaultLease[]): void {
    const known = new Map(this.leases.map((lease) => [lease.spec.id, lease]))
    this.leases = specs.map(
      (spec) => known.get(spec.id) ?? { spec, plan: new FaultPlan(spec.faults) },
    )
  }

  /** The filters of a route with this one before them. */
  before(chain: FilterChain | undefined): FilterChain {
    const key = chain ?? noChain
    let joined = this.chains.get(key)
    if (joined === undefined) {
      joined = FilterChain.of([this, ...(chain?.filters ?? [])])!
      this.chains.set(key, joined)
    }
    return joined
  }

  onRequest(context: FilterContext): Verdict {
    const { record, random } = context
    const hits = this.for(record.cluster, record.routeName).flatMap(
      (plan) => plan.draw(plan.spec.beforeRetries, record, 0, random) ?? [],
    )
    return hits.length === 0 ? Continue : disturb(context, hits)
  }

  /** What holds for a cluster (`outbound|80|v1|reviews.default.svc.cluster.local`) and rule now. */
  for(cluster: string, route: string): FaultPlan[] {
    const now = this.wall()
    if (this.leases.some(({ spec }) => spec.until <= now))
      this.leases = this.leases.filter(({ spec }) => spec.until > now)
    return this.leases.filter(({ spec }) => concerns(spec, cluster, route)).map(({ plan }) => plan)
  }
}

function concerns(lease: FaultLease, cluster: string, rule: string): boolean {
  const [direction, port, subset, host] = cluster.split('|')
  if (direction !== 'outbound') return false
  if (lease.host !== '*' && lease.host !== host) return false
  if (lease.port !== undefined && lease.port !== Number(port)) return false
  if (lease.subset !== undefined && lease.subset !== subset) return false
  return lease.route === undefined || isOfRule(rule, lease.route)
}

/** A route is called like its rule, or `rule.block` where its match block has a name too. */
function isOfRule(route: string, rule: string): boolean {
  return route === rule || route.startsWith(`${rule}.`)
}
