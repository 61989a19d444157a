/** Compiles YAML written in a test for a workload of namespace `default`. */
import { type CompileOptions, compile } from '../../config/compile.ts'
import { load, type SourceFile } from '../../config/load.ts'
import type { Problem } from '../../config/resource.ts'
import type {
  ClusterSpec,
  ForwardSpec,
  OutboundListenerSpec,
  RouteSpec,
  Snapshot,
  VirtualHostSpec,
  WorkloadSpec,
} from '../../config/snapshot.ts'

export function workload(parts: Partial<WorkloadSpec> = {}): WorkloadSpec {
  return {
    name: 'client-1',
    namespace: 'default',
    serviceAccount: 'client',
    labels: { app: 'client' },
    addresses: ['10.1.0.1'],
    ...parts,
  }
}

/** A compiled snapshot with the questions tests ask. */
export class View {
  readonly snapshot: Snapshot
  readonly problems: readonly Problem[]

  constructor(snapshot: Snapshot, problems: readonly Problem[]) {
    this.snapshot = snapshot
    this.problems = problems
  }

  listener(port: number, address?: string): OutboundListenerSpec | undefined {
    return this.snapshot.outbound.listeners.find(
      (one) =>
        one.port === port &&
        (address === undefined ? one.addresses.length === 0 : one.addresses.includes(address)),
    )
  }

  /** The virtual host that answers to exactly this domain. */
  host(port: number, domain: string, address?: string): VirtualHostSpec | undefined {
    return this.listener(port, address)?.http?.virtualHosts.find(({ domains }) =>
      domains.includes(domain),
    )
  }

  routes(port: number, domain: string): readonly RouteSpec[] {
    return this.host(port, domain)?.routes ?? []
  }

  /** `path -> cluster xWeight, ...` of every route of a host. */
  told(port: number, domain: string): string[] {
    return this.routes(port, domain).map(tellRoute)
  }

  cluster(name: string): ClusterSpec | undefined {
    return this.snapshot.clusters.get(name)
  }

  /** `address:port` of a cluster's endpoints that its subset selects. */
  endpoints(name: string): string[] {
    const cluster = this.cluster(name)
    const set = this.snapshot.endpointSets.get(cluster?.endpointSet ?? '') ?? []
    const wanted = Object.entries(cluster?.subsetLabels ?? {})
    return set
      .filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value))
      .map(({ address, port }) => `${address}:${port}`)
  }
}

function tellRoute({ path, name, action }: RouteSpec): string {
  const label = path === '' ? name : path
  if (action.kind !== 'forward') return `${label} -> ${action.kind} ${action.status}`
  return `${label} -> ${legs(action)}`
}

function legs({ destinations }: ForwardSpec): string {
  const short = (cluster: string) => cluster.replace('.default.svc.cluster.local', '')
  return destinations.map(({ cluster, weight }) => `${short(cluster)} x${weight}`).join(', ')
}

/** The action of a route that forwards. */
export function forwarding(route: RouteSpec | undefined): ForwardSpec {
  if (route?.action.kind !== 'forward') throw new TypeError('the route does not forward')
  return route.action
}

export function viewOf(
  yaml: string | readonly SourceFile[],
  parts: Partial<WorkloadSpec> = {},
  options: CompileOptions = {},
): View {
  const files = typeof yaml === 'string' ? [{ path: 'mesh.yaml', text: yaml }] : yaml
  const loaded = load(files)
  if (loaded.refused.length > 0 || loaded.unreadableFiles.length > 0)
    throw new TypeError(`the test's YAML is refused: ${JSON.stringify(loaded.problems)}`)
  const { snapshot, problems } = compile(loaded.resources, workload(parts), options)
  return new View(snapshot, problems)
}

// --- YAML in few words ---------------------------------------------------------------------------------
interface ServiceParts {
  readonly namespace?: string
  readonly clusterIP?: string
  readonly created?: string
  readonly annotations?: Readonly<Record<string, string>>
  /** `name:port[:targetPort]`, the name may be empty. */
  readonly ports: readonly string[]
  readonly more?: Readonly<Record<string, unknown>>
}

function document(value: unknown): string {
  return `${JSON.stringify(value, undefined, 1)}\n---\n`
}

export function service(name: string, parts: ServiceParts): string {
  const { namespace = 'default', clusterIP, ports, annotations = {}, more = {}, created } = parts
  return document({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations, ...(created ? { creationTimestamp: created } : {}) },
    spec: {
      ...(clusterIP === undefined ? {} : { clusterIP }),
      selector: { app: name },
      ports: ports.map((text) => {
        const [portName, port, targetPort] = text.split(':')
        return {
          ...(portName === '' ? {} : { name: portName }),
          port: Number(port),
          ...(targetPort === undefined
            ? {}
            : { targetPort: /^\d+$/.test(targetPort) ? Number(targetPort) : targetPort }),
        }
      }),
      ...more,
    },
  })
}

export function pod(
  name: string,
  ip: string,
  labels: Readonly<Record<string, string>>,
  parts: {
    readonly namespace?: string
    readonly ready?: boolean
    readonly spec?: Readonly<Record<string, unknown>>
    readonly phase?: string
  } = {},
): string {
  const { namespace = 'default', ready = true, spec = {}, phase = 'Running' } = parts
  return document({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { serviceAccountName: `sa-${name}`, ...spec },
    status: {
      phase,
      podIP: ip,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  })
}

/** Any Istio object: `istio('VirtualService', 'a', {...spec}, {namespace: 'prod'})`. */
export function istio(
  kind: string,
  name: string,
  spec: unknown,
  metadata: Readonly<Record<string, unknown>> = {},
): string {
  return document({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name, namespace: 'default', ...metadata },
    spec,
  })
}
