/**
 * The names of a table's virtual hosts, by what they lead to. Made once for a list of hosts, and shared
 * with later lists that have the same names: ten thousand hosts take milliseconds.
 * Hot: bench/micro/routing.bench.ts.
 */
import type { VirtualHostSpec } from '../../config/snapshot.ts'

type Hosts = readonly VirtualHostSpec[]

const made = new WeakMap<Hosts, HostNames>()

export function namesOf(hosts: Hosts): HostNames {
  let names = made.get(hosts)
  if (names === undefined) {
    names = new HostNames(hosts)
    made.set(hosts, names)
  }
  return names
}

/** The names of the former list serve this one too, where they are the same in the same order. */
export function keepNames(hosts: Hosts, former: Hosts): void {
  const names = made.get(former)
  if (names !== undefined && haveSameNames(hosts, former)) made.set(hosts, names)
}

function haveSameNames(a: Hosts, b: Hosts): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const [left, right] = [a[i]!.domains, b[i]!.domains]
    if (left === right) continue
    if (left.length !== right.length || left.some((domain, at) => domain !== right[at]))
      return false
  }
  return true
}

export class HostNames {
  /** Positions in the list of hosts. */
  readonly exact = new Map<string, number>()
  /** By what follows the star. */
  readonly suffixes = new Map<string, number>()
  /** Lengths that occur in `suffixes`, longest first. */
  readonly suffixLengths: readonly number[]
  any = -1

  /** A domain named twice belongs to the first host that names it. */
  constructor(hosts: Hosts) {
    for (let i = 0; i < hosts.length; i++)
      for (const domain of hosts[i]!.domains) this.add(domain, i)
    const lengths = new Set<number>()
    for (const suffix of this.suffixes.keys()) lengths.add(suffix.length)
    this.suffixLengths = [...lengths].sort((a, b) => b - a)
  }

  private add(domain: string, at: number): void {
    if (domain === '*') {
      if (this.any < 0) this.any = at
      return
    }
    const wildcard = domain.startsWith('*')
    const map = wildcard ? this.suffixes : this.exact
    const key = wildcard ? domain.slice(1) : domain
    if (!map.has(key)) map.set(key, at)
  }
}
