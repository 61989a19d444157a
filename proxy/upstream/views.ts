/** A cluster's usable endpoints made into one view: levels of nearness, localities with shares, a policy. */
import type { LoadBalancerSpec, LocalitySpec } from '../../config/snapshot.ts'
import type { Random } from '../base/random.ts'
import { EdfQueue } from './edf.ts'
import type { Endpoint } from './endpoint.ts'
import { Group, Groups } from './group.ts'
import { Hashed } from './hashed.ts'
import { leastRequest } from './least-request.ts'
import { rankOf, shareOf } from './locality.ts'
import { Maglev } from './maglev.ts'
import { FasterOfTwo } from './peak-ewma.ts'
import type { Picker, View } from './picker.ts'
import { availability, type LevelLoad, loadOfLevels } from './priorities.ts'
import { randomChoice } from './random-choice.ts'
import { Ring } from './ring-hash.ts'
import { roundRobin } from './round-robin.ts'
import { ChangingTurns, type Warmth } from './warmth.ts'
import { zoneWeights } from './zone-balance.ts'

export interface ViewParts {
  readonly policy: LoadBalancerSpec
  /** Below this share of usable endpoints all are used, ejected ones too; 0: never. */
  readonly panicPercent: number
  readonly random: Random
  /** While some endpoint is not warm. */
  readonly warmth: Warmth | undefined
  readonly isUsable: (endpoint: Endpoint) => boolean
}

/** Some endpoints with the part of all requests that they get together. */
interface Share {
  readonly endpoints: readonly Endpoint[]
  readonly weight: number
}

/** Undefined: none of them may be picked. */
export function makeView(members: readonly Endpoint[], parts: ViewParts): View | undefined {
  const { locality, hash } = parts.policy
  const levels = levelsOf(members, locality)
  const loads = loadOfLevels(
    levels.map((level) => healthOf(level, parts)),
    parts.panicPercent,
  )
  const levelShares = levels.map((level, i) => sharesWithin(level, i, loads[i]!, parts))
  if (hash !== undefined) return hashedView(levelShares, loads, parts)
  const shares = levelShares.flat()
  if (shares.length === 0) return undefined
  const groups = shares.map(
    ({ endpoints }) => new Group(endpoints, makePicker(endpoints, parts), parts.random),
  )
  if (groups.length === 1) return groups[0]
  const weights = shares.map(({ weight }) => weight)
  return new Groups(groups, new Turns(weights, parts.random))
}

/** By rank, nearest first; each endpoint is told its own. */
function levelsOf(members: readonly Endpoint[], locality: LocalitySpec | undefined): Endpoint[][] {
  const { distribute, labels, regions } = locality ?? {}
  const counted =
    distribute === undefined
      ? [...members]
      : members.filter(({ spec }) => shareOf(spec, distribute) !== -1)
  const byRank = new Map<number, Endpoint[]>()
  if (locality === undefined || (labels === undefined && regions === undefined))
    byRank.set(0, counted)
  else
    for (const endpoint of counted) {
      const rank = rankOf(endpoint.spec, locality)
      const level = byRank.get(rank)
      if (level === undefined) byRank.set(rank, [endpoint])
      else level.push(endpoint)
    }
  const levels = [...byRank].sort(([a], [b]) => a - b).map(([, level]) => level)
  for (const endpoint of members) endpoint.priority = -1
  for (const [priority, level] of levels.entries())
    for (const endpoint of level) endpoint.priority = priority
  return levels
}

function healthOf(level: readonly Endpoint[], { isUsable }: ViewParts) {
  return { usable: level.filter(isUsable).length, total: level.length }
}

function sharesWithin(
  level: readonly Endpoint[],
  priority: number,
  { panic, percent }: LevelLoad,
  { isUsable, policy }: ViewParts,
): Share[] {
  if (percent === 0) return []
  if (panic) return [{ endpoints: level, weight: percent }]
  const usable = level.filter(isUsable)
  if (usable.length === 0) return []
  const { distribute, balance, own } = policy.locality ?? {}
  if (distribute !== undefined) return distributed(level, distribute, isUsable)
  if (balance !== undefined && priority === 0 && policy.hash === undefined) {
    const places = byLocality(usable)
    const census = new Map([...places].map(([place, { length }]) => [place, length]))
    const weights = zoneWeights(own ?? '', new Map(balance.callers), census, balance.minClusterSize)
    if (weights !== undefined)
      return [...weights].map(([place, weight]) => ({
        endpoints: places.get(place)!,
        weight: weight * percent,
      }))
  }
  return [{ endpoints: usable, weight: percent }]
}

/** A place's share shrinks when too many of its endpoints are out of service. */
function distributed(
  level: readonly Endpoint[],
  distribute: NonNullable<LocalitySpec['distribute']>,
  isUsable: (endpoint: Endpoint) => boolean,
): Share[] {
  const shares: Share[] = []
  for (const [i, [, percent]] of distribute.entries()) {
    const all = level.filter(({ spec }) => shareOf(spec, distribute) === i)
    const endpoints = all.filter(isUsable)
    const health = availability({ usable: endpoints.length, total: all.length })
    if (health > 0) shares.push({ endpoints, weight: percent * health })
  }
  return shares
}

function byLocality(endpoints: readonly Endpoint[]): Map<string, Endpoint[]> {
  const places = new Map<string, Endpoint[]>()
  for (const endpoint of endpoints) {
    const place = places.get(endpoint.spec.locality)
    if (place === undefined) places.set(endpoint.spec.locality, [endpoint])
    else place.push(endpoint)
  }
  return places
}

function makePicker(endpoints: readonly Endpoint[], { policy, random, warmth }: ViewParts): Picker {
  switch (policy.kind) {
    case 'ROUND_ROBIN':
      return warmth === undefined
        ? roundRobin(endpoints, random)
        : new ChangingTurns(endpoints, random, (one) => one.weight * warmth.of(one))
    case 'LEAST_REQUEST':
      return warmth === undefined
        ? leastRequest(endpoints, random)
        : new ChangingTurns(
            endpoints,
            random,
            (one) => (one.weight * warmth.of(one)) / (one.counts.active + 1),
          )
    case 'PEAK_EWMA':
      return new FasterOfTwo(endpoints, random)
    // Hashed elsewhere, and never asked for original destinations.
    default:
      return randomChoice(endpoints, random)
  }
}

/** Within a level a locality's share is divided among its endpoints by their weights. */
function hashedView(
  levels: ReadonlyArray<readonly Share[]>,
  loads: readonly LevelLoad[],
  { policy, random }: ViewParts,
): View | undefined {
  const { key, size } = policy.hash!
  const tables = levels.flatMap((shares, i) => {
    if (shares.length === 0) return []
    const endpoints = shares.flatMap((share) => share.endpoints)
    const weights = shares.flatMap((share) => {
      const sum = share.endpoints.reduce((all, { weight }) => all + weight, 0)
      return share.endpoints.map(({ weight }) => (share.weight * weight) / sum)
    })
    const table =
      policy.kind === 'MAGLEV'
        ? new Maglev(endpoints, weights, size)
        : new Ring(endpoints, weights, size)
    return [{ table, percent: loads[i]!.percent }]
  })
  return tables.length === 0 ? undefined : new Hashed(key, tables, random)
}

/** Numbers in turn, by weight, from a random place. */
class Turns {
  private readonly weights: readonly number[]
  private readonly queue: EdfQueue

  constructor(weights: readonly number[], random: Random) {
    this.weights = weights
    this.queue = new EdfQueue(weights)
    const skip = random.below(16 * weights.length)
    for (let i = 0; i < skip; i++) this.next()
  }

  next(): number {
    const entry = this.queue.first()
    this.queue.turn(this.weights[entry]!)
    return entry
  }
}
