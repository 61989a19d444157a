/**
 * Held metric handles of one pair of caller and called: what a finished exchange adds to is found by
 * a few number comparisons. Hot: bench/micro/instruments.bench.ts.
 */
import { type ConnectionRecord, type ExchangeRecord, flagNames } from './exchange-record.ts'
import type { Counter, Histogram, Instruments } from './instruments.ts'

/** Handles for one outcome of HTTP exchanges. */
class HttpSeries {
  readonly status: number
  readonly flags: number
  /** -2: not gRPC; -1: gRPC without a status. */
  readonly grpc: number
  readonly requests: Counter
  readonly duration: Histogram
  readonly requestBytes: Histogram
  readonly responseBytes: Histogram

  constructor(
    instruments: Instruments,
    parties: readonly string[],
    status: number,
    flags: number,
    grpc: number,
  ) {
    this.status = status
    this.flags = flags
    this.grpc = grpc
    const labels = [
      ...parties,
      grpc === -2 ? 'http' : 'grpc',
      String(status),
      grpc < 0 ? '' : String(grpc),
      flagNames(flags),
    ]
    this.requests = instruments.counter('requests', labels)
    this.duration = instruments.histogram('requestDuration', labels)
    this.requestBytes = instruments.histogram('requestBytes', labels)
    this.responseBytes = instruments.histogram('responseBytes', labels)
  }
}

/** Handles for one outcome of TCP connections. */
class TcpSeries {
  readonly flags: number
  readonly opened: Counter
  readonly closed: Counter
  readonly sent: Counter
  readonly received: Counter

  constructor(instruments: Instruments, parties: readonly string[], flags: number) {
    this.flags = flags
    const labels = [...parties, 'tcp', flagNames(flags)]
    this.opened = instruments.counter('tcpOpened', labels)
    this.closed = instruments.counter('tcpClosed', labels)
    this.sent = instruments.counter('tcpSent', labels)
    this.received = instruments.counter('tcpReceived', labels)
  }
}

export class ClusterMetrics {
  private readonly instruments: Instruments
  private readonly parties: readonly string[]
  private readonly http: HttpSeries[] = []
  private readonly tcp: TcpSeries[] = []
  private lastHttp: HttpSeries | undefined = undefined

  /** `parties` as partyValues made them. */
  constructor(instruments: Instruments, parties: readonly string[]) {
    this.instruments = instruments
    this.parties = parties
  }

  countExchange(record: ExchangeRecord): void {
    const series = this.httpSeries(
      record.status,
      record.flags,
      record.grpc ? (record.grpcStatus < 0 ? -1 : record.grpcStatus) : -2,
    )
    series.requests.add()
    series.duration.observe(Math.floor(record.duration))
    series.requestBytes.observe(record.requestBytes + record.requestHeadBytes)
    series.responseBytes.observe(record.responseBytes + record.responseHeadBytes)
  }

  countOpened(record: ConnectionRecord): void {
    if (record.opened) return
    record.opened = true
    this.tcpSeries(record.flags).opened.add()
  }

  /** Adds the bytes that were not counted yet. */
  countBytes(record: ConnectionRecord): void {
    const series = this.tcpSeries(record.flags)
    series.received.add(record.receivedBytes - record.receivedCounted)
    series.sent.add(record.sentBytes - record.sentCounted)
    record.receivedCounted = record.receivedBytes
    record.sentCounted = record.sentBytes
  }

  countClosed(record: ConnectionRecord): void {
    this.tcpSeries(record.flags).closed.add()
  }

  private httpSeries(status: number, flags: number, grpc: number): HttpSeries {
    const last = this.lastHttp
    if (last !== undefined && last.status === status && last.flags === flags && last.grpc === grpc)
      return last
    let found: HttpSeries | undefined
    for (const one of this.http)
      if (one.status === status && one.flags === flags && one.grpc === grpc) found = one
    if (found === undefined) {
      found = new HttpSeries(this.instruments, this.parties, status, flags, grpc)
      this.http.push(found)
    }
    this.lastHttp = found
    return found
  }

  private tcpSeries(flags: number): TcpSeries {
    for (const one of this.tcp) if (one.flags === flags) return one
    const made = new TcpSeries(this.instruments, this.parties, flags)
    this.tcp.push(made)
    return made
  }
}
