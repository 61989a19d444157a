/** Services of every source in one form: Kubernetes Services and ServiceEntries, by host name. */
import { canonicalAddress, canonicalPrefix } from './compile-names.ts'
import { declaredProtocol, serviceProtocol } from './compile-ports.ts'
import type { KnownResource, MeshConfigSpec } from './kinds.ts'
import { byAge } from './order.ts'
import type { ClusterSpec, PortProtocol } from './snapshot.ts'

export type Of<Kind extends string> = Extract<KnownResource, { kind: Kind }>

export interface MeshPort {
  readonly number: number
  readonly name: string
  /** How clients' bytes are taken: a Sidecar's listener may say otherwise than the service. */
  readonly protocol: PortProtocol
  /** What the service itself says. */
  readonly declared: PortProtocol
}

export interface MeshService {
  readonly hostname: string
  readonly namespace: string
  /** Name of the Service; the host of a ServiceEntry. */
  readonly name: string
  /** The Service, or the ServiceEntries of one namespace for this host, oldest first. */
  readonly sources:
    | readonly [Of<'Service'>]
    | readonly [Of<'ServiceEntry'>, ...Of<'ServiceEntry'>[]]
  readonly ports: readonly MeshPort[]
  /** Virtual addresses: IPs, or CIDRs of a ServiceEntry. */
  readonly addresses: readonly string[]
  readonly headless: boolean
  readonly discovery: ClusterSpec['discovery']
  readonly external: boolean
  readonly exportTo: readonly string[]
  /** Target of an ExternalName Service. */
  readonly externalName: string | undefined
}

/** All services, oldest first; one host may stand in several namespaces, and twice in one. */
export function buildRegistry(
  services: readonly Of<'Service'>[],
  entries: readonly Of<'ServiceEntry'>[],
  mesh: MeshConfigSpec,
  domain: string,
): MeshService[] {
  const found = services.map((service) => fromService(service, mesh, domain))
  found.push(...fromEntries(entries, mesh))
  return found.sort((a, b) => byAge(a.sources[0], b.sources[0]))
}

function fromService(service: Of<'Service'>, mesh: MeshConfigSpec, domain: string): MeshService {
  const { spec, name, namespace } = service
  const external = spec.type === 'ExternalName'
  const headless = spec.clusterIPs.includes('None')
  const ports: MeshPort[] = []
  for (const port of spec.ports) {
    const protocol = serviceProtocol(port)
    if (protocol !== undefined)
      ports.push({ number: port.port, name: port.name, protocol, declared: protocol })
  }
  const written = service.annotations['networking.istio.io/exportTo']
  return {
    hostname: `${name}.${namespace}.svc.${domain}`,
    namespace,
    name,
    sources: [service],
    ports,
    addresses: headless || external ? [] : spec.clusterIPs.map(canonicalAddress),
    headless,
    discovery: external ? 'strict-dns' : headless ? 'original-destination' : 'static',
    external,
    exportTo: splitExports(written) ?? mesh.defaultServiceExportTo,
    externalName: external ? (spec.externalName ?? '').replace(/\.$/, '') : undefined,
  }
}

function splitExports(annotation: string | undefined): string[] | undefined {
  const entries = annotation?.split(',').map((entry) => entry.trim())
  const written = entries?.filter((entry) => entry !== '') ?? []
  return written.length === 0 ? undefined : written
}

const DISCOVERY = {
  NONE: 'original-destination',
  STATIC: 'static',
  DNS: 'strict-dns',
  DNS_ROUND_ROBIN: 'logical-dns',
  DYNAMIC_DNS: 'dynamic-dns',
} as const

/** Entries of one namespace for one host are one service: ports are merged, oldest first. */
function fromEntries(entries: readonly Of<'ServiceEntry'>[], mesh: MeshConfigSpec): MeshService[] {
  const groups = new Map<string, [Of<'ServiceEntry'>, ...Of<'ServiceEntry'>[]]>()
  for (const entry of entries)
    for (const host of new Set(entry.spec.hosts)) {
      const key = `${entry.namespace}/${host}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [entry])
      else group.push(entry)
    }
  return [...groups].map(([key, group]) => fromGroup(key.slice(key.indexOf('/') + 1), group, mesh))
}

function fromGroup(
  hostname: string,
  group: readonly [Of<'ServiceEntry'>, ...Of<'ServiceEntry'>[]],
  mesh: MeshConfigSpec,
): MeshService {
  const [first] = group
  const ports = new Map<number, MeshPort>()
  for (const { spec } of group)
    for (const { number, name, protocol } of spec.ports) {
      const spoken = declaredProtocol(protocol)
      if (spoken === undefined || ports.has(number)) continue
      ports.set(number, { number, name, protocol: spoken, declared: spoken })
    }
  const addresses = group.flatMap(({ spec }) => spec.addresses.map(canonicalPrefix))
  const { exportTo } = first.spec
  return {
    hostname,
    namespace: first.namespace,
    name: hostname,
    sources: group,
    ports: [...ports.values()],
    addresses: [...new Set(addresses)],
    headless: false,
    discovery: DISCOVERY[first.spec.resolution],
    external: first.spec.location === 'MESH_EXTERNAL',
    exportTo: exportTo.length === 0 ? mesh.defaultServiceExportTo : exportTo,
    externalName: undefined,
  }
}

export function isKubernetes(service: MeshService): boolean {
  return service.sources[0].kind === 'Service'
}
