/** What arrives for the workload: the ports of the services that select it, or those its Sidecar lists. */
import type { Client } from './compile-client.ts'
import { type EndpointIndex, portOfPod } from './compile-endpoints.ts'
import type { Sidecar } from './compile-mesh.ts'
import { hasLabels } from './compile-names.ts'
import { blocksFor, type PolicyIndex, PoolSettings } from './compile-policies.ts'
import { blockPlace, originOf } from './compile-policy-places.ts'
import { declaredProtocol } from './compile-ports.ts'
import { isKubernetes, type MeshPort, type MeshService, type Of } from './compile-registry.ts'
import { insideOf, serverTlsSpec } from './compile-transport.ts'
import type { ConnectionPool, SidecarSpec } from './kinds.ts'
import type { InboundPortSpec, InboundSpec } from './snapshot.ts'

type Target = InboundPortSpec['target']
type Ingress = SidecarSpec['ingress'][number]

export function buildInbound(
  registry: readonly MeshService[],
  endpoints: EndpointIndex,
  sidecar: Sidecar | undefined,
  policies: PolicyIndex,
  client: Client,
): InboundSpec {
  const { mode } = client.mesh.inboundTrafficPolicy
  const pools = new InboundPools(sidecar, policies, client)
  const served = servedPorts(registry, endpoints, pools, client)
  const ingress = sidecar?.spec.ingress ?? []
  const ports =
    sidecar === undefined || ingress.length === 0
      ? [...served.values()]
      : ingress.map((listener, index) => ofSidecar(sidecar, listener, index, served, pools, client))
  return { ports: ports.sort((a, b) => a.port - b.port), mode }
}

/** By workload port; the oldest service decides where several meet. */
function servedPorts(
  registry: readonly MeshService[],
  endpoints: EndpointIndex,
  pools: InboundPools,
  client: Client,
): Map<number, InboundPortSpec> {
  const served = new Map<number, InboundPortSpec>()
  for (const service of registry) {
    if (service.externalName !== undefined) continue
    if (isKubernetes(service) && service.namespace !== client.namespace) continue
    for (const port of service.ports)
      for (const number of workloadPorts(service, port, endpoints, client))
        if (!served.has(number))
          served.set(number, {
            port: number,
            protocol: port.protocol,
            service: service.hostname,
            servicePort: port.number,
            target: targetOf(client, number),
            cluster: inboundCluster(number),
            ...pools.of(service, port.number),
            tls: undefined,
            door: undefined,
            origin: service.sources[0].origin,
          })
  }
  return served
}

/** Ports on which this workload serves the service: it is an endpoint, or a selector selects its labels. */
function workloadPorts(
  service: MeshService,
  port: MeshPort,
  endpoints: EndpointIndex,
  client: Client,
): Set<number> {
  const { addresses } = client.workload
  const ports = new Set<number>()
  for (const endpoint of endpoints.of(service, port))
    if (addresses.includes(endpoint.address)) ports.add(endpoint.port)
  if (ports.size > 0) return ports
  for (const source of service.sources) {
    const number = selectedPort(source, port, endpoints, client)
    if (number !== undefined) ports.add(number)
  }
  return ports
}

/** For a workload that no file lists as an endpoint. */
function selectedPort(
  source: Of<'Service'> | Of<'ServiceEntry'>,
  port: MeshPort,
  endpoints: EndpointIndex,
  client: Client,
): number | undefined {
  if (source.namespace !== client.namespace) return undefined
  const { spec } = source
  const selector = 'selector' in spec ? spec.selector : spec.workloadSelector
  if (selector === undefined || Object.keys(selector).length === 0) return undefined
  if (!hasLabels(client.labels, selector)) return undefined
  if (!('selector' in spec)) {
    const written = spec.ports.find(({ number }) => number === port.number)
    return written === undefined ? undefined : (written.targetPort ?? written.number)
  }
  const written = spec.ports.find((one) => one.port === port.number && one.name === port.name)!
  if (typeof written.targetPort === 'number') return written.targetPort
  const pod = endpoints.podOf(client.workload)
  return pod === undefined ? undefined : portOfPod(pod, written.targetPort)
}

function targetOf(client: Client, port: number): Target {
  const local = client.mesh.inboundTrafficPolicy.mode === 'LOCALHOST'
  return { address: local ? '127.0.0.1' : 'original', port }
}

/** `inbound|9080||` */
function inboundCluster(port: number): string {
  return `inbound|${port}||`
}

function ofSidecar(
  sidecar: Sidecar,
  { bind, captureMode, connectionPool, defaultEndpoint, port, tls }: Ingress,
  index: number,
  served: ReadonlyMap<number, InboundPortSpec>,
  pools: InboundPools,
  client: Client,
): InboundPortSpec {
  const known = served.get(port.number)
  const target =
    defaultEndpoint === '' ? targetOf(client, port.number) : parseEndpoint(defaultEndpoint)
  const ends = serverTlsSpec(tls)
  const opens = captureMode === 'NONE' && target.address !== 'original' && defaultEndpoint !== ''
  const own =
    connectionPool === undefined
      ? (known ?? pools.of(undefined, port.number))
      : pools.ofListener(connectionPool, index)
  return {
    port: port.number,
    protocol:
      ends === undefined ? (declaredProtocol(port.protocol) ?? 'auto') : insideOf(port.protocol),
    tls: ends,
    service: known?.service ?? '',
    servicePort: known?.servicePort ?? port.number,
    target,
    cluster: inboundCluster(port.number),
    connectionPool: own.connectionPool,
    poolOrigin: own.poolOrigin,
    door: opens ? bind || '0.0.0.0' : undefined,
    origin: sidecar.originAt(['spec', 'ingress', index]),
  }
}

/** An address of the workload itself: loopback, a unix socket, or the one that was called. */
function parseEndpoint(text: string): Target {
  if (text.startsWith('unix://')) return { address: text, port: 0 }
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  const any = host === '' || host === '0.0.0.0' || host === '::'
  return { address: any ? 'original' : host, port: Number(text.slice(colon + 1)) }
}

type Pool = Pick<InboundPortSpec, 'connectionPool' | 'poolOrigin'>

/** Of the listener, else of the Sidecar, else of the service's DestinationRule, else of the mesh. */
class InboundPools {
  private readonly sidecar: Sidecar | undefined
  private readonly policies: PolicyIndex
  private readonly settings: PoolSettings
  private readonly client: Client

  constructor(sidecar: Sidecar | undefined, policies: PolicyIndex, client: Client) {
    this.sidecar = sidecar
    this.policies = policies
    this.settings = new PoolSettings(client)
    this.client = client
  }

  ofListener(connectionPool: ConnectionPool, index: number): Pool {
    const poolOrigin = this.sidecar?.originAt(['spec', 'ingress', index, 'connectionPool'])
    return { connectionPool: this.settings.for({ connectionPool }), poolOrigin }
  }

  of(service: MeshService | undefined, port: number): Pool {
    const own = this.sidecar?.spec.inboundConnectionPool
    if (own !== undefined) {
      const poolOrigin = this.sidecar?.originAt(['spec', 'inboundConnectionPool'])
      return { connectionPool: this.settings.for({ connectionPool: own }), poolOrigin }
    }
    const rule = service && this.policies.ruleFor(service)
    const blocks = blocksFor(rule, port, undefined)
    const place = blockPlace('connectionPool', rule, port, '', this.client)
    return { connectionPool: this.settings.for(blocks), poolOrigin: originOf(place) }
  }
}
