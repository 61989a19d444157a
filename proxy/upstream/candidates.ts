/**
 * Who of a cluster may be picked, and the one that is. Everything that takes an endpoint out of
 * service, or puts it back, ends in `replace` or `refresh`. Hot: bench/micro/picker.bench.ts.
 */
import type { ClusterSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { Endpoint } from './endpoint.ts'
import type { PickRequest, View } from './picker.ts'
import { ReplyTime } from './reply-time.ts'
import { makeView } from './views.ts'
import { Warmth } from './warmth.ts'

export interface CandidateServices {
  readonly clock: Clock
  readonly random: Random
  readonly wheel: TimerWheel
}

export class Candidates implements DeadlineOwner {
  private readonly spec: ClusterSpec
  private readonly services: CandidateServices
  /** All of the cluster, usable or not. */
  private members: readonly Endpoint[] = []
  /** False: to be made when asked for. */
  private made = false
  private view: View | undefined = undefined
  private readonly warmth: Warmth | undefined
  /** Only where endpoints warm up. */
  private readonly allWarm: Timer | undefined

  constructor(spec: ClusterSpec, services: CandidateServices) {
    const { warmup } = spec.loadBalancer
    this.spec = spec
    this.services = services
    this.warmth = warmup && new Warmth(warmup, services.clock)
    this.allWarm = warmup && new Timer(this)
  }

  /** The set changed. */
  replace(members: Iterable<Endpoint>): void {
    this.members = [...members]
    if (this.spec.loadBalancer.kind === 'PEAK_EWMA')
      for (const member of this.members) member.replyTime ??= new ReplyTime(this.services.clock)
    this.refresh()
  }

  /** One of them became usable, or stopped being so. */
  refresh(): void {
    this.made = false
    this.view = undefined
    if (this.warmth === undefined || this.allWarm === undefined) return
    const { wheel } = this.services
    this.warmth.inService(this.members.filter(isUsable))
    const { leftMs } = this.warmth
    if (leftMs > 0) wheel.arm(this.allWarm, leftMs)
    else wheel.cancel(this.allWarm)
  }

  /** All are warm: the plain policy is cheaper. */
  onDeadline(): void {
    this.made = false
    this.view = undefined
  }

  /** Undefined: there is none that may be used. */
  pick(request: PickRequest): Endpoint | undefined {
    const view = this.made ? this.view : this.make()
    const { triedLevels } = request
    const far = triedLevels === undefined ? undefined : this.pickFar(request, triedLevels)
    return far ?? view?.pick(request)
  }

  /** By chance, of the nearest level that was not tried (Istio retryRemoteLocalities). */
  private pickFar({ tried }: PickRequest, levels: readonly number[]): Endpoint | undefined {
    let nearest: Endpoint[] = []
    for (const member of this.members) {
      const { priority } = member
      if (priority < 0 || levels.includes(priority) || tried.includes(member)) continue
      if (!isUsable(member) || priority > (nearest[0]?.priority ?? priority)) continue
      if (priority !== nearest[0]?.priority) nearest = []
      nearest.push(member)
    }
    return nearest[this.services.random.below(nearest.length)]
  }

  /** Endpoints know their level from here on. */
  settle(): void {
    if (!this.made) this.make()
  }

  /** The cluster is no longer used. */
  close(): void {
    if (this.allWarm !== undefined) this.services.wheel.cancel(this.allWarm)
  }

  /** Why the members cannot be used, for people. */
  whyNone(): string {
    const { members } = this
    const notReady = members.filter((endpoint) => !endpoint.spec.healthy).length
    const ejected = members.filter((endpoint) => endpoint.spec.healthy && endpoint.ejected)
    const unresolved = members.filter((endpoint) => endpoint.spec.healthy && !endpoint.resolved)
    const reasons: string[] = []
    if (notReady > 0) reasons.push(`${notReady} of ${members.length} not ready`)
    if (ejected.length > 0)
      reasons.push(
        `outlier detection keeps ${ejected.length} of ${members.length} out of service: ${ejected.map(({ text, ejection }) => `${text} for ${ejection}`).join('; ')}`,
      )
    if (unresolved.length > 0)
      reasons.push(`no address known yet for ${unresolved.map((e) => e.spec.address).join(', ')}`)
    if (reasons.length === 0) reasons.push(this.whyFar())
    return reasons.join('; ')
  }

  private whyFar(): string {
    const { distribute, own } = this.spec.loadBalancer.locality ?? {}
    if (distribute === undefined) return 'it has none'
    const places = distribute.map(([place]) => place).join(', ')
    return `from ${own || 'an unknown locality'} only ${places} may be used, and none is there`
  }

  private make(): View | undefined {
    const { loadBalancer, discovery, outlierDetection } = this.spec
    const panicPercent = outlierDetection?.minHealthPercent ?? 0
    const { warmth, services } = this
    let members = this.members.filter(({ resolved }) => resolved)
    // Only the first answer of a logical DNS name is used for new connections.
    if (discovery === 'logical-dns') members = members.filter(isUsable).slice(0, 1)
    // Where panic would use them, those that say they are not ready are not part of it.
    if (panicPercent > 0) members = members.filter((endpoint) => endpoint.spec.healthy)
    this.made = true
    this.view = makeView(members, {
      policy: loadBalancer,
      panicPercent,
      random: services.random,
      warmth: warmth !== undefined && warmth.leftMs > 0 ? warmth : undefined,
      isUsable,
    })
    return this.view
  }
}

function isUsable(endpoint: Endpoint): boolean {
  return endpoint.spec.healthy && !endpoint.ejected && endpoint.resolved
}
