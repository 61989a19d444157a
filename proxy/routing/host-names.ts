/**
 * The names of a table's virtual hosts, by what they lead to. Made once for a list of hosts, shared with
 * later lists that have the same names, and otherwise made of the former ones: ten thousand hosts take
 * twenty milliseconds, in which a thread serves nobody. Hot: bench/micro/routing.bench.ts.
 */
import type { VirtualHostSpec } from '../../config/snapshot.ts'

type Hosts = readonly VirtualHostSpec[]

const made = new WeakMap<Hosts, HostNames>()

export function namesOf(hosts: Hosts): HostNames {
  let names = made.get(hosts)
  if (names === undefined) {
    names = HostNames.of(hosts)
    made.set(hosts, names)
  }
  return names
}

/** Makes the names of `hosts` of those of the former list, where that is less work than to begin anew. */
export function keepNames(hosts: Hosts, former: Hosts): void {
  const names = made.get(former)?.after(hosts, former)
  if (names !== undefined) made.set(hosts, names)
}

/** More changed hosts than this, since the names were made, are another list. */
const mostChanged = 1_000

/** Names to slots: numbers that hosts keep while others come and go. */
class Names {
  /** How many hosts they are of. */
  readonly count: number
  readonly exact = new Map<string, number>()
  /** By what follows the star. */
  readonly suffixes = new Map<string, number>()
  any = -1
  /** A name was written twice: it belongs to the first host. */
  hasDuplicates = false

  constructor(count: number) {
    this.count = count
  }

  add(domains: readonly string[], slot: number): void {
    for (const domain of domains)
      if (domain === '*') {
        if (this.any < 0) this.any = slot
        else this.hasDuplicates = true
      } else if (domain.startsWith('*')) this.put(this.suffixes, domain.slice(1), slot)
      else this.put(this.exact, domain, slot)
  }

  private put(map: Map<string, number>, name: string, slot: number): void {
    if (map.has(name)) this.hasDuplicates = true
    else map.set(name, slot)
  }
}

export class HostNames {
  /** Where in the list the host of a slot stands; -1: it is gone. */
  readonly positions: Int32Array
  /** Lengths of what may follow a star, longest first. */
  readonly suffixLengths: readonly number[]
  private readonly slots: Int32Array
  /** Of the list that was read in full; shared with those that follow it, and not changed for them. */
  private readonly names: Names
  /** Of hosts that came since. */
  private readonly later: Names | undefined

  static of(hosts: Hosts): HostNames {
    const places = Int32Array.from(hosts, (_, at) => at)
    const names = new Names(hosts.length)
    for (let i = 0; i < hosts.length; i++) names.add(hosts[i]!.domains, i)
    return new HostNames(names, undefined, places, places)
  }

  private constructor(
    names: Names,
    later: Names | undefined,
    positions: Int32Array,
    slots: Int32Array,
  ) {
    this.names = names
    this.later = later
    this.positions = positions
    this.slots = slots
    const lengths = new Set<number>()
    for (const suffix of names.suffixes.keys()) lengths.add(suffix.length)
    for (const suffix of later?.suffixes.keys() ?? []) lengths.add(suffix.length)
    this.suffixLengths = [...lengths].sort((a, b) => b - a)
  }

  /** -1: no host has this name. */
  exact(name: string): number {
    const slot = this.names.exact.get(name)
    if (slot !== undefined && this.positions[slot]! >= 0) return slot
    return this.later === undefined ? -1 : this.alive(this.later.exact.get(name))
  }

  suffix(name: string): number {
    const slot = this.alive(this.names.suffixes.get(name))
    return slot >= 0 || this.later === undefined ? slot : this.alive(this.later.suffixes.get(name))
  }

  /** The host of every name. */
  get any(): number {
    const slot = this.alive(this.names.any)
    return slot >= 0 ? slot : this.alive(this.later?.any)
  }

  private alive(slot: number | undefined): number {
    return slot !== undefined && slot >= 0 && this.positions[slot]! >= 0 ? slot : -1
  }

  /** Undefined: begin anew. */
  after(hosts: Hosts, former: Hosts): HostNames | undefined {
    const begin = sameFrom(hosts, former)
    const end = sameUpTo(hosts, former, begin)
    const added = hosts.length - begin - end
    const gone = former.length - begin - end
    if (added === 0 && gone === 0) return this
    const slotCount = this.positions.length + added
    if (this.names.hasDuplicates || slotCount - this.names.count > mostChanged) return undefined
    const slots = new Int32Array(hosts.length)
    slots.set(this.slots.subarray(0, begin))
    for (let i = 0; i < added; i++) slots[begin + i] = this.positions.length + i
    slots.set(this.slots.subarray(former.length - end), begin + added)
    const positions = new Int32Array(slotCount).fill(-1)
    for (let i = 0; i < slots.length; i++) positions[slots[i]!] = i
    return this.withLater(hosts, slots, positions)
  }

  /** Undefined: a name belongs to two hosts now, of which the first must have it. */
  private withLater(hosts: Hosts, slots: Int32Array, positions: Int32Array): HostNames | undefined {
    const fresh = hosts.flatMap((host, at) => (slots[at]! < this.names.count ? [] : [{ host, at }]))
    const kept = new HostNames(this.names, undefined, positions, slots)
    const later = new Names(fresh.length)
    for (const { host, at } of fresh) {
      if (host.domains.some((domain) => kept.owns(domain))) return undefined
      later.add(host.domains, slots[at]!)
    }
    return later.hasDuplicates ? undefined : new HostNames(this.names, later, positions, slots)
  }

  private owns(domain: string): boolean {
    if (domain === '*') return this.any >= 0
    return (domain.startsWith('*') ? this.suffix(domain.slice(1)) : this.exact(domain)) >= 0
  }
}

/** How many hosts have the same names from the first on. */
function sameFrom(a: Hosts, b: Hosts): number {
  const most = Math.min(a.length, b.length)
  let count = 0
  while (count < most && haveSameNames(a[count]!, b[count]!)) count++
  return count
}

/** And from the last on, down to `begin`. */
function sameUpTo(a: Hosts, b: Hosts, begin: number): number {
  const most = Math.min(a.length, b.length) - begin
  let count = 0
  while (count < most && haveSameNames(a[a.length - 1 - count]!, b[b.length - 1 - count]!)) count++
  return count
}

function haveSameNames({ domains: a }: VirtualHostSpec, { domains: b }: VirtualHostSpec): boolean {
  return a === b || (a.length === b.length && a.every((domain, at) => domain === b[at]))
}
