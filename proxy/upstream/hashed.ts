/** Consistent hashing: one key, one endpoint, as long as it can be used. Without a key anybody's. */
import type { HashKeySpec } from '../../config/snapshot.ts'
import type { Random } from '../base/random.ts'
import { Hash64, xxHash64 } from '../base/xx-hash.ts'
import type { Endpoint } from './endpoint.ts'
import type { PickRequest, View } from './picker.ts'
import type { HashTable } from './ring-hash.ts'

/** One level of nearness: its table, and the part of all keys that it gets, of 100. */
export interface HashedLevel {
  readonly table: HashTable
  readonly percent: number
}

/** Hot: bench/micro/picker.bench.ts. */
export class Hashed implements View {
  private readonly key: HashKeySpec
  private readonly levels: readonly HashedLevel[]
  private readonly random: Random
  private readonly hash = new Hash64()

  constructor(key: HashKeySpec, levels: readonly HashedLevel[], random: Random) {
    this.key = key
    this.levels = levels
    this.random = random
  }

  pick(request: PickRequest): Endpoint {
    const { hash, levels } = this
    const text = request.hashText?.(this.key)
    if (text !== undefined) xxHash64(text, hash)
    else {
      hash.high = this.random.bits()
      hash.low = this.random.bits()
    }
    const { table } = levels.length === 1 ? levels[0]! : this.levelOf(hash)
    const slot = table.slotOf(hash)
    const endpoint = table.at(slot)
    const { tried } = request
    if (tried.length === 0 || !tried.includes(endpoint)) return endpoint
    return untried(table, slot, tried) ?? this.elsewhere(tried) ?? endpoint
  }

  private levelOf(hash: Hash64): HashedLevel {
    let left = hash.remainder(100) + 1
    for (const level of this.levels) {
      if (left <= level.percent) return level
      left -= level.percent
    }
    return this.levels[0]!
  }

  private elsewhere(tried: readonly Endpoint[]): Endpoint | undefined {
    for (const { table } of this.levels) {
      const endpoint = untried(table, table.slotOf(this.hash), tried)
      if (endpoint !== undefined) return endpoint
    }
    return undefined
  }
}

/** The next one behind `slot`: also the same for every request with the key. */
function untried(table: HashTable, slot: number, tried: readonly Endpoint[]): Endpoint | undefined {
  for (let i = 0; i < table.size; i++) {
    const endpoint = table.at((slot + i) % table.size)
    if (!tried.includes(endpoint)) return endpoint
  }
  return undefined
}
