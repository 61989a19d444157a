/** In turn, by weight, from a random place, so that many proxies do not all begin with the same endpoint. */
import type { Random } from '../base/random.ts'
import { EdfQueue } from './edf.ts'
import type { Endpoint } from './endpoint.ts'
import { allWeighTheSame, type Picker } from './picker.ts'

export function roundRobin(endpoints: readonly Endpoint[], random: Random): Picker {
  return allWeighTheSame(endpoints)
    ? new Rotation(endpoints, random.below(endpoints.length))
    : new WeightedTurns(endpoints, random)
}

class Rotation implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private at: number

  constructor(endpoints: readonly Endpoint[], start: number) {
    this.endpoints = endpoints
    this.at = start
  }

  next(): Endpoint {
    const endpoint = this.endpoints[this.at]!
    this.at = this.at + 1 === this.endpoints.length ? 0 : this.at + 1
    return endpoint
  }
}

class WeightedTurns implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly weights: readonly number[]
  private readonly queue: EdfQueue
  /** Turns after which all had exactly their share: then it starts anew, so no rounding adds up. */
  private readonly round: number
  private turns = 0

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.weights = endpoints.map((endpoint) => endpoint.weight)
    this.queue = new EdfQueue(this.weights)
    const divisor = this.weights.reduce(greatestCommonDivisor)
    this.round = this.weights.reduce((sum, weight) => sum + weight) / divisor
    const skip = random.below(Math.min(this.round, 16 * endpoints.length))
    for (let i = 0; i < skip; i++) this.next()
  }

  next(): Endpoint {
    const entry = this.queue.first()
    this.turns++
    if (this.turns === this.round) {
      this.turns = 0
      this.queue.restart(this.weights)
    } else this.queue.turn(this.weights[entry]!)
    return this.endpoints[entry]!
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
