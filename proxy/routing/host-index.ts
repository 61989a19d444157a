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
  private readonly live: Array<VirtualHost | undefined> = []
  private readonly names: HostNames
  private readonly exact: ReadonlyMap<string, number>
  /** Authorities as sent that had to be normalised before they were found. */
  private readonly spellings = new Map<string, number>()

  constructor(specs: readonly VirtualHostSpec[], link: (spec: VirtualHostSpec) => VirtualHost) {
    this.specs = specs
    this.link = link
    this.names = namesOf(specs)
    this.exact = this.names.exact
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
    const { any, suffixes, suffixLengths: lengths } = this.names
    for (let i = 0; i < lengths.length; i++) {
      // The star stands for at least one character.
      const start = host.length - lengths[i]!
      if (start <= 0) continue
      const at = suffixes.get(host.slice(start))
      if (at !== undefined) return at
    }
    return any
  }
}

/** The host of an authority, lower case, without port; IPv6 keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  const bracket = authority.lastIndexOf(']')
  const host = colon > bracket ? authority.slice(0, colon) : authority
  return host.toLowerCase()
}
