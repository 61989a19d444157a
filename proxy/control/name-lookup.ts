/**
 * One name to addresses, as people expect it on Linux: /etc/hosts, then the name servers and search
 * domains of /etc/resolv.conf with the answers' time to live, then whatever else the system knows.
 */

import * as dns from 'node:dns/promises'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Hosts, readHosts, readSearch, type Search, WatchedText } from './system-names.ts'

export type Family = 4 | 6

export type LookupResult =
  /** `ttlMs` undefined: the source has no time to live. */
  | { readonly kind: 'found'; readonly addresses: string[]; readonly ttlMs: number | undefined }
  /** Every source was asked and none knows the name. */
  | { readonly kind: 'none'; readonly error: string }
  /** Nobody could be asked: says nothing about the name. */
  | { readonly kind: 'failed'; readonly error: string }

export interface NameLookup {
  resolve(name: string, families: readonly Family[]): Promise<LookupResult>
}

export interface SystemLookupOptions {
  readonly hostsFile?: string
  readonly resolvConf?: string
  /** `address:port`; default: those of /etc/resolv.conf. */
  readonly servers?: readonly string[]
  readonly timeoutMs?: number
  /** The system's own lookup, asked last. */
  readonly system?: (name: string, families: readonly Family[]) => Promise<string[]>
}

/** c-ares' codes for "there is no such name" and "there is no address of that family". */
const noneCodes = new Set(['ENOTFOUND', 'ENODATA'])

export class SystemLookup implements NameLookup {
  private readonly hosts: WatchedText<Hosts>
  private readonly search: WatchedText<Search>
  private readonly servers: readonly string[] | undefined
  private readonly timeoutMs: number
  private readonly system: (name: string, families: readonly Family[]) => Promise<string[]>
  private resolver: dns.Resolver | undefined

  constructor(options: SystemLookupOptions = {}) {
    this.hosts = new WatchedText(options.hostsFile ?? '/etc/hosts', readHosts)
    this.search = new WatchedText(options.resolvConf ?? '/etc/resolv.conf', readSearch, () => {
      this.resolver = undefined
    })
    this.servers = options.servers
    this.timeoutMs = options.timeoutMs ?? 2_000
    this.system = options.system ?? systemLookup
  }

  async resolve(name: string, families: readonly Family[]): Promise<LookupResult> {
    const bare = name.replace(/\.$/, '').toLowerCase()
    const written = (this.hosts.value().get(bare) ?? []).filter((address) =>
      families.includes(isIP(address) as Family),
    )
    if (written.length > 0) return { kind: 'found', addresses: written, ttlMs: undefined }
    const search = this.search.value()
    const resolver = this.currentResolver()
    let failed: LookupResult | undefined
    for (const candidate of search.candidates(name)) {
      const result = await ask(resolver, candidate, families)
      if (result.kind === 'found') return result
      if (result.kind === 'failed') failed = result
    }
    if (failed !== undefined) return failed
    const known = await this.system(bare, families)
    if (known.length > 0) return { kind: 'found', addresses: known, ttlMs: undefined }
    return { kind: 'none', error: `no address is known for ${name}` }
  }

  /** A new one when /etc/resolv.conf has changed. */
  private currentResolver(): dns.Resolver {
    if (this.resolver === undefined) {
      this.resolver = new dns.Resolver({ timeout: this.timeoutMs, tries: 2 })
      if (this.servers !== undefined) this.resolver.setServers([...this.servers])
    }
    return this.resolver
  }
}

/** Addresses of all asked families; one family's answer is enough. */
async function ask(
  resolver: dns.Resolver,
  name: string,
  families: readonly Family[],
): Promise<LookupResult> {
  const results = await Promise.all(families.map((family) => askFamily(resolver, name, family)))
  const addresses: string[] = []
  let ttlMs = Number.POSITIVE_INFINITY
  for (const result of results) {
    if (result.kind !== 'found') continue
    addresses.push(...result.addresses)
    ttlMs = Math.min(ttlMs, result.ttlMs ?? ttlMs)
  }
  if (addresses.length > 0) return { kind: 'found', addresses, ttlMs }
  const failed = results.find(({ kind }) => kind === 'failed')
  return failed ?? results[0] ?? { kind: 'none', error: `no address family to ask for ${name}` }
}

async function askFamily(
  resolver: dns.Resolver,
  name: string,
  family: Family,
): Promise<LookupResult> {
  try {
    const records =
      family === 4
        ? await resolver.resolve4(name, { ttl: true })
        : await resolver.resolve6(name, { ttl: true })
    // c-ares gives each record the smallest time to live of its chain of aliases.
    const ttl = Math.min(...records.map((record) => record.ttl))
    return { kind: 'found', addresses: records.map(({ address }) => address), ttlMs: ttl * 1_000 }
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    const kind = noneCodes.has(code) ? 'none' : 'failed'
    return { kind, error: `${code} asking for ${name}` }
  }
}

/** The C library's lookup also knows mDNS, containers' names and what else nsswitch.conf lists. */
async function systemLookup(name: string, families: readonly Family[]): Promise<string[]> {
  try {
    const family = families.length === 1 ? (families[0] ?? 0) : 0
    return (await lookup(name, { all: true, family })).map(({ address }) => address)
  } catch {
    return []
  }
}
