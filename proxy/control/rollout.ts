/** The rollout of snapshots: each worker is sent the change from what it has, or all of it. */
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { Packer } from './packer.ts'
import type { Seat } from './seat.ts'

/** Deaths of linking one snapshot before a replacement gets the last one that could be linked. */
export const poisonedAfter = 2

export class Rollout {
  current: Snapshot | undefined
  /** The last snapshot some worker has linked. */
  proven: Snapshot | undefined
  private readonly packer = new Packer()
  /** Endpoints that changed since the current snapshot: replacements are told too. */
  private readonly answers = new Map<string, readonly EndpointSpec[]>()

  publish(snapshot: Snapshot, seats: readonly Seat[]): void {
    this.current = snapshot
    this.answers.clear()
    const change = this.packer.change(snapshot)
    for (const seat of seats) {
      seat.linkDeaths = 0
      if (seat.state !== 'starting' && seat.state !== 'serving') continue
      if (seat.offered === change.base) seat.post({ type: 'snapshot', change })
      else this.whole(seat)
    }
  }

  endpoints(set: string, endpoints: readonly EndpointSpec[], seats: readonly Seat[]): void {
    this.answers.set(set, endpoints)
    for (const seat of seats) seat.post({ type: 'endpoints', set, endpoints })
  }

  /** The newest of a set. */
  endpointsOf(set: string): readonly EndpointSpec[] {
    return this.answers.get(set) ?? this.current?.endpointSets.get(set) ?? []
  }

  /** A snapshot that kills its linkers would leave nobody serving: then the last good one stays. */
  whole(seat: Seat): void {
    const { current, proven } = this
    const poisoned = seat.linkDeaths >= poisonedAfter && proven !== current
    const change =
      poisoned && proven !== undefined ? new Packer().change(proven) : this.packer.whole()
    if (change === undefined) return
    seat.post({ type: 'snapshot', change })
    for (const [set, endpoints] of this.answers) seat.post({ type: 'endpoints', set, endpoints })
  }

  linked(version: string): void {
    if (version === this.current?.version) this.proven = this.current
  }
}
