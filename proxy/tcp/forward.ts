/**
 * One opaque TCP connection: an endpoint is picked, dialed and copied into the client's connection,
 * and recorded once, whatever happens.
 */
import type { HashKeySpec, Origin } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { type Address, formatAddress } from '../net/address.ts'
import { type ByteReceiver, type Connection, PauseReason } from '../net/connection.ts'
import { Splice, type SpliceOwner } from '../net/splice.ts'
import { ConnectionRecord, type Direction, Flag } from '../telemetry/exchange-record.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { PickRequest } from '../upstream/picker.ts'
import type { TcpLease, TcpWaiter } from '../upstream/tcp-lease.ts'
import { Tunnel, type TunnelOwner } from './tunnel.ts'

export interface TcpServices {
  readonly wheel: TimerWheel
  readonly recorder: Recorder
  /** Forwards that are not over: what drain waits for. */
  readonly forwards: Set<TcpForward>
}

export interface TcpRequest {
  readonly direction: Direction
  readonly connection: Connection
  /** Where the client dialed; decides for original-destination clusters. */
  readonly destination: Address | undefined
  readonly cluster: Cluster
  readonly origin: Origin | undefined
  readonly routeName: string
  readonly serverName: string
  /** Read by detection; copied if kept. */
  readonly already: Buffer
  /** The client's FIN was seen by detection. */
  readonly ended: boolean
}

/** An endpoint that was connected, and has sent something, before anybody knew the protocol. */
export interface SpokenEndpoint {
  readonly endpoint: Endpoint
  readonly lease: TcpLease
  readonly upstream: Connection
  /** Its first bytes; own memory. */
  readonly bytes: Buffer
}

/** Flags of connections by what went wrong. */
const flags: Partial<Record<ErrorCode, number>> = {
  [ErrorCode.NoHealthyUpstream]: Flag.UH,
  [ErrorCode.ConnectFailure]: Flag.UF | Flag.URX,
  [ErrorCode.ConnectTimeout]: Flag.UF | Flag.URX,
  [ErrorCode.DnsFailure]: Flag.DF,
  [ErrorCode.Overflow]: Flag.UO,
  [ErrorCode.UpstreamClosed]: Flag.UR,
  [ErrorCode.DurationTimeout]: Flag.DT,
}

/** How often the bytes of a running connection are counted. */
const progressMs = 5_000

const Deadline = { Progress: 0, Duration: 1 } as const

export class TcpForward
  implements PickRequest, TcpWaiter, SpliceOwner, ByteReceiver, DeadlineOwner, TunnelOwner
{
  readonly originalDestination: Address | undefined
  readonly tried: readonly Endpoint[] = []
  private readonly request: TcpRequest
  private readonly services: TcpServices
  private readonly record: ConnectionRecord
  private already: Buffer
  private ended: boolean
  private lease: TcpLease | undefined = undefined
  private upstream: Connection | undefined = undefined
  private splice: Splice | undefined = undefined
  private over = false
  private endpoint: Endpoint | undefined = undefined
  private dialedAt = 0
  /** What the tunnel's proxy said to us, and not to the client. */
  private tunnelBytes = 0
  private tunnel: Tunnel | undefined = undefined
  private readonly progress = new Timer(this, Deadline.Progress)
  /** Made where connections may not last for ever. */
  private duration: Timer | undefined = undefined

  constructor(request: TcpRequest, services: TcpServices) {
    const { connection, cluster, destination } = request
    this.request = request
    this.services = services
    this.originalDestination = destination
    this.already = Buffer.from(request.already)
    this.ended = request.ended
    const at = destination ?? connection.local
    const { remote } = connection
    this.record = new ConnectionRecord(request.direction, clock.wall(), clock.now, at, remote)
    this.record.cluster = cluster.name
    this.record.clusterMetrics = cluster.metrics
    this.record.origin = request.origin
    this.record.routeName = request.routeName
    this.record.serverName = request.serverName
  }

  get cluster(): Cluster {
    return this.request.cluster
  }

  /** For the picker, where names are resolved on demand. */
  get hostName(): string {
    return this.request.serverName
  }

  /** For headers that tell the endpoint who is calling. */
  get source(): Address {
    return this.request.connection.remote
  }

  get destination(): Address {
    return this.originalDestination ?? this.request.connection.local
  }

  /** Bytes have no other key than where they come from. */
  hashText(key: HashKeySpec): string | undefined {
    return key.kind === 'source-ip' ? this.request.connection.remote.address : undefined
  }

  /** The client is read from again only when the endpoint is connected. */
  start(): void {
    const { cluster, connection } = this.request
    this.services.forwards.add(this)
    connection.pause(PauseReason.Handover)
    connection.receiveWith(this)
    const picked = cluster.pick(this)
    if (picked.kind === 'refuse') {
      this.onNoConnection(picked.error)
      return
    }
    const { endpoint } = picked
    this.record.upstreamHost = endpoint.text
    this.record.clusterMetrics = endpoint.metrics
    this.endpoint = endpoint
    this.dialedAt = clock.now
    this.lease = endpoint.dialTcp(this)
  }

  /** The endpoint was dialed before, and spoke first. */
  startWith({ endpoint, lease, upstream, bytes }: SpokenEndpoint): void {
    this.services.forwards.add(this)
    this.record.upstreamHost = endpoint.text
    this.record.clusterMetrics = endpoint.metrics
    this.lease = lease
    this.run(upstream, bytes)
  }

  /** Drain time is over. */
  cut(): void {
    const message = 'the proxy is shutting down'
    const error = new ProxyError(ErrorCode.Draining, Side.Proxy, { message })
    if (this.splice !== undefined) this.splice.cut(error)
    else this.onNoConnection(error)
  }

  onConnected(upstream: Connection): void {
    this.endpoint?.replyTime?.answered(clock.now - this.dialedAt)
    const { connectionPool, tunnel } = this.request.cluster.spec
    if (tunnel === undefined) {
      this.onTunnel(upstream, undefined)
      return
    }
    const { wheel } = this.services
    this.tunnel = new Tunnel(upstream, tunnel, this, wheel, connectionPool.connectTimeoutMs)
    this.tunnel.start()
  }

  onTunnel(upstream: Connection, bytes: Buffer | undefined): void {
    if (bytes !== undefined) this.tunnelBytes = upstream.bytesRead - bytes.length
    this.run(upstream, bytes)
    this.request.connection.resume(PauseReason.Handover)
  }

  onNoTunnel(error: ProxyError): void {
    this.onNoConnection(error)
  }

  private run(upstream: Connection, fromUpstream: Buffer | undefined): void {
    const { connection, cluster } = this.request
    this.upstream = upstream
    this.record.upstreamLocal = formatAddress(upstream.local)
    this.services.recorder.connectionOpened(this.record)
    const { maxConnectionDurationMs, tcpIdleTimeoutMs } = cluster.spec.connectionPool
    if (maxConnectionDurationMs !== undefined) {
      this.duration = new Timer(this, Deadline.Duration)
      this.services.wheel.arm(this.duration, maxConnectionDurationMs)
    }
    this.splice = new Splice(connection, upstream, this, this.services.wheel, tcpIdleTimeoutMs)
    this.services.wheel.arm(this.progress, progressMs)
    this.splice.start(this.already, fromUpstream, this.ended)
  }

  /** Long connections show in the metrics while they live. */
  onDeadline(timer: Timer): void {
    if (this.over) return
    if (timer.kind === Deadline.Duration) {
      this.splice?.cut(this.tooLong())
      return
    }
    this.countBytes()
    this.services.recorder.connectionProgress(this.record)
    this.services.wheel.arm(timer, progressMs)
  }

  private tooLong(): ProxyError {
    const { maxConnectionDurationMs } = this.request.cluster.spec.connectionPool
    const message = `it has lasted for ${maxConnectionDurationMs} ms, the maxConnectionDuration`
    return new ProxyError(ErrorCode.DurationTimeout, Side.Proxy, { message })
  }

  /** The client sees what it would see without a proxy: a connection that breaks. */
  onNoConnection(error: ProxyError): void {
    if (this.over) return
    this.record.upstreamFailure = error.message
    if (error.origin !== undefined) this.record.origin = error.origin
    if (error.code === ErrorCode.ConnectFailure || error.code === ErrorCode.ConnectTimeout)
      this.endpoint?.replyTime?.failed(0)
    this.request.connection.reset(error)
    this.tunnel?.cancel()
    this.lease?.cancel()
    this.finish(error)
  }

  onSpliceEnd(error: ProxyError | undefined): void {
    this.lease?.release()
    if (error?.code === ErrorCode.IdleTimeout || error?.code === ErrorCode.DurationTimeout)
      this.record.terminationDetails = error.detail
    this.finish(error)
  }

  // --- the client, while the endpoint is being dialed (nothing is read meanwhile)
  onBytes(buffer: Buffer, start: number, end: number): void {
    this.already = Buffer.concat([this.already, buffer.subarray(start, end)])
  }

  onEnd(): void {
    this.ended = true
  }

  onWritable(): void {
    // Nothing is written before the endpoint is connected.
  }

  onClose(error: ProxyError | undefined): void {
    if (this.over) return
    this.tunnel?.cancel()
    this.lease?.cancel()
    this.record.flags |= Flag.DC
    this.finish(error)
  }

  private countBytes(): void {
    this.record.receivedBytes = this.request.connection.bytesRead
    this.record.sentBytes =
      this.upstream === undefined ? 0 : this.upstream.bytesRead - this.tunnelBytes
  }

  private finish(error: ProxyError | undefined): void {
    if (this.over) return
    this.over = true
    const { record, request, services } = this
    services.forwards.delete(this)
    if (error !== undefined) record.flags |= flags[error.code] ?? 0
    record.details = error?.detail ?? ''
    services.wheel.cancel(this.progress)
    if (this.duration !== undefined) services.wheel.cancel(this.duration)
    this.countBytes()
    record.duration = clock.now - record.start
    services.recorder.finishConnection(record)
    services.recorder.downstreamClosed(request.direction)
  }
}
