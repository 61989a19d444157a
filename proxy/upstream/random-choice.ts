/** Each time any endpoint, in proportion to weight. */
import type { Random } from '../base/random.ts'
import type { Endpoint } from './endpoint.ts'
import { allWeighTheSame, type Picker } from './picker.ts'

export function randomChoice(endpoints: readonly Endpoint[], random: Random): Picker {
  return allWeighTheSame(endpoints)
    ? new Uniform(endpoints, random)
    : new Weighted(endpoints, random)
}

class Uniform implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly random: Random

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.random = random
  }

  next(): Endpoint {
    return this.endpoints[this.random.below(this.endpoints.length)]!
  }
}

class Weighted implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly random: Random
  /** Sum of the weights up to and with each endpoint. */
  private readonly sums: Float64Array

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.random = random
    this.sums = new Float64Array(endpoints.length)
    let sum = 0
    for (let i = 0; i < endpoints.length; i++) {
      sum += endpoints[i]!.weight
      this.sums[i] = sum
    }
  }

  next(): Endpoint {
    const at = this.random.fraction() * this.sums[this.sums.length - 1]!
    let low = 0
    let high = this.sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (at < this.sums[middle]!) high = middle
      else low = middle + 1
    }
    return this.endpoints[low]!
  }
}
