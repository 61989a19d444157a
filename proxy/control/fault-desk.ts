/**
 * Faults that people ask for while the proxy runs (`POST /faults`, `outrider inject`): each for one
 * service and for a limited time, so that nobody has to remember to take it back.
 */
import { placed, readPlacement, readSeed } from '../../config/compile-faults.ts'
import { resolveHost } from '../../config/compile-names.ts'
import { didYouMean } from '../../config/diagnostics.ts'
import { readFaults } from '../../config/fault-text.ts'
import { goDurationMs } from '../../config/schema/formats.ts'
import type { FaultLease, FaultSpec, Snapshot } from '../../config/snapshot.ts'
import type { Log } from './log.ts'

export interface FaultDeskOptions {
  readonly snapshot: () => Snapshot | undefined
  readonly publish: (leases: readonly FaultLease[]) => void
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly wall?: () => number
}

const defaultMs = 60_000
const longestMs = 24 * 3_600_000
const questions = ['host', 'port', 'subset', 'rule', 'fault', 'for', 'seed', 'placement', 'clear']

export class FaultDesk {
  private readonly options: FaultDeskOptions
  private readonly wall: () => number
  private leases: readonly FaultLease[] = []
  private lastId = 0
  private timer: NodeJS.Timeout | undefined

  constructor(options: FaultDeskOptions) {
    this.options = options
    this.wall = options.wall ?? Date.now
  }

  /** Those in force. */
  list(): readonly FaultLease[] {
    this.expire()
    return this.leases
  }

  /** Milliseconds that a lease still has. */
  left({ until }: FaultLease): number {
    return Math.max(0, until - this.wall())
  }

  /** What `query` asks for; a sentence where it cannot be done. */
  add(query: URLSearchParams): FaultLease | string {
    const unknown = [...query.keys()].find((name) => !questions.includes(name))
    if (unknown !== undefined)
      return `there is no parameter ${unknown}: ${didYouMean(unknown, questions)}`
    const lease = this.read(query)
    if (typeof lease === 'string') return lease
    this.expire()
    this.replace([...this.leases, lease])
    const { id, text, host } = lease
    this.options.log.warn(
      { lease: id, host, faults: text, seconds: Math.round(this.left(lease) / 1000) },
      `faults on purpose for ${host}: ${text}`,
    )
    return lease
  }

  /** Ends one, or all; how many there were. */
  clear(id: number | undefined): number {
    this.expire()
    const kept = id === undefined ? [] : this.leases.filter((lease) => lease.id !== id)
    const ended = this.leases.length - kept.length
    if (ended > 0) {
      this.options.log.info({ lease: id }, `${ended} of the faults on purpose were ended`)
      this.replace(kept)
    }
    return ended
  }

  close(): void {
    clearTimeout(this.timer)
  }

  private read(query: URLSearchParams): FaultLease | string {
    const text = query.get('fault') ?? ''
    const written = readFaults(text)
    if (typeof written === 'string') return written
    const host = this.hostOf(query.get('host') ?? '')
    if (typeof host !== 'string') return host.complaint
    const port = query.get('port')
    if (port !== null && !/^\d{1,5}$/.test(port)) return `"${port}" is no port`
    const missing = this.missing(host, port, query.get('subset'), query.get('rule'))
    if (missing !== undefined) return missing
    const ms = query.has('for') ? (goDurationMs(query.get('for')!) ?? 0) : defaultMs
    if (ms <= 0 || ms > longestMs)
      return `"${query.get('for')}" is no time such as 30s or 5m, of at most 24h`
    const seed = query.has('seed') ? readSeed(query.get('seed')!) : undefined
    if (typeof seed === 'string') return seed
    const eachTry = readPlacement(query.get('placement') ?? 'before-retries')
    if (typeof eachTry === 'string') return eachTry
    const id = ++this.lastId
    const name = `lease-${id}`
    const origin = { kind: 'POST /faults', namespace: '', name, file: 'admin', line: 0 }
    const faults = written.map(({ action, share }): FaultSpec => ({ action, share, origin }))
    return {
      id,
      host,
      port: port === null ? undefined : Number(port),
      subset: query.get('subset') ?? undefined,
      route: query.get('rule') ?? undefined,
      faults: placed(faults, eachTry, seed),
      text,
      until: this.wall() + ms,
    }
  }

  /** The full name of a service that this proxy knows. */
  private hostOf(written: string): string | { readonly complaint: string } {
    if (written === '') return { complaint: 'host is missing: name a service, or * for all' }
    const snapshot = this.options.snapshot()
    if (written === '*' || snapshot === undefined) return written
    const { mesh, workload } = snapshot
    const host = resolveHost(written, workload.namespace, mesh.domain)
    const known = new Set([...snapshot.clusters.values()].map(({ service }) => service))
    if (known.has(host)) return host
    const hint = didYouMean(host, [...known])
    return { complaint: `this proxy knows no service ${host}${hint === '' ? '' : `. ${hint}`}` }
  }

  /** A narrowing that nothing here meets would disturb nobody, silently. */
  private missing(
    host: string,
    port: string | null,
    subset: string | null,
    rule: string | null,
  ): string | undefined {
    const snapshot = this.options.snapshot()
    if (snapshot === undefined) return undefined
    const all = [...snapshot.clusters.values()]
    const clusters = host === '*' ? all : all.filter(({ service }) => service === host)
    const complain = (what: string, word: string, known: readonly string[]) => {
      if (known.includes(word)) return undefined
      const hint = didYouMean(word, [...new Set(known)])
      return `${host === '*' ? 'this proxy' : host} has no ${what} ${word}${hint === '' ? '' : `. ${hint}`}`
    }
    const ports = clusters.map((cluster) => String(cluster.port))
    const wrongPort = port === null ? undefined : complain('port', String(Number(port)), ports)
    if (wrongPort !== undefined) return wrongPort
    const subsets = clusters.flatMap((cluster) => (cluster.subset === '' ? [] : [cluster.subset]))
    const wrongSubset = subset === null ? undefined : complain('subset', subset, subsets)
    if (wrongSubset !== undefined || rule === null) return wrongSubset
    const rules = ruleNames(snapshot)
    if (rules.some((name) => name === rule || name.startsWith(`${rule}.`))) return undefined
    const hint = didYouMean(rule, rules)
    return `this proxy has no rule named ${rule}${hint === '' ? '' : `. ${hint}`}`
  }

  private replace(leases: readonly FaultLease[]): void {
    this.leases = leases
    this.options.publish(leases)
    clearTimeout(this.timer)
    const next = Math.min(...leases.map((lease) => this.left(lease)))
    if (leases.length > 0) this.timer = setTimeout(() => this.expire(), next).unref()
  }

  private expire(): void {
    const now = this.wall()
    const kept = this.leases.filter(({ until }) => until > now)
    if (kept.length === this.leases.length) return
    for (const { id, host, text, until } of this.leases)
      if (until <= now) this.options.log.info({ lease: id }, `faults for ${host} are over: ${text}`)
    this.replace(kept)
  }
}

function ruleNames({ outbound }: Snapshot): string[] {
  const names = new Set<string>()
  for (const { http } of outbound.listeners)
    for (const { routes } of http?.virtualHosts ?? [])
      for (const { name } of routes) if (name !== '') names.add(name)
  return [...names]
}
