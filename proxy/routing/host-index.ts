/**
 * Which virtual host an authority belongs to: exact name, longest wildcard, `*` (Envoy virtual host
 * matching, ports ignored). Hosts are linked when first asked for.
 * Hot: bench/micro/routing.bench.ts.
 */
import type { VirtualHostSpec } from '../../config/snapshot.ts'
import { type HostNames, namesOf } from './host-names.ts'

/** Spellings (ports, capitals) remembered per table before the memory starts afresh. */
const spellingLimit = 1024

export class HostIndex<VirtualHost> {
  private readonly specs: readonly VirtualHostSpec[]
  private readonly link: (spec: VirtualHostSpec) => VirtualHost
  /** By slot. Made in full: one entry far up in an empty array would turn it into a table of hashes. */
  private readonly live: Array<VirtualHost | undefined>
  private readonly names: HostNames
  /** Authorities as sent that had to be normalised before they were found. */
  private readonly spellings = new Map<string, number>()

  constructor(specs: readonly VirtualHostSpec[], link: (spec: VirtualHostSpec) => VirtualHost) {
    this.specs = specs
    this.link = link
    this.names = namesOf(specs)
    this.live = new Array(this.names.positions.length)
  }

  /** `authority` as sent: any case, with or without port; undefined when no host answers for it. */
  find(authority: string): VirtualHost | undefined {
    const slot = this.slotOf(authority)
    if (slot < 0) return undefined
    const live = this.live[slot]
    if (live !== undefined) return live
    const linked = this.link(this.specs[this.names.positions[slot]!]!)
    this.live[slot] = linked
    return linked
  }

  private slotOf(authority: string): number {
    const plain = this.names.exact(authority)
    if (plain >= 0) return plain
    const known = this.spellings.get(authority)
    if (known !== undefined) return known
    const host = hostOf(authority)
    const exact = this.names.exact(host)
    if (exact < 0) return this.bySuffix(host)
    if (this.spellings.size >= spellingLimit) this.spellings.clear()
    this.spellings.set(authority, exact)
    return exact
  }

  private bySuffix(host: string): number {
    const { names } = this
    const lengths = names.suffixLengths
    for (let i = 0; i < lengths.length; i++) {
      // The star stands for at least one character.
      const start = host.length - lengths[i]!
      if (start <= 0) continue
      const slot = names.suffix(host.slice(start))
      if (slot >= 0) return slot
    }
    return names.any
  }
}

/** The host of an authority, lower case, without port; IPv6 keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  const bracket = authority.lastIndexOf(']')
  const host = colon > bracket ? authority.slice(0, colon) : authority
  return host.toLowerCase()
}
