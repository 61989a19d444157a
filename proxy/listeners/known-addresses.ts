/** Which addresses are those of known endpoints: asked about destinations that no listener stands for. */
import type { EndpointSpec } from '../../config/snapshot.ts'

type EndpointSets = ReadonlyMap<string, readonly EndpointSpec[]>

/** Sets that are still text: looked through in milliseconds where making objects of all takes a hundred. */
export interface Unread {
  /** True when the JSON of a part has this text. */
  mentions(text: string): boolean
}

/** Answers remembered before the memory starts afresh. */
const answerLimit = 1024

export class KnownAddresses {
  private readonly sets: EndpointSets & Partial<Unread>
  private readonly answers = new Map<string, boolean>()

  constructor(sets: EndpointSets) {
    this.sets = sets
  }

  has(address: string): boolean {
    const known = this.answers.get(address)
    if (known !== undefined) return known
    const answer =
      this.sets.mentions?.(`"address":${JSON.stringify(address)}`) ?? this.among(address)
    if (this.answers.size >= answerLimit) this.answers.clear()
    this.answers.set(address, answer)
    return answer
  }

  private among(address: string): boolean {
    for (const endpoints of this.sets.values())
      for (const endpoint of endpoints) if (endpoint.address === address) return true
    return false
  }
}
