/**
 * Keeps the addresses of clusters that name hosts (ServiceEntry with resolution DNS): asks again when
 * an answer grows old, keeps the last good answer through failures, and tells whoever follows.
 */
import { isIP } from 'node:net'
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { Random } from '../base/random.ts'
import type { Log } from './log.ts'
import type { Family, LookupResult, NameLookup } from './name-lookup.ts'

export interface ResolverOptions {
  readonly lookup: NameLookup
  readonly log: Log
  /** Endpoints of one set have changed. */
  readonly onEndpoints: (set: string, endpoints: readonly EndpointSpec[]) => void
  /** The last awaited first answer is there. */
  readonly onSettled?: () => void
  readonly leastMs?: number
}

/** One name, for people. */
export interface NameStatus {
  readonly name: string
  readonly addresses: readonly string[]
  /** Milliseconds since 1970 of the last good answer; 0: never. */
  readonly answeredAt: number
  /** Of the last question, or ``. */
  readonly error: string
  readonly nextInMs: number
}

interface Name {
  readonly name: string
  /** MeshConfig.dnsRefreshRate: an answer is never kept longer, whatever its time to live. */
  refreshMs: number
  addresses: readonly string[]
  answeredAt: number
  error: string
  /** Questions in a row without an answer. */
  failures: number
  /** Monotonic ms since when there has been no such name; undefined while there is. */
  goneSince: number | undefined
  asked: boolean
  asking: boolean
  timer: NodeJS.Timeout | undefined
  dueAt: number
}

interface NamedSet {
  /** The first address takes all new connections: its order matters. */
  readonly ordered: boolean
  readonly specs: readonly EndpointSpec[]
  readonly names: ReadonlySet<string>
}

const mostAtOnce = 50
const mostAfterFailureMs = 10_000

export class Resolver {
  private readonly options: ResolverOptions
  private readonly random = new Random()
  private readonly names = new Map<string, Name>()
  private readonly settling = new Set<() => void>()
  private readonly queue: Name[] = []
  private sets: ReadonlyMap<string, NamedSet> = new Map()
  private families: readonly Family[] = [4, 6]
  private running = 0
  private closed = false

  constructor(options: ResolverOptions) {
    this.options = options
  }

  /** Follows the names of this snapshot from now on, and forgets those it does not have. */
  follow(snapshot: Snapshot): void {
    const families = familiesOf(snapshot.workload.addresses)
    const refresh = new Map<string, number>()
    const sets = new Map<string, NamedSet>()
    for (const { discovery, endpointSet, dnsRefreshMs } of snapshot.clusters.values()) {
      if (discovery !== 'strict-dns' && discovery !== 'logical-dns') continue
      const specs = snapshot.endpointSets.get(endpointSet) ?? []
      const names = new Set(specs.map(({ address }) => address).filter(isName))
      const ordered = discovery === 'logical-dns'
      if (names.size > 0) sets.set(endpointSet, { ordered, specs, names })
      for (const name of names)
        refresh.set(name, Math.min(dnsRefreshMs, refresh.get(name) ?? dnsRefreshMs))
    }
    this.sets = sets
    const sameFamilies = families.join() === this.families.join()
    this.families = families
    for (const [name, entry] of this.names) if (!refresh.has(name)) this.forget(entry)
    for (const [name, refreshMs] of refresh) this.add(name, refreshMs, sameFamilies)
  }

  /** The snapshot with every answer known so far in place of the names. */
  withAnswers(snapshot: Snapshot): Snapshot {
    if (this.sets.size === 0) return snapshot
    const endpointSets = new Map(snapshot.endpointSets)
    for (const key of this.sets.keys()) endpointSets.set(key, this.endpointsOf(key))
    return { ...snapshot, endpointSets }
  }

  /** Names that have never been asked to the end. */
  get unsettled(): number {
    let count = 0
    for (const { asked } of this.names.values()) if (!asked) count++
    return count
  }

  /** Resolves when every name was asked once, or after `mostMs`. */
  settled(mostMs: number): Promise<void> {
    if (this.unsettled === 0) return Promise.resolve()
    return new Promise((done) => {
      const late = setTimeout(finish, mostMs)
      const { settling } = this
      function finish(): void {
        clearTimeout(late)
        settling.delete(finish)
        done()
      }
      settling.add(finish)
    })
  }

  status(): NameStatus[] {
    const now = performance.now()
    return [...this.names.values()].map(({ name, addresses, answeredAt, error, dueAt }) => {
      return { name, addresses, answeredAt, error, nextInMs: Math.max(0, dueAt - now) }
    })
  }

  close(): void {
    this.closed = true
    for (const entry of this.names.values()) clearTimeout(entry.timer)
    this.names.clear()
    this.queue.length = 0
    for (const finish of this.settling) finish()
  }

  private add(name: string, refreshMs: number, sameFamilies: boolean): void {
    const known = this.names.get(name)
    if (known !== undefined) {
      known.refreshMs = refreshMs
      if (!sameFamilies) this.ask(known)
      return
    }
    const entry: Name = {
      name,
      refreshMs,
      addresses: [],
      answeredAt: 0,
      error: '',
      failures: 0,
      goneSince: undefined,
      asked: false,
      asking: false,
      timer: undefined,
      dueAt: 0,
    }
    this.names.set(name, entry)
    this.ask(entry)
  }

  private forget(entry: Name): void {
    clearTimeout(entry.timer)
    this.names.delete(entry.name)
    const at = this.queue.indexOf(entry)
    if (at >= 0) this.queue.splice(at, 1)
  }

  private ask(entry: Name): void {
    clearTimeout(entry.timer)
    if (entry.asking) return
    entry.asking = true
    this.queue.push(entry)
    this.work()
  }

  private work(): void {
    while (this.running < mostAtOnce) {
      const entry = this.queue.shift()
      if (entry === undefined) return
      this.running++
      const asked = this.options.lookup.resolve(entry.name, this.families)
      const answered = asked.catch((error): LookupResult => ({ kind: 'failed', error: `${error}` }))
      void answered.then((result) => {
        this.running--
        entry.asking = false
        if (!this.closed && this.names.get(entry.name) === entry) this.take(entry, result)
        this.work()
      })
    }
  }

  private take(entry: Name, result: LookupResult): void {
    const first = !entry.asked
    entry.asked = true
    const waitMs = result.kind === 'found' ? this.found(entry, result) : this.missed(entry, result)
    const jittered = waitMs * (0.95 + this.random.fraction() * 0.1)
    entry.dueAt = performance.now() + jittered
    entry.timer = setTimeout(() => this.ask(entry), jittered)
    entry.timer.unref()
    if (!first || this.unsettled > 0) return
    for (const finish of this.settling) finish()
    this.options.onSettled?.()
  }

  private found(entry: Name, result: LookupResult & { readonly kind: 'found' }): number {
    const { refreshMs } = entry
    if (entry.failures > 0)
      this.options.log.info({ name: entry.name }, `${entry.name} resolves again`)
    entry.failures = 0
    entry.goneSince = undefined
    entry.error = ''
    entry.answeredAt = Date.now()
    this.change(entry, result.addresses)
    const leastMs = this.options.leastMs ?? 1_000
    return Math.min(Math.max(result.ttlMs ?? refreshMs, leastMs), refreshMs)
  }

  /** A failure keeps the last answer for ever; "no such name" keeps it for one refresh time. */
  private missed(entry: Name, result: LookupResult & { readonly kind: 'none' | 'failed' }): number {
    const { name, refreshMs, addresses } = entry
    entry.error = result.error
    if (entry.failures++ === 0) {
      const kept = addresses.length === 0 ? '' : `; the last answer stays: ${addresses.join(' ')}`
      this.options.log.warn({ name }, `${name} cannot be resolved: ${result.error}${kept}`)
    }
    const now = performance.now()
    if (result.kind === 'failed') entry.goneSince = undefined
    else entry.goneSince ??= now
    const gone = entry.goneSince !== undefined && now - entry.goneSince >= refreshMs
    if (gone && addresses.length > 0) {
      this.options.log.warn(
        { name },
        `${name} has been gone for ${refreshMs} ms: its addresses are dropped`,
      )
      this.change(entry, [])
    }
    const leastMs = this.options.leastMs ?? 1_000
    return Math.min(leastMs * 2 ** Math.min(entry.failures - 1, 10), mostAfterFailureMs, refreshMs)
  }

  /** Name servers shuffle their answers: another order matters only where the first one is taken. */
  private change(entry: Name, addresses: readonly string[]): void {
    const unique = [...new Set(addresses)]
    const before = new Set(entry.addresses)
    const same = unique.length === before.size && unique.every((address) => before.has(address))
    if (same && unique[0] === entry.addresses[0]) return
    entry.addresses = unique
    if (!same)
      this.options.log.debug(
        { name: entry.name, addresses: unique },
        `${entry.name} is ${unique.join(' ')}`,
      )
    for (const [key, { names, ordered }] of this.sets)
      if (names.has(entry.name) && (ordered || !same))
        this.options.onEndpoints(key, this.endpointsOf(key))
  }

  /** Each address takes weight, labels and port of the endpoint that named it; no address twice. */
  private endpointsOf(key: string): EndpointSpec[] {
    const endpoints = new Map<string, EndpointSpec>()
    for (const spec of this.sets.get(key)?.specs ?? []) {
      for (const address of this.addressesOf(spec.address)) {
        const id = `${address} ${spec.port}`
        if (!endpoints.has(id)) endpoints.set(id, { ...spec, address })
      }
    }
    return [...endpoints.values()]
  }

  /** A name that was never answered stays as it is: nobody can be called there, but it can be told. */
  private addressesOf(address: string): readonly string[] {
    const entry = this.names.get(address)
    if (entry === undefined || entry.answeredAt === 0) return [address]
    return entry.addresses
  }
}

function isName(address: string): boolean {
  return isIP(address) === 0 && !address.startsWith('unix://')
}

/** The families the workload has itself, as Istio chooses; both where its addresses are not known. */
function familiesOf(addresses: readonly string[]): readonly Family[] {
  const found = [...new Set(addresses.map((address) => isIP(address)))].filter((kind) => kind !== 0)
  return found.length === 0 ? [4, 6] : (found.sort() as Family[])
}
