/** The weighted choice among a rule's destinations, drawn once per request; retries keep it. Hot. */
import type { Random } from '../base/random.ts'

export interface Weighted {
  readonly weight: number
}

export class TrafficSplit<Choice> {
  /** At least one. */
  readonly choices: readonly Choice[]
  /** Upper bound of each choice's share, rising. */
  private readonly bounds: readonly number[]
  private readonly total: number

  /** Weights are relative; when all are 0 the shares are equal. */
  constructor(weights: readonly Weighted[], choices: readonly Choice[]) {
    this.choices = choices
    const sum = weights.reduce((total, each) => total + each.weight, 0)
    let bound = 0
    this.bounds = weights.map((each) => {
      bound += sum === 0 ? 1 : each.weight
      return bound
    })
    this.total = bound
  }

  pick(random: Random): Choice {
    const choices = this.choices
    if (choices.length === 1) return choices[0]!
    const drawn = random.below(this.total)
    let i = 0
    while (drawn >= this.bounds[i]!) i++
    return choices[i]!
  }
}
