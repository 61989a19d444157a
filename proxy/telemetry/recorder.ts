/**
 * Where every exchange and connection is told when it ends: adds to the right metrics and appends the
 * access log line. Hot: bench/micro/instruments.bench.ts.
 */
import type { WorkloadSpec } from '../../config/snapshot.ts'
import { ClusterMetrics } from './cluster-metrics.ts'
import type { ConnectionRecord, Direction, ExchangeRecord } from './exchange-record.ts'
import type { Counter, Gauge, Instruments } from './instruments.ts'
import { type ClusterFacts, directionOf, type PeerFacts, partyValues } from './parties.ts'
import { UpstreamInstruments } from './upstream-instruments.ts'

/** What the recorder needs of an access log (access-log.ts). */
export interface RecordLog {
  exchange(record: ExchangeRecord): void
  connection(record: ConnectionRecord): void
  /** Writes everything out. */
  close?(): Promise<void>
}

class DirectionCounts {
  readonly connections: Counter
  readonly active: Gauge
  readonly requestsActive: Gauge
  readonly shed: Counter
  readonly unreached: ClusterMetrics

  constructor(instruments: Instruments, direction: Direction, own: WorkloadSpec) {
    this.connections = instruments.counter('downstreamConnections', [direction])
    this.active = instruments.gauge('downstreamActive', [direction])
    this.requestsActive = instruments.gauge('downstreamRequestsActive', [direction])
    this.shed = instruments.counter('downstreamShed', [direction])
    this.unreached = new ClusterMetrics(
      instruments,
      partyValues(direction, own, undefined, undefined),
    )
  }
}

export class Recorder {
  readonly instruments: Instruments
  private readonly own: WorkloadSpec
  /** Replaced when the mesh's access log settings change. */
  log: RecordLog | undefined
  private readonly inbound: DirectionCounts
  private readonly outbound: DirectionCounts
  private readonly known = new Map<string, ClusterMetrics>()

  constructor(instruments: Instruments, own: WorkloadSpec, log: RecordLog | undefined = undefined) {
    this.instruments = instruments
    this.own = own
    this.log = log
    this.inbound = new DirectionCounts(instruments, 'inbound', own)
    this.outbound = new DirectionCounts(instruments, 'outbound', own)
  }

  /**
   * Handles for traffic to `cluster`; for outbound traffic `peer` is the endpoint that was picked.
   * The same parties get the same object. Called at link time, not per exchange.
   */
  clusterMetrics(cluster: ClusterFacts, peer?: PeerFacts): ClusterMetrics {
    const direction = directionOf(cluster.name)
    const values = partyValues(direction, this.own, cluster, peer)
    const key = values.join('\n')
    let metrics = this.known.get(key)
    if (metrics === undefined) {
      metrics = new ClusterMetrics(this.instruments, values)
      this.known.set(key, metrics)
    }
    return metrics
  }

  upstreamInstruments(cluster: string): UpstreamInstruments {
    return new UpstreamInstruments(this.instruments, cluster)
  }

  /** The exchange is over and its record complete; called exactly once for each. */
  finishExchange(record: ExchangeRecord): void {
    metricsOf(record, this.of(record.direction)).countExchange(record)
    if (record.faults !== undefined)
      for (const { kind } of record.faults) this.instruments.counter('faultsInjected', [kind]).add()
    if (this.log !== undefined) this.log.exchange(record)
  }

  /** Its route is counted on its own (statPrefix). */
  routeFinished(statPrefix: string, status: number): void {
    const kind = `${Math.trunc(status / 100)}xx`
    this.instruments.counter('routeRequests', [statPrefix, kind]).add()
  }

  /** The endpoint is known and connected. Optional: a connection that failed is counted at its end. */
  connectionOpened(record: ConnectionRecord): void {
    metricsOf(record, this.of(record.direction)).countOpened(record)
  }

  /** Counts the bytes of a long connection so far; called every few seconds. */
  connectionProgress(record: ConnectionRecord): void {
    metricsOf(record, this.of(record.direction)).countBytes(record)
  }

  /** The TCP connection is over and its record complete; called exactly once for each. */
  finishConnection(record: ConnectionRecord): void {
    const metrics = metricsOf(record, this.of(record.direction))
    metrics.countOpened(record)
    metrics.countBytes(record)
    metrics.countClosed(record)
    if (this.log !== undefined) this.log.connection(record)
  }

  /** Writes out what is told but not written; await it before the thread ends, or lines are lost. */
  async close(): Promise<void> {
    const { log } = this
    this.log = undefined
    await log?.close?.()
  }

  /** A client's connection was accepted, later closed; refused: closed at once for want of room. */
  downstreamOpened(direction: Direction): void {
    const counts = this.of(direction)
    counts.connections.add()
    counts.active.add(1)
  }

  downstreamClosed(direction: Direction): void {
    this.of(direction).active.add(-1)
  }

  downstreamRefused(direction: Direction): void {
    this.of(direction).shed.add()
  }

  requestStarted(direction: Direction): void {
    this.of(direction).requestsActive.add(1)
  }

  requestEnded(direction: Direction): void {
    this.of(direction).requestsActive.add(-1)
  }

  /** The client broke the protocol; `detail` as in ProxyError. */
  protocolError(direction: Direction, detail: string): void {
    this.instruments.counter('downstreamProtocolErrors', [direction, detail]).add()
  }

  protocolDetected(direction: Direction, protocol: string): void {
    this.instruments.counter('detectedProtocols', [direction, protocol]).add()
  }

  private of(direction: Direction): DirectionCounts {
    return direction === 'inbound' ? this.inbound : this.outbound
  }
}

/** Records carry the handles as `object`, because the record's file knows nothing of metrics. */
function metricsOf(
  record: ExchangeRecord | ConnectionRecord,
  counts: DirectionCounts,
): ClusterMetrics {
  return (record.clusterMetrics as ClusterMetrics | undefined) ?? counts.unreached
}
