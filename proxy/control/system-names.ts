/** /etc/hosts and the search rules of /etc/resolv.conf, read again when the files change. */
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** Addresses by lower-case name, in the file's order. */
export type Hosts = ReadonlyMap<string, string[]>

export function readHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = (line.split('#')[0] ?? '').trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const key = name.toLowerCase()
      const addresses = hosts.get(key) ?? []
      if (!addresses.includes(address)) addresses.push(address)
      hosts.set(key, addresses)
    }
  }
  return hosts
}

/** Which full names a name may stand for (resolv.conf(5): search, ndots). */
export class Search {
  private readonly domains: readonly string[]
  private readonly ndots: number

  constructor(domains: readonly string[], ndots: number) {
    this.domains = domains
    this.ndots = ndots
  }

  candidates(name: string): string[] {
    if (name.endsWith('.')) return [name.slice(0, -1)]
    const searched = this.domains.map((domain) => `${name}.${domain}`)
    const dots = name.split('.').length - 1
    return dots >= this.ndots ? [name, ...searched] : [...searched, name]
  }
}

/** The last `search` or `domain` line counts, as in the C library. */
export function readSearch(text: string): Search {
  let domains: string[] = []
  let ndots = 1
  for (const line of text.split('\n')) {
    const [keyword, ...words] = (line.split(/[#;]/)[0] ?? '').trim().split(/\s+/)
    if (keyword === 'search' || keyword === 'domain')
      domains = words.map((word) => word.replace(/\.$/, '')).filter((word) => word !== '')
    if (keyword === 'options')
      for (const word of words) {
        const found = /^ndots:(\d+)$/.exec(word)
        if (found !== null) ndots = Math.min(Number(found[1]), 15)
      }
  }
  return new Search(domains, ndots)
}

/** A small file's meaning, kept until the file changes; a missing file reads as empty. */
export class WatchedText<Meaning> {
  private readonly path: string
  private readonly read: (text: string) => Meaning
  private readonly onChange: () => void
  private stamp = 'never read'
  private meaning: Meaning | undefined

  constructor(
    path: string,
    read: (text: string) => Meaning,
    onChange: () => void = () => undefined,
  ) {
    this.path = path
    this.read = read
    this.onChange = onChange
  }

  value(): Meaning {
    const stamp = this.currentStamp()
    if (this.meaning === undefined || stamp !== this.stamp) {
      this.stamp = stamp
      this.meaning = this.read(this.text())
      this.onChange()
    }
    return this.meaning
  }

  private currentStamp(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.path)
      return `${ino} ${mtimeMs} ${size}`
    } catch {
      return 'absent'
    }
  }

  private text(): string {
    try {
      return readFileSync(this.path, 'utf8')
    } catch {
      return ''
    }
  }
}
