/**
 * The less busy of two chosen at random; with different weights, turns in proportion to weight over
 * load. Busy means what this thread sees.
 */
import type { Random } from '../base/random.ts'
import { EdfQueue } from './edf.ts'
import type { Endpoint } from './endpoint.ts'
import { allWeighTheSame, type Picker } from './picker.ts'

export function leastRequest(endpoints: readonly Endpoint[], random: Random): Picker {
  return allWeighTheSame(endpoints)
    ? new LessBusyOfTwo(endpoints, random)
    : new WeightedByLoad(endpoints, random)
}

class LessBusyOfTwo implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly random: Random

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.random = random
  }

  next(): Endpoint {
    const endpoints = this.endpoints
    const first = endpoints[this.random.below(endpoints.length)]!
    const second = endpoints[this.random.below(endpoints.length)]!
    return second.counts.active < first.counts.active ? second : first
  }
}

class WeightedByLoad implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly queue: EdfQueue

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.queue = new EdfQueue(endpoints.map((endpoint) => endpoint.weight))
    const skip = random.below(16 * endpoints.length)
    for (let i = 0; i < skip; i++) this.queue.turn(endpoints[this.queue.first()]!.weight)
  }

  next(): Endpoint {
    const endpoint = this.endpoints[this.queue.first()]!
    this.queue.turn(endpoint.weight / (endpoint.counts.active + 1))
    return endpoint
  }
}
