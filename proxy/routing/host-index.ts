/**
 * Which virtual host an authority belongs to: exact name, longest wildcard, `*` (Envoy virtual host
 * matching, ports ignored). Built as one map over all names; hosts are linked when first asked for.
 * Hot: bench/micro/routing.bench.ts.
 */
import type { VirtualHostSpec } from '../../config/snapshot.ts'

/** Spellings (ports, capitals) remembered per table before the memory starts afresh. */
const spellingLimit = 1024

export class HostIndex<VirtualHost> {
  private readonly specs: readonly VirtualHostSpec[]
  private readonly link: (spec: VirtualHostSpec) => VirtualHost
  private readonly live: Array<VirtualHost | undefined> = []
  private readonly exact = new Map<string, number>()
  /** By what follows the star. */
  private readonly suffixes = new Map<string, number>()
  /** Lengths that occur in `suffixes`, longest first. */
  private readonly suffixLengths: readonly number[]
  private any = -1
  /** Authorities as sent that had to be normalised before they were found. */
  private readonly spellings = new Map<string, number>()

  /** A domain named twice belongs to the first host that names it. */
  constructor(specs: readonly VirtualHostSpec[], link: (spec: VirtualHostSpec) => VirtualHost) {
    this.specs = specs
    this.link = link
    for (let i = 0; i < specs.length; i++)
      for (const domain of specs[i]!.domains) this.add(domain, i)
    const lengths = new Set<number>()
    for (const suffix of this.suffixes.keys()) lengths.add(suffix.length)
    this.suffixLengths = [...lengths].sort((a, b) => b - a)
  }

  /** `authority` as sent: any case, with or without port; undefined when no host answers for it. */
  find(authority: string): VirtualHost | undefined {
    const at = this.position(authority)
    if (at < 0) return undefined
    const live = this.live[at]
    if (live !== undefined) return live
    const linked = this.link(this.specs[at]!)
    this.live[at] = linked
    return linked
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

  private position(authority: string): number {
    const plain = this.exact.get(authority)
    if (plain !== undefined) return plain
    const known = this.spellings.get(authority)
    if (known !== undefined) return known
    const host = hostOf(authority)
    const exact = this.exact.get(host)
    if (exact === undefined) return this.bySuffix(host)
    if (this.spellings.size >= spellingLimit) this.spellings.clear()
    this.spellings.set(authority, exact)
    return exact
  }

  private bySuffix(host: string): number {
    const lengths = this.suffixLengths
    for (let i = 0; i < lengths.length; i++) {
      // The star stands for at least one character.
      const start = host.length - lengths[i]!
      if (start <= 0) continue
      const at = this.suffixes.get(host.slice(start))
      if (at !== undefined) return at
    }
    return this.any
  }
}

/** The host of an authority, lower case, without port; IPv6 keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  const bracket = authority.lastIndexOf(']')
  const host = colon > bracket ? authority.slice(0, colon) : authority
  return host.toLowerCase()
}
