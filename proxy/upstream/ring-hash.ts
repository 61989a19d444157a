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
    const { highs, lows, owners } = placePoints(endpoints, weights, smallest)
    const order = inOrder(highs, lows)
    this.highs = order.map((i) => highs[i]!)
    this.lows = order.map((i) => lows[i]!)
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

/** Points in no order yet. */
interface Points {
  readonly highs: Uint32Array
  readonly lows: Uint32Array
  readonly owners: Uint32Array
}

/** So many points for the lightest that the ring has its size; the others in proportion. */
function placePoints(
  endpoints: readonly Endpoint[],
  weights: readonly number[],
  smallest: number,
): Points {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const least = weights.reduce((low, weight) => Math.min(low, weight), total) / total
  const scale = Math.min(Math.ceil(least * smallest) / least, largestRing)
  const room = Math.ceil(scale) + endpoints.length
  const [highs, lows, owners] = [0, 1, 2].map(() => new Uint32Array(room)) as Uint32Array[]
  const hash = new Hash64()
  let wanted = 0
  let count = 0
  for (const [owner, { text }] of endpoints.entries()) {
    wanted += (scale * weights[owner]!) / total
    for (let i = 0; count < wanted; i++) {
      xxHash64(`${text}_${i}`, hash)
      highs![count] = hash.high
      lows![count] = hash.low
      owners![count] = owner
      count++
    }
  }
  return {
    highs: highs!.subarray(0, count),
    lows: lows!.subarray(0, count),
    owners: owners!.subarray(0, count),
  }
}

const digit = 0x7ff

/** Their indices, sorted by digits: comparing takes twenty times as long, and requests wait for it. */
function inOrder(highs: Uint32Array, lows: Uint32Array): Uint32Array {
  let order: Uint32Array = highs.map((_, i) => i)
  for (const shift of [0, 11, 22]) order = sortedBy(highs, shift, order)
  for (let at = 1; at < order.length; at++) settle(order, at, highs, lows)
  return order
}

/** Stable: what earlier digits decided stays where this one does not. */
function sortedBy(highs: Uint32Array, shift: number, order: Uint32Array): Uint32Array {
  const starts = new Uint32Array(digit + 2)
  for (const high of highs) starts[((high >>> shift) & digit) + 1]!++
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!
  const sorted = new Uint32Array(order.length)
  for (const i of order) sorted[starts[(highs[i]! >>> shift) & digit]!++] = i
  return sorted
}

/** Few share the high half: the low one puts them in order. */
function settle(order: Uint32Array, from: number, highs: Uint32Array, lows: Uint32Array): void {
  const moved = order[from]!
  let at = from
  for (; at > 0; at--) {
    const before = order[at - 1]!
    if (highs[before] !== highs[moved] || lows[before]! <= lows[moved]!) break
    order[at] = before
  }
  order[at] = moved
}
