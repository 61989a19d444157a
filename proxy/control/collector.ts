/** What the workers count and report, gathered: for the metrics endpoint and the admin pages. */
import { countBySeverity } from '../../config/diagnostics.ts'
import { InstrumentReader } from '../telemetry/instrument-reader.ts'
import { type InstrumentMessage, Instruments } from '../telemetry/instruments.ts'
import type { ClusterStatus, WorkerStats } from '../worker/messages.ts'
import type { PublisherStatus, ReadResult } from './publisher.ts'

export type Ask = (what: 'clusters' | 'stats') => Promise<ReadonlyMap<number, unknown>>

/** This thread's own instruments; workers' numbers start after it. */
const mainThread = 0

export class Collector {
  readonly reader = new InstrumentReader()
  readonly instruments: Instruments
  private readonly ask: Ask
  /** Each life of a worker has its own number in the reader. */
  private readonly threads = new Map<number, number>()
  private lastThread = mainThread

  constructor(ask: Ask) {
    this.ask = ask
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
      activeRequests: before.activeRequests + endpoint.activeRequests,
      connections: before.connections + endpoint.connections,
      idleConnections: before.idleConnections + endpoint.idleConnections,
      requests: before.requests + endpoint.requests,
      failures: before.failures + endpoint.failures,
    })
  }
  return { ...b, endpoints: [...endpoints.values()] }
}
