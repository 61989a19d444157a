/** Which kinds are read, by which schema, and which are known by name only. */
import { destinationRule } from './destination-rule.ts'
import { endpointSlice, namespace, pod, service } from './kubernetes.ts'
import { meshConfig } from './mesh-config.ts'
import type { Type } from './scalars.ts'
import { serviceEntry } from './service-entry.ts'
import { sidecar } from './sidecar.ts'
import { virtualService } from './virtual-service.ts'
import { workloadEntry } from './workload-entry.ts'

/** What a schema may need to know of the object around the spec. */
export interface Envelope {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

export interface KindSchema {
  readonly group: string
  readonly versions: readonly string[]
  /** Namespace objects have none. */
  readonly clusterScoped?: true
  /** True: the schema reads the whole object, which has no spec of its own. */
  readonly whole?: true
  /** The raw tree is dropped after reading: there may be very many of them. */
  readonly bulk?: true
  /** What was read may be dropped too, and read again when asked for. */
  readonly forgettable?: true
  readonly type: (envelope: Envelope) => Type
}

const NETWORKING = ['v1', 'v1beta1', 'v1alpha3']

/** A schema that depends on the namespace is built once per namespace. */
function perNamespace(
  build: (namespace: string, waypoint: boolean) => Type,
): (envelope: Envelope) => Type {
  const built = new Map<string, Type>()
  return ({ namespace, labels }) => {
    const waypoint = labels['istio.io/use-waypoint'] !== undefined
    const key = `${namespace} ${waypoint}`
    const known = built.get(key)
    if (known !== undefined) return known
    const type = build(namespace, waypoint)
    if (built.size > 10_000) built.clear()
    built.set(key, type)
    return type
  }
}

function networking(type: (envelope: Envelope) => Type): KindSchema {
  return { group: 'networking.istio.io', versions: NETWORKING, type }
}

export const KINDS: ReadonlyMap<string, KindSchema> = new Map<string, KindSchema>([
  ['Service', { group: '', versions: ['v1'], bulk: true, type: () => service }],
  ['Pod', { group: '', versions: ['v1'], whole: true, bulk: true, type: () => pod }],
  [
    'Namespace',
    { group: '', versions: ['v1'], clusterScoped: true, whole: true, type: () => namespace },
  ],
  [
    'EndpointSlice',
    {
      group: 'discovery.k8s.io',
      versions: ['v1', 'v1beta1'],
      whole: true,
      bulk: true,
      forgettable: true,
      type: () => endpointSlice,
    },
  ],
  ['VirtualService', networking(perNamespace(virtualService))],
  ['DestinationRule', networking(perNamespace(destinationRule))],
  ['ServiceEntry', networking(perNamespace(serviceEntry))],
  ['WorkloadEntry', networking(({ labels }) => workloadEntry(labels))],
  ['Sidecar', networking(perNamespace(sidecar))],
])

export const meshConfigSchema: Type = meshConfig

/** Istio's kinds that have no effect here so far: told for every object, never an error. */
export const NOT_YET_KINDS: ReadonlyMap<string, string> = new Map([
  ['Gateway', 'networking.istio.io'],
  ['EnvoyFilter', 'networking.istio.io'],
  ['WorkloadGroup', 'networking.istio.io'],
  ['ProxyConfig', 'networking.istio.io'],
  ['PeerAuthentication', 'security.istio.io'],
  ['RequestAuthentication', 'security.istio.io'],
  ['AuthorizationPolicy', 'security.istio.io'],
  ['Telemetry', 'telemetry.istio.io'],
  ['WasmPlugin', 'extensions.istio.io'],
])
