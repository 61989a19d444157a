/**
 * Who of a cluster may be picked, and the one that is. Everything that takes an endpoint out of
 * service, or puts it back, ends in `replace` or `refresh`. Hot: bench/micro/picker.bench.ts.
 */
import { isIP } from 'node:net'
import type { ClusterSpec } from '../../config/snapshot.ts'
import type { Random } from '../base/random.ts'
import type { Endpoint } from './endpoint.ts'
import { leastRequest } from './least-request.ts'
import type { MakePicker, Picker, PickRequest } from './picker.ts'
import { randomChoice } from './random-choice.ts'
import { roundRobin } from './round-robin.ts'

const pickers: Record<ClusterSpec['loadBalancer']['kind'], MakePicker> = {
  ROUND_ROBIN: roundRobin,
  LEAST_REQUEST: leastRequest,
  RANDOM: randomChoice,
  // Never asked: such a cluster goes to original destinations.
  PASSTHROUGH: randomChoice,
}

/** Picks that avoid tried endpoints by chance, before all are looked at. */
const rePicks = 5
const none: readonly Endpoint[] = []

export class Candidates {
  private readonly spec: ClusterSpec
  private readonly random: Random
  /** All of the cluster, usable or not. */
  private members: readonly Endpoint[] = none
  /** Those that may be picked, and the view of them; undefined until asked for. */
  private usable: readonly Endpoint[] | undefined = undefined
  private picker: Picker | undefined = undefined

  constructor(spec: ClusterSpec, random: Random) {
    this.spec = spec
    this.random = random
  }

  /** The set changed. */
  replace(members: Iterable<Endpoint>): void {
    this.members = [...members]
    this.refresh()
  }

  /** One of them became usable, or stopped being so. */
  refresh(): void {
    this.usable = undefined
    this.picker = undefined
  }

  /** Undefined: there is none that may be used. */
  pick(request: PickRequest): Endpoint | undefined {
    const usable = this.usable ?? this.findUsable()
    if (usable.length === 0) return undefined
    this.picker ??= pickers[this.spec.loadBalancer.kind](usable, this.random)
    const endpoint = this.picker.next()
    if (request.tried.length === 0 || !request.tried.includes(endpoint)) return endpoint
    return this.pickUntried(usable, this.picker, request.tried)
  }

  /** Why the members cannot be used, for people. */
  whyNone(): string {
    const { members } = this
    const notReady = members.filter((endpoint) => !endpoint.spec.healthy).length
    const ejected = members.filter((endpoint) => endpoint.spec.healthy && endpoint.ejected)
    const unresolved = members.filter(
      (endpoint) => endpoint.spec.healthy && !endpoint.ejected && !isResolved(endpoint),
    )
    const reasons: string[] = []
    if (notReady > 0) reasons.push(`${notReady} of ${members.length} not ready`)
    if (ejected.length > 0)
      reasons.push(`ejected after failures: ${ejected.map(({ text }) => text).join(', ')}`)
    if (unresolved.length > 0)
      reasons.push(`no address known yet for ${unresolved.map((e) => e.spec.address).join(', ')}`)
    return reasons.join('; ')
  }

  private findUsable(): readonly Endpoint[] {
    const usable = this.members.filter(
      (endpoint) => endpoint.spec.healthy && !endpoint.ejected && isResolved(endpoint),
    )
    // Only the first answer of a logical DNS name is used for new connections.
    if (this.spec.discovery === 'logical-dns') usable.length = Math.min(usable.length, 1)
    this.usable = usable
    return usable
  }

  private pickUntried(
    usable: readonly Endpoint[],
    picker: Picker,
    tried: readonly Endpoint[],
  ): Endpoint {
    let endpoint = picker.next()
    for (let i = 1; i < rePicks && tried.includes(endpoint); i++) endpoint = picker.next()
    if (!tried.includes(endpoint)) return endpoint
    const start = this.random.below(usable.length)
    for (let i = 0; i < usable.length; i++) {
      const other = usable[(start + i) % usable.length]!
      if (!tried.includes(other)) return other
    }
    return endpoint
  }
}

function isResolved(endpoint: Endpoint): boolean {
  const { address } = endpoint.address
  return isIP(address) !== 0 || address.startsWith('/') || address.startsWith('@')
}
