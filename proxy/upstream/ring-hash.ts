/**
 * Endpoints on a ring of hashes: a key belongs to the first point at or after its own hash, so that a
 * change of one endpoint moves its own keys only. Points and keys are Envoy's, so that proxies agree.
 */
import { Hash64, xxHash64 } from '../base/xx-hash.ts'
import type { Endpoint } from './endpoint.ts'

/** Envoy's. */
export const largestRing = 8_388_608

/** Where keys lead; made anew when the set changes. Hot: bench/micro/picker.bench.ts. */
export interface HashTable {
  /** Slots to walk through when the first one will not do. */
  readonly size: number
  slotOf(hash: Hash64): number
  at(slot: number): Endpoint
}

export class Ring implements HashTable {
  private readonly endpoints: readonly Endpoint[]
  /** Of each point, in the order of their hashes: halves of the hash, and whose it is. */
  private readonly highs: Uint32Array
  private readonly lows: Uint32Array
  private readonly owners: Uint32Array

  /** `weights`: of each endpoint, of any scale. */
  constructor(endpoints: readonly Endpoint[], weights: readonly number[], smallest: number) {
    this.endpoints = endpoints
    const { owners, points } = placePoints(endpoints, weights, smallest)
    const order = new Uint32Array(points.length / 2).map((_, i) => i)
    order.sort((a, b) => points[2 * a]! - points[2 * b]! || points[2 * a + 1]! - points[2 * b + 1]!)
    this.highs = order.map((i) => points[2 * i]!)
    this.lows = order.map((i) => points[2 * i + 1]!)
    this.owners = order.map((i) => owners[i]!)
  }

  get size(): number {
    return this.owners.length
  }

  at(slot: number): Endpoint {
    return this.endpoints[this.owners[slot]!]!
  }

  slotOf({ high, low }: Hash64): number {
    const { highs, lows } = this
    let from = 0
    let to = highs.length
    while (from < to) {
      const middle = (from + to) >> 1
      const there = highs[middle]!
      if (there < high || (there === high && lows[middle]! < low)) from = middle + 1
      else to = middle
    }
    return from === highs.length ? 0 : from
  }
}

/** So many points for the lightest that the ring has its size; the others in proportion. */
function placePoints(
  endpoints: readonly Endpoint[],
  weights: readonly number[],
  smallest: number,
): { readonly owners: readonly number[]; readonly points: readonly number[] } {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const least = weights.reduce((low, weight) => Math.min(low, weight), total) / total
  const scale = Math.min(Math.ceil(least * smallest) / least, largestRing)
  const owners: number[] = []
  const points: number[] = []
  const hash = new Hash64()
  let wanted = 0
  for (const [owner, { text }] of endpoints.entries()) {
    wanted += (scale * weights[owner]!) / total
    for (let i = 0; owners.length < wanted; i++) {
      xxHash64(`${text}_${i}`, hash)
      owners.push(owner)
      points.push(hash.high, hash.low)
    }
  }
  return { owners, points }
}
