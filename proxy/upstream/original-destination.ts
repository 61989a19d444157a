/** Endpoints made on demand, one per address that a client dialed or host it asked for; forgotten when unused. */
import type { ClusterSpec, EndpointSpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { endpointKey } from '../base/outlier-cells.ts'
import type { Address } from '../net/address.ts'
import { Endpoint, type EndpointOwner } from './endpoint.ts'
import type { Pick, PickRequest } from './picker.ts'

/** Addresses in use at once; more are refused: somebody scans the network. */
const most = 20_000
const noLabels = Object.freeze({})

export class OriginalDestinations {
  private readonly cluster: ClusterSpec
  private readonly owner: EndpointOwner
  private readonly made = new Map<string, Endpoint>()
  private readonly limit: number

  constructor(cluster: ClusterSpec, owner: EndpointOwner, limit = most) {
    this.cluster = cluster
    this.owner = owner
    this.limit = limit
  }

  get endpoints(): Iterable<Endpoint> {
    return this.made.values()
  }

  pick(request: PickRequest): Pick {
    const destination = this.destinationOf(request)
    if (destination === undefined) return this.refuse(ErrorCode.NoHealthyUpstream, this.whyNone())
    const spec: EndpointSpec = {
      address: destination.address,
      port: this.cluster.originalPortOverride ?? destination.port,
      weight: 1,
      labels: noLabels,
      locality: '',
      healthy: true,
      workload: '',
      serviceAccount: '',
    }
    const key = endpointKey(spec)
    const known = this.made.get(key)
    if (known !== undefined) return known.picked
    if (this.made.size >= this.limit) this.forgetUnused()
    if (this.made.size >= this.limit)
      return this.refuse(ErrorCode.Overflow, `${this.limit} addresses are in use at once`)
    const endpoint = new Endpoint(spec, this.owner)
    this.made.set(key, endpoint)
    return endpoint.picked
  }

  /** By name where names are resolved on demand: the dial asks for its addresses. */
  private destinationOf({ hostName = '', originalDestination }: PickRequest): Address | undefined {
    if (this.cluster.discovery !== 'dynamic-dns') return originalDestination
    return hostName === '' ? undefined : { address: hostName, port: this.cluster.port }
  }

  private whyNone(): string {
    return this.cluster.discovery === 'dynamic-dns'
      ? 'it goes to the host that is asked for by Host or server name, and none was'
      : 'it goes where the client dialed, and that is not known: the connection was not captured'
  }

  /** Its last connection is gone. */
  onQuiet(endpoint: Endpoint): void {
    const key = endpointKey(endpoint.spec)
    if (this.made.get(key) === endpoint) this.made.delete(key)
  }

  drain(): void {
    for (const endpoint of [...this.made.values()]) endpoint.retire()
  }

  private forgetUnused(): void {
    for (const endpoint of [...this.made.values()]) if (endpoint.quiet) this.onQuiet(endpoint)
  }

  private refuse(code: ErrorCode, why: string): Pick {
    return {
      kind: 'refuse',
      error: new ProxyError(code, Side.Upstream, {
        message: `${this.cluster.name} has no endpoint that can be used: ${why}`,
      }),
    }
  }
}
