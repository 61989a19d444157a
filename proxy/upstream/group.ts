/** Equally near endpoints under one policy; a request that was tried before gets another one. */
import type { Random } from '../base/random.ts'
import type { Endpoint } from './endpoint.ts'
import type { Picker, PickRequest, View } from './picker.ts'

/** Picks that avoid tried endpoints by chance, before all are looked at. */
const rePicks = 5

/** Hot: bench/micro/picker.bench.ts. */
export class Group implements View {
  readonly endpoints: readonly Endpoint[]
  private readonly picker: Picker
  private readonly random: Random

  constructor(endpoints: readonly Endpoint[], picker: Picker, random: Random) {
    this.endpoints = endpoints
    this.picker = picker
    this.random = random
  }

  pick({ tried }: PickRequest): Endpoint {
    const endpoint = this.picker.next()
    if (tried.length === 0 || !tried.includes(endpoint)) return endpoint
    return this.untried(tried) ?? endpoint
  }

  /** Undefined: all were tried. */
  untried(tried: readonly Endpoint[]): Endpoint | undefined {
    for (let i = 1; i < rePicks; i++) {
      const endpoint = this.picker.next()
      if (!tried.includes(endpoint)) return endpoint
    }
    const { endpoints } = this
    const start = this.random.below(endpoints.length)
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(start + i) % endpoints.length]!
      if (!tried.includes(endpoint)) return endpoint
    }
    return undefined
  }
}

/** Groups that take turns by their shares: levels of nearness that spill over, localities with shares. */
export class Groups implements View {
  private readonly groups: readonly Group[]
  private readonly turns: { next(): number }

  /** `turns` gives the number of a group. */
  constructor(groups: readonly Group[], turns: { next(): number }) {
    this.groups = groups
    this.turns = turns
  }

  pick(request: PickRequest): Endpoint {
    const { tried } = request
    const own = this.groups[this.turns.next()]!
    const endpoint = own.pick(request)
    if (tried.length === 0 || !tried.includes(endpoint)) return endpoint
    for (const group of this.groups) {
      const other = group.untried(tried)
      if (other !== undefined) return other
    }
    return endpoint
  }
}
