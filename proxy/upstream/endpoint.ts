/**
 * One place that answers for a cluster, alive: its pool and its counts. It stays the same object as
 * long as the cluster has its address, whatever else about it changes.
 */
import { isIP } from 'node:net'
import type { EndpointSpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { DialTarget } from '../net/dialing.ts'
import type { ClusterMetrics } from '../telemetry/cluster-metrics.ts'
import { NamedPools } from './named-pools.ts'
import type { OutlierCounts } from './outlier-counts.ts'
import { Pool } from './pool.ts'
import type { EndpointCounts, PoolContext } from './pool-context.ts'
import type { ReplyTime } from './reply-time.ts'
import { TcpLease, type TcpWaiter } from './tcp-lease.ts'

/** A successful pick; each endpoint has one, made once. */
export interface PickedEndpoint {
  readonly kind: 'endpoint'
  readonly endpoint: Endpoint
}

/** The cluster, as its endpoints see it. */
export interface EndpointOwner {
  /** Made when the first connection is asked for. */
  readonly poolContext: PoolContext
  /** TLS takes the server name from each request's host. */
  readonly namesHosts: boolean
  /** Its endpoints are addresses of one name, of which each new connection takes one. */
  readonly isOneName: boolean
  /** The other addresses of the name. */
  alternativesTo(endpoint: Endpoint): readonly Address[]
  /** Source address for connections to `address`, or undefined. */
  sourceFor(address: string): string | undefined
  metricsFor(spec: EndpointSpec): ClusterMetrics
  /** It was retired and its last connection is gone, or nobody uses it now. */
  onQuiet(endpoint: Endpoint): void
}

export class Endpoint {
  readonly address: Address
  /** `10.0.0.7:9080`, as logs show it. */
  readonly text: string
  readonly picked: PickedEndpoint
  readonly counts: EndpointCounts = { active: 0, requests: 0, failures: 0, connections: 0 }
  /** False: a name whose address nobody knows yet. */
  readonly resolved: boolean
  /** The latest description; replaced by `describe`. */
  spec: EndpointSpec
  /** No longer part of the cluster. */
  retired = false
  /** Out of service after failures. Whoever changes it calls the cluster's `refresh`. */
  ejected = false
  /** Why it is, for people; `` when it is not. */
  ejection = ''
  /** Counts failures where the cluster has outlierDetection. */
  outlier: OutlierCounts | undefined = undefined
  /** Level of nearness, 0 first; -1: in no level that may be used. */
  priority = -1
  /** Kept where balancing goes by it. */
  replyTime: ReplyTime | undefined = undefined
  private readonly owner: EndpointOwner
  private readonly leases = new Set<TcpLease>()
  private ownPool: Pool | undefined = undefined
  private readonly named: NamedPools | undefined
  private ownMetrics: ClusterMetrics | undefined = undefined
  private ownTarget: DialTarget | undefined = undefined
  private readonly quietNow = (): void => {
    if (this.quiet) this.owner.onQuiet(this)
  }

  constructor(spec: EndpointSpec, owner: EndpointOwner) {
    this.spec = spec
    this.owner = owner
    this.address = addressOf(spec)
    this.text = formatAddress(this.address)
    this.resolved = isResolved(this.address)
    this.picked = { kind: 'endpoint', endpoint: this }
    this.named = owner.namesHosts
      ? new NamedPools((name, quiet) => this.poolNamed(name, quiet))
      : undefined
  }

  /** At least 1, as Istio has it. */
  get weight(): number {
    return Math.max(1, this.spec.weight)
  }

  /** Requests waiting or running, and TCP connections. */
  get active(): number {
    return this.counts.active
  }

  get quiet(): boolean {
    if (this.leases.size > 0 || this.named?.quiet === false) return false
    return this.ownPool === undefined || this.ownPool.quiet
  }

  /** Connections for HTTP, for requests with that Host. */
  poolFor(authority: string): Pool {
    return this.named === undefined ? this.pool : this.named.of(authority)
  }

  get pool(): Pool {
    this.ownPool ??= new Pool(this.owner.poolContext, this.target, this.counts, this.quietNow)
    return this.ownPool
  }

  private poolNamed(serverName: string, onQuiet: () => void): Pool {
    const { poolContext } = this.owner
    const target = { ...this.target, tls: { tls: poolContext.tls!, serverName } }
    return new Pool(poolContext, target, this.counts, () => {
      onQuiet()
      this.quietNow()
    })
  }

  /** What records of traffic to it point to. */
  get metrics(): ClusterMetrics {
    this.ownMetrics ??= this.owner.metricsFor(this.spec)
    return this.ownMetrics
  }

  /** A connection for opaque bytes. Undefined: refused, `waiter` was told. */
  dialTcp(waiter: TcpWaiter): TcpLease | undefined {
    const lease: TcpLease = new TcpLease(this, this.owner.poolContext, waiter, () => {
      this.leases.delete(lease)
      this.quietNow()
    })
    this.leases.add(lease)
    if (lease.start(this.targetFor(waiter))) return lease
    this.leases.delete(lease)
    return undefined
  }

  describe(spec: EndpointSpec): void {
    if (spec.labels !== this.spec.labels || spec.workload !== this.spec.workload)
      this.ownMetrics = undefined
    this.spec = spec
  }

  /** It left the cluster: finishes what runs, then tells the owner. */
  retire(): void {
    this.retired = true
    this.ownPool?.drain()
    this.named?.drain()
    this.quietNow()
  }

  /** From here on no connection is kept idle. */
  stopKeeping(): void {
    this.ownPool?.drain()
    this.named?.drain()
  }

  revive(): void {
    this.retired = false
    this.ownPool?.undrain()
  }

  /** Ends all HTTP connections and dials now; spliced connections belong to their users. */
  close(): void {
    const message = `the proxy closes its connections to ${this.text}`
    const error = new ProxyError(ErrorCode.Draining, Side.Proxy, { message, retryable: true })
    this.ownPool?.close(error)
    this.named?.close(error)
  }

  /** For /clusters: equal to an entry of ClusterStatus.endpoints. */
  status() {
    return {
      address: this.text,
      healthy: this.spec.healthy,
      ejected: this.ejection,
      weight: this.weight,
      locality: this.spec.locality,
      priority: this.priority,
      activeRequests: this.counts.active,
      connections: this.counts.connections,
      idleConnections: this.sum((pool) => pool.idleConnections),
      requests: this.counts.requests,
      failures: this.counts.failures,
    }
  }

  /** Dials under way and requests waiting: leak counters. */
  get dials(): number {
    return this.sum((pool) => pool.dials)
  }

  get waiters(): number {
    return this.sum((pool) => pool.waiters)
  }

  private sum(count: (pool: Pool) => number): number {
    return (this.ownPool === undefined ? 0 : count(this.ownPool)) + (this.named?.sum(count) ?? 0)
  }

  private targetFor({ destination, source }: TcpWaiter): DialTarget {
    const { target } = this
    const { preface } = target
    if (preface === undefined || source === undefined || destination === undefined) return target
    return { ...target, preface: () => preface(source, destination) }
  }

  private get target(): DialTarget {
    const { preface, settings, serverName, tls } = this.owner.poolContext
    this.ownTarget ??= {
      address: this.address,
      timeoutMs: settings.connectTimeoutMs,
      keepalive: settings.keepalive,
      sourceAddress: this.owner.sourceFor(this.address.address),
      tls: tls && { tls, serverName },
      preface,
      alternatives: this.owner.isOneName ? () => this.owner.alternativesTo(this) : undefined,
    }
    return this.ownTarget
  }
}

function isResolved({ address }: Address): boolean {
  return isIP(address) !== 0 || address.startsWith('/') || address.startsWith('@')
}

const unixPrefix = 'unix://'

function addressOf(spec: EndpointSpec): Address {
  return spec.address.startsWith(unixPrefix)
    ? { address: spec.address.slice(unixPrefix.length), port: 0 }
    : { address: spec.address, port: spec.port }
}
