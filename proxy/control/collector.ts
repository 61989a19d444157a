/** What the workers count and report, gathered: for the metrics endpoint and the admin pages. */
import { countBySeverity } from '../../config/diagnostics.ts'
import { catalogue } from '../telemetry/catalogue.ts'
import type { Exposition } from '../telemetry/exposition.ts'
import { InstrumentReader } from '../telemetry/instrument-reader.ts'
import { type InstrumentMessage, Instruments } from '../telemetry/instruments.ts'
import type { ClusterStatus, WorkerStats } from '../worker/messages.ts'
import type { DoorReply } from './http-door.ts'
import type { PublisherStatus, ReadResult } from './publisher.ts'

export type Ask = (what: 'clusters' | 'stats') => Promise<ReadonlyMap<number, unknown>>

/** Facts about this process that its metrics show, read when somebody looks. */
export type SelfView = () => {
  /** Of the configuration in force, or ``. */
  readonly version: string
  readonly workers: number
  readonly restarts: number
}

/** This thread's own instruments; workers' numbers start after it. */
const mainThread = 0

export class Collector {
  readonly reader = new InstrumentReader()
  readonly instruments: Instruments
  private readonly ask: Ask
  /** Each life of a worker has its own number in the reader. */
  private readonly threads = new Map<number, number>()
  private lastThread = mainThread

  private readonly selfView: SelfView
  private exposition: Promise<Exposition> | undefined
  private cpuSeconds = 0

  constructor(ask: Ask, selfView: SelfView) {
    this.ask = ask
    this.selfView = selfView
    this.instruments = new Instruments((message) => this.reader.receive(mainThread, message))
  }

  receive(worker: number, message: unknown): void {
    let thread = this.threads.get(worker)
    if (thread === undefined) {
      thread = ++this.lastThread
      this.threads.set(worker, thread)
    }
    // The worker is ours and sends what its Instruments announce.
    this.reader.receive(thread, message as InstrumentMessage)
  }

  /** What the worker counted stays in the totals, what it held at the moment does not. */
  workerGone(worker: number): void {
    const thread = this.threads.get(worker)
    if (thread === undefined) return
    this.threads.delete(worker)
    this.reader.threadGone(thread)
  }

  /** After each reading of the files. */
  configRead(result: ReadResult, status: PublisherStatus): void {
    const { instruments } = this
    instruments.counter('configReloads', [result]).add()
    const problems = countBySeverity(status.problems)
    for (const severity of ['error', 'warning', 'info'] as const)
      instruments.gauge('configProblems', [severity]).set(problems[severity])
    if (result !== 'published' || status.snapshot === undefined) return
    instruments.gauge('configGeneration').set(status.generation)
    instruments.gauge('configLoaded').set(status.publishedAt / 1_000)
  }

  /** The text format of Prometheus. */
  async prometheus(): Promise<DoorReply> {
    const { prometheusContentType: type } = await import('../telemetry/exposition.ts')
    const text = await (await this.exposed()).prometheus()
    const { version } = this.selfView()
    if (version === '') return { status: 200, type, body: text }
    // Written by hand: as an instrument every version would leave its series behind.
    const { name, help, kind } = catalogue.configInfo
    const info = `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${name}{version="${version}"} 1\n`
    return { status: 200, type, body: `${text.trimEnd()}\n\n${info}` }
  }

  /** One line per series, those that contain `filter`. */
  async plain(filter: string): Promise<string> {
    const text = (await this.exposed()).plain()
    if (filter === '') return text
    const lines = text.split('\n').filter((line) => line.includes(filter))
    return lines.map((line) => `${line}\n`).join('')
  }

  /** Loaded by the first who looks: most proxies on a developer's machine are never scraped. */
  private exposed(): Promise<Exposition> {
    this.exposition ??= import('../telemetry/exposition.ts').then(
      ({ Exposition }) => new Exposition(this.reader, () => this.refresh()),
    )
    return this.exposition
  }

  /** What is worth knowing only when somebody looks. */
  private refresh(): void {
    const { instruments } = this
    const { workers, restarts } = this.selfView()
    const { user, system } = process.cpuUsage()
    const cpuSeconds = (user + system) / 1e6
    instruments.gauge('memory').set(process.memoryUsage.rss())
    instruments.counter('cpu').add(cpuSeconds - this.cpuSeconds)
    this.cpuSeconds = cpuSeconds
    instruments.gauge('started').set((Date.now() - process.uptime() * 1_000) / 1_000)
    instruments.gauge('workers').set(workers)
    const counted = instruments.counter('workerRestarts')
    counted.add(restarts - counted.value)
    // A scrape reads the memory at once: series made here must be known to the reader before.
    instruments.flush()
  }

  /** Gauges of all workers, added up by name; with how many answered. */
  async stats(): Promise<{ readonly workers: number; readonly totals: Record<string, number> }> {
    const answers = await this.ask('stats')
    const totals: Record<string, number> = {}
    for (const answer of answers.values())
      for (const [name, value] of Object.entries(answer as WorkerStats))
        totals[name] = (totals[name] ?? 0) + value
    return { workers: answers.size, totals }
  }

  /** Every cluster once, its endpoints' numbers added up over the workers. */
  async clusters(): Promise<ClusterStatus[]> {
    const merged = new Map<string, ClusterStatus>()
    for (const answer of (await this.ask('clusters')).values())
      for (const status of answer as ClusterStatus[]) {
        const before = merged.get(status.name)
        merged.set(status.name, before === undefined ? status : addClusters(before, status))
      }
    return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }
}

function addClusters(a: ClusterStatus, b: ClusterStatus): ClusterStatus {
  const endpoints = new Map(a.endpoints.map((endpoint) => [endpoint.address, endpoint]))
  for (const endpoint of b.endpoints) {
    const before = endpoints.get(endpoint.address)
    if (before === undefined) {
      endpoints.set(endpoint.address, endpoint)
      continue
    }
    endpoints.set(endpoint.address, {
      ...before,
      // Ejected in one worker only: people should see that somebody avoids it.
      healthy: before.healthy && endpoint.healthy,
      ejected: before.ejected || endpoint.ejected,
      activeRequests: before.activeRequests + endpoint.activeRequests,
      connections: before.connections + endpoint.connections,
      idleConnections: before.idleConnections + endpoint.idleConnections,
      requests: before.requests + endpoint.requests,
      failures: before.failures + endpoint.failures,
    })
  }
  return { ...b, endpoints: [...endpoints.values()] }
}
