/** Slow start: an endpoint that has just come into service gets a small share that grows. */
import type { WarmupSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { EdfQueue } from './edf.ts'
import type { Endpoint } from './endpoint.ts'
import type { Picker } from './picker.ts'

/** When each endpoint came into service, and what share of its weight it has now. */
export class Warmth {
  private readonly spec: WarmupSpec
  private readonly clock: Clock
  /** Of those in service. Warm from the start: -Infinity. */
  private readonly since = new Map<Endpoint, number>()
  private begun = false

  constructor(spec: WarmupSpec, clock: Clock) {
    this.spec = spec
    this.clock = clock
  }

  /** Told whenever it may have changed who is in service. Nobody knows the age of the first ones: warm. */
  inService(endpoints: readonly Endpoint[]): void {
    const since = this.begun ? this.clock.now : Number.NEGATIVE_INFINITY
    const before = new Map(this.since)
    this.since.clear()
    for (const endpoint of endpoints) this.since.set(endpoint, before.get(endpoint) ?? since)
    this.begun = true
  }

  /** Until the last one is warm; 0: all are. */
  get leftMs(): number {
    let latest = Number.NEGATIVE_INFINITY
    for (const since of this.since.values()) latest = Math.max(latest, since)
    return Math.max(0, latest + this.spec.durationMs - this.clock.now)
  }

  /** Above 0, at most 1. */
  of(endpoint: Endpoint): number {
    const { aggression, durationMs, minimumPercent } = this.spec
    const elapsed = this.clock.now - (this.since.get(endpoint) ?? Number.NEGATIVE_INFINITY)
    if (elapsed >= durationMs) return 1
    const grown = (Math.max(elapsed, 1) / durationMs) ** (1 / aggression)
    return Math.max(minimumPercent / 100, grown)
  }
}

/** Turns by a weight that is asked for anew each time. */
export class ChangingTurns implements Picker {
  private readonly endpoints: readonly Endpoint[]
  private readonly queue: EdfQueue
  private readonly weigh: (endpoint: Endpoint) => number

  constructor(
    endpoints: readonly Endpoint[],
    random: Random,
    weigh: (endpoint: Endpoint) => number,
  ) {
    this.endpoints = endpoints
    this.weigh = weigh
    this.queue = new EdfQueue(endpoints.map(weigh))
    const skip = random.below(16 * endpoints.length)
    for (let i = 0; i < skip; i++) this.queue.turn(weigh(endpoints[this.queue.first()]!))
  }

  next(): Endpoint {
    const endpoint = this.endpoints[this.queue.first()]!
    this.queue.turn(this.weigh(endpoint))
    return endpoint
  }
}
