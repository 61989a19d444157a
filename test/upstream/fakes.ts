/** Scripted stand-ins for what lies below upstream/: dials, connections, codecs, time. */
import type {
  ClusterSpec,
  ConnectionPoolSpec,
  EndpointSpec,
  OutlierDetectionSpec,
} from '../../config/snapshot.ts'
import { Clock } from '../../proxy/base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import { Random } from '../../proxy/base/random.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { ClientCodec, ClientCodecOwner, UpstreamStream } from '../../proxy/http/codec.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import type { Dialer, DialReceiver, DialTarget } from '../../proxy/net/dialing.ts'
import { InstrumentReader } from '../../proxy/telemetry/instrument-reader.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { Recorder } from '../../proxy/telemetry/recorder.ts'
import { Cluster, type ClusterContext } from '../../proxy/upstream/cluster.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import type { PickRequest } from '../../proxy/upstream/picker.ts'
import type { StreamTicket, StreamWaiter } from '../../proxy/upstream/waiting.ts'

export class FakeDial implements Dialer {
  readonly dials: OneDial[] = []

  dial(target: DialTarget, receiver: DialReceiver): OneDial {
    const dial = new OneDial(target, receiver)
    this.dials.push(dial)
    return dial
  }

  /** Dials that are not settled, oldest first. */
  get open(): OneDial[] {
    return this.dials.filter((dial) => dial.state === 'open')
  }

  connectNext(): FakeConnection {
    return this.open[0]!.connect()
  }
}

export class OneDial {
  readonly target: DialTarget
  state: 'open' | 'connected' | 'failed' | 'cancelled' = 'open'
  private readonly receiver: DialReceiver

  constructor(target: DialTarget, receiver: DialReceiver) {
    this.target = target
    this.receiver = receiver
  }

  cancel(): void {
    this.state = 'cancelled'
  }

  connect(): FakeConnection {
    this.state = 'connected'
    const connection = new FakeConnection()
    this.receiver.onConnected(connection as unknown as Connection)
    return connection
  }

  fail(code: ErrorCode = ErrorCode.ConnectFailure): ProxyError {
    this.state = 'failed'
    const { address, port } = this.target.address
    const error = new ProxyError(code, Side.Upstream, {
      message: `cannot connect to ${address}:${port}: ECONNREFUSED`,
      retryable: true,
    })
    this.receiver.onDialFailed(error)
    return error
  }
}

export class FakeConnection {
  bytesRead = 0
  codec: FakeCodec | undefined = undefined
}

/** One request at a time, as HTTP/1. */
export class FakeCodec {
  readonly connection: Connection
  readonly owner: ClientCodecOwner
  capacity = 1
  opened = 0
  drained = false
  destroyed: ProxyError | true | undefined = undefined
  /** By the endpoint. */
  closed = false

  constructor(connection: Connection, owner: ClientCodecOwner) {
    this.connection = connection
    this.owner = owner
    ;(connection as unknown as FakeConnection).codec = this
  }

  get as(): ClientCodec {
    return this as unknown as ClientCodec
  }

  open(): UpstreamStream {
    this.capacity = 0
    this.opened++
    return {} as UpstreamStream
  }

  drain(): void {
    this.drained = true
  }

  destroy(error?: ProxyError): void {
    this.destroyed = error ?? true
  }

  /** The reply is complete. */
  finish(): void {
    ;(this.connection as unknown as FakeConnection).bytesRead += 100
    if (this.drained) {
      this.closed = true
      this.owner.onClosed(this.as, undefined)
      return
    }
    this.capacity = 1
    this.owner.onCapacity(this.as)
  }

  /** The endpoint closed the connection. */
  close(error?: ProxyError): void {
    this.capacity = 0
    this.closed = true
    this.owner.onClosed(this.as, error)
  }

  breakOff(): void {
    this.close(new ProxyError(ErrorCode.UpstreamClosed, Side.Upstream))
  }

  hint(idleMs: number): void {
    this.owner.onIdleLimit(this.as, idleMs)
  }
}

/** A request: notes what it gets. */
export class Request implements StreamWaiter {
  codec: FakeCodec | undefined = undefined
  reused: boolean | undefined = undefined
  error: ProxyError | undefined = undefined
  ticket: StreamTicket | undefined
  private readonly opens: boolean

  constructor(endpoint: Endpoint, opens = true) {
    this.opens = opens
    this.ticket = endpoint.pool.acquire(this)
  }

  onStream(codec: ClientCodec, reused: boolean): void {
    this.codec = codec as unknown as FakeCodec
    this.reused = reused
    if (this.opens) this.codec.open()
  }

  onNoStream(error: ProxyError): void {
    this.error = error
  }

  get waits(): boolean {
    return this.codec === undefined && this.error === undefined
  }
}

const noOrigin = { kind: 'Service', namespace: 'default', name: 'web', file: 'web.yaml', line: 3 }
const noLimit = 4294967295

export function poolSettings(settings: Partial<ConnectionPoolSpec> = {}): ConnectionPoolSpec {
  return {
    maxConnections: noLimit,
    connectTimeoutMs: 10_000,
    tcpIdleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: undefined,
    keepalive: undefined,
    maxPendingRequests: noLimit,
    maxRequests: noLimit,
    maxRequestsPerConnection: 0,
    maxRetries: noLimit,
    httpIdleTimeoutMs: 3_600_000,
    ...settings,
  }
}

/** Envoy's defaults. */
export function outlierSpec(spec: Partial<OutlierDetectionSpec> = {}): OutlierDetectionSpec {
  return {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOrigin: 0,
    splitLocalOrigin: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionPercent: 10,
    alwaysEjectOne: false,
    minHealthPercent: 0,
    errorStatuses: [],
    failurePercentage: 0,
    successRateFactor: 0,
    ...spec,
  }
}

export function clusterSpec(spec: Partial<ClusterSpec> = {}): ClusterSpec {
  return {
    name: 'outbound|80||web.default.svc.cluster.local',
    discovery: 'static',
    service: 'web.default.svc.cluster.local',
    serviceName: 'web',
    serviceNamespace: 'default',
    port: 80,
    subset: '',
    originalPortOverride: undefined,
    protocol: 'http',
    endpointSet: 'web',
    subsetLabels: {},
    loadBalancer: { kind: 'ROUND_ROBIN' },
    connectionPool: poolSettings(),
    retryBudget: { kind: 'off' },
    outlierDetection: undefined,
    dnsRefreshMs: 60_000,
    tls: undefined,
    tunnel: undefined,
    proxyProtocol: undefined,
    external: false,
    origin: noOrigin,
    policyOrigin: undefined,
    tlsOrigin: undefined,
    poolOrigin: undefined,
    outlierOrigin: undefined,
    hash: '1',
    ...spec,
  }
}

export function endpointSpec(address: string, spec: Partial<EndpointSpec> = {}): EndpointSpec {
  return {
    address,
    port: 8080,
    weight: 1,
    labels: {},
    locality: '',
    healthy: true,
    workload: '',
    serviceAccount: '',
    ...spec,
  }
}

export const ownWorkload = {
  name: 'front',
  namespace: 'default',
  serviceAccount: 'front',
  labels: { app: 'front', version: 'v1' },
  addresses: ['10.0.0.1'],
}

export class World {
  readonly dialer = new FakeDial()
  readonly reader = new InstrumentReader()
  readonly instruments = new Instruments((message) => this.reader.receive(1, message))
  readonly recorder = new Recorder(this.instruments, ownWorkload)
  private time = 1_000_000
  readonly clock = new Clock(
    () => this.time,
    () => this.time,
  )
  readonly wheel = new TimerWheel(this.clock)
  readonly context: ClusterContext

  constructor(context: Partial<ClusterContext> = {}) {
    this.context = {
      dialer: this.dialer,
      makeClientCodec: (connection, owner) => new FakeCodec(connection, owner).as,
      recorder: this.recorder,
      wheel: this.wheel,
      clock: this.clock,
      random: new Random(1),
      ...context,
    }
  }

  cluster(
    spec: Partial<ClusterSpec> = {},
    endpoints: readonly EndpointSpec[] = [endpointSpec('10.0.0.7')],
  ): Cluster {
    return new Cluster(clusterSpec(spec), endpoints, this.context)
  }

  /** A cluster of one endpoint with these pool settings. */
  endpoint(settings: Partial<ConnectionPoolSpec> = {}): { cluster: Cluster; endpoint: Endpoint } {
    const cluster = this.cluster({ connectionPool: poolSettings(settings) })
    return { cluster, endpoint: [...cluster.endpoints][0]! }
  }

  /** Lets time pass, tick by tick. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1) {
      this.time += Math.min(1, left)
      this.clock.refresh()
      this.wheel.sweep()
    }
  }

  value(metric: Parameters<InstrumentReader['value']>[0], labels: readonly string[]): number {
    this.instruments.flush()
    return this.reader.value(metric, labels)
  }
}

/** The turns a freed connection rests before it serves a waiting request. */
export async function rest(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise<void>((done) => setImmediate(done))
}

export const firstTry: PickRequest = { originalDestination: undefined, tried: [] }

/** The endpoint picked; throws on a refusal. */
export function pickOne(cluster: Cluster, request: PickRequest = firstTry): Endpoint {
  const pick = cluster.pick(request)
  if (pick.kind === 'refuse') throw pick.error
  return pick.endpoint
}
