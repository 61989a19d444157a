/** Held handles for what happens on the connections to one cluster's endpoints; made at first use. */
import type { Counter, Gauge, Histogram, Instruments } from './instruments.ts'

/** Why a connection to an endpoint ended. */
export const closeReasons = [
  'idle',
  'endpoint',
  'max_requests',
  'max_duration',
  'error',
  'drain',
  'room',
] as const
export type CloseReason = (typeof closeReasons)[number]

export class UpstreamInstruments {
  readonly connections: Counter
  readonly active: Gauge
  readonly connectMs: Histogram
  readonly requests: Counter
  readonly requestsActive: Gauge
  readonly pending: Gauge
  private readonly instruments: Instruments
  private readonly cluster: string
  private readonly closedBy = new Map<CloseReason, Counter>()

  constructor(instruments: Instruments, cluster: string) {
    this.instruments = instruments
    this.cluster = cluster
    const labels = [cluster]
    this.connections = instruments.counter('upstreamConnections', labels)
    this.active = instruments.gauge('upstreamActive', labels)
    this.connectMs = instruments.histogram('upstreamConnectMs', labels)
    this.requests = instruments.counter('upstreamRequests', labels)
    this.requestsActive = instruments.gauge('upstreamRequestsActive', labels)
    this.pending = instruments.gauge('upstreamPending', labels)
  }

  closed(reason: CloseReason): void {
    let counter = this.closedBy.get(reason)
    if (counter === undefined) {
      counter = this.instruments.counter('upstreamClosed', [this.cluster, reason])
      this.closedBy.set(reason, counter)
    }
    counter.add()
  }

  /** The rest happens seldom: looked up when it does. */
  connectFailed(reason: 'failure' | 'timeout'): void {
    this.instruments.counter('upstreamConnectFailures', [this.cluster, reason]).add()
  }

  overflowed(limit: string): void {
    this.instruments.counter('upstreamOverflow', [this.cluster, limit]).add()
  }

  reuseRace(): void {
    this.instruments.counter('upstreamReuseRaces', [this.cluster]).add()
  }

  retried(): void {
    this.instruments.counter('upstreamRetries', [this.cluster]).add()
  }

  retrySkipped(reason: string): void {
    this.instruments.counter('upstreamRetriesSkipped', [this.cluster, reason]).add()
  }

  mirrored(result: 'answered' | 'failed' | 'dropped'): void {
    this.instruments.counter('upstreamMirrored', [this.cluster, result]).add()
  }

  unpicked(): void {
    this.instruments.counter('upstreamUnpicked', [this.cluster]).add()
  }
}
