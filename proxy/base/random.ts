/** Seedable generator (xoshiro128**, seeded by a 32-bit mixer) for balancing, jitter, sampling and faults. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number = (Math.random() * 0x1_0000_0000) >>> 0) {
    let state = seed >>> 0
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return (z ^ (z >>> 16)) >>> 0
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1
  }

  /** 32 random bits (xoshiro128** step). */
  bits(): number {
    const s1 = this.b
    const scrambled = Math.imul(s1, 5)
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0
    const t = s1 << 9
    this.c ^= this.a
    this.d ^= s1
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= t
    this.d = (this.d << 11) | (this.d >>> 21)
    return result
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.bits() / 0x1_0000_0000
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }
}
