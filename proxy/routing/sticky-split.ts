/**
 * The weighted choice that a text makes, always the same: each destination draws a number from the
 * text, weighed by its share, and the least wins (weighted rendezvous). When shares change, only those
 * texts move that must: from 5 % to 10 % the extra 5 %, and nobody else.
 */
import { Hash64, xxHash64 } from '../base/xx-hash.ts'

interface Seed {
  readonly high: number
  readonly low: number
  readonly weight: number
}

export class StickySplit {
  private readonly seeds: readonly Seed[]
  private readonly hash = new Hash64()

  /** `names` tell destinations apart whatever their order; equal ones are told apart by their number. */
  constructor(names: readonly string[], weights: ReadonlyArray<{ readonly weight: number }>) {
    const seen = new Map<string, number>()
    const equal = weights.every(({ weight }) => weight === 0)
    this.seeds = names.map((name, index) => {
      const number = seen.get(name) ?? 0
      seen.set(name, number + 1)
      xxHash64(`${name} ${number}`, this.hash)
      const { high, low } = this.hash
      return { high, low, weight: equal ? 1 : weights[index]!.weight }
    })
  }

  /** Which destination the text chooses. */
  index(text: string): number {
    const { hash, seeds } = this
    xxHash64(text, hash)
    let best = 0
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < seeds.length; i++) {
      const { high, low, weight } = seeds[i]!
      const drawn = -Math.log(fraction(hash.high ^ high, hash.low ^ low)) / weight
      if (drawn < least) {
        least = drawn
        best = i
      }
    }
    return best
  }
}

/** Between 0 and 1, neither of them. */
function fraction(high: number, low: number): number {
  const a = mixed(high)
  const b = mixed(low ^ a)
  return (a * 0x20_0000 + (b >>> 11) + 0.5) / 2 ** 53
}

/** MurmurHash3's last step: every bit depends on every bit. */
function mixed(bits: number): number {
  let h = bits
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
