/**
 * The faster of two: the reply time times the requests that run. A failure counts as very slow, so that
 * an endpoint that fails fast attracts nothing.
 */
import type { Random } from '../base/random.ts'
import type { Endpoint } from './endpoint.ts'
import { allWeighTheSame, type Picker } from './picker.ts'
import { randomChoice } from './random-choice.ts'
import { unknownMs } from './reply-time.ts'

/** Hot: bench/micro/picker.bench.ts. */
export class FasterOfTwo implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly random: Random
  /** Undefined: all weigh the same. */
  private readonly weighted: Picker | undefined

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints
    this.random = random
    this.weighted = allWeighTheSame(endpoints) ? undefined : randomChoice(endpoints, random)
  }

  next(): Endpoint {
    const { endpoints, random, weighted } = this
    const { length } = endpoints
    if (length === 1) return endpoints[0]!
    if (weighted !== undefined) return faster(weighted.next(), weighted.next())
    const first = random.below(length)
    const step = 1 + random.below(length - 1)
    return faster(endpoints[first]!, endpoints[(first + step) % length]!)
  }
}

function faster(a: Endpoint, b: Endpoint): Endpoint {
  return cost(b) < cost(a) ? b : a
}

function cost({ counts, replyTime }: Endpoint): number {
  return (replyTime?.ms ?? unknownMs) * (counts.active + 1)
}
