/** Resources to the Snapshot of one workload: pure, and the same for the same resources in any order. */
import type { Client } from './compile-client.ts'
import { buildClusters } from './compile-clusters.ts'
import { Destinations } from './compile-destinations.ts'
import { EndpointIndex } from './compile-endpoints.ts'
import { buildInbound } from './compile-inbound.ts'
import { L4Compiler } from './compile-l4.ts'
import { ListenerBuilder } from './compile-listeners.ts'
import { type MeshConfig, meshSettings, meshSpec, outboundPolicy } from './compile-mesh.ts'
import { PolicyIndex } from './compile-policies.ts'
import { buildRegistry, type MeshService, type Of } from './compile-registry.ts'
import { defaultRetries } from './compile-retries.ts'
import { RuleCompiler } from './compile-routes.ts'
import { type Alias, buildScopes, type Scope, selectSidecar } from './compile-scope.ts'
import { TableBuilder } from './compile-tables.ts'
import { versionOf } from './compile-version.ts'
import { meshRoutes } from './compile-virtual-services.ts'
import { compareProblems } from './diagnostics.ts'
import type { KnownResource } from './kinds.ts'
import { byAge } from './load.ts'
import type { Problem } from './resource.ts'
import type { OutboundListenerSpec, Snapshot, WorkloadSpec } from './snapshot.ts'

export interface CompileOptions {
  /** DNS domain of the mesh; `cluster.local` when not given. */
  readonly domain?: string
}

export interface Compiled {
  readonly snapshot: Snapshot
  /** What only this workload's view shows: names that must resolve are checked by load(). */
  readonly problems: readonly Problem[]
}

/** `resources`: those of load(), refused objects already left out or replaced by their last good version. */
export function compile(
  resources: readonly KnownResource[],
  workload: WorkloadSpec,
  options: CompileOptions = {},
): Compiled {
  const sorted = new Sorted(resources)
  const config: MeshConfig | undefined = sorted.of('MeshConfig')[0]
  const client: Client = {
    workload,
    namespace: workload.namespace,
    labels: workload.labels,
    domain: options.domain ?? 'cluster.local',
    mesh: meshSettings(config),
    meshConfig: config,
    problems: [],
  }
  const registry = buildRegistry(
    sorted.of('Service'),
    sorted.of('ServiceEntry'),
    client.mesh,
    client.domain,
  )
  const pods = sorted.unordered('Pod')
  const slices = sorted.unordered('EndpointSlice')
  const endpoints = new EndpointIndex(pods, slices, sorted.unordered('WorkloadEntry'), workload)
  const sidecar = selectSidecar(sorted.of('Sidecar'), client)
  const routes = meshRoutes(sorted.of('VirtualService'), client)
  const scopes = buildScopes(registry, routes, sidecar, client)
  const services = union(scopes)
  const aliases = new Map<string, Alias>(scopes.flatMap((scope) => [...scope.aliases]))
  const destinations = new Destinations(client, services, aliases, registry)
  const rules = new RuleCompiler(client, destinations, defaultRetries(config))
  const listeners = buildListeners(scopes, client, endpoints, destinations, rules)
  const policies = new PolicyIndex(sorted.of('DestinationRule'), client)
  const content = {
    workload,
    mesh: meshSpec(client.mesh, client.domain),
    outbound: { policy: outboundPolicy(sidecar, config), listeners },
    inbound: buildInbound(registry, endpoints, sidecar, client),
    ...buildClusters(services.values(), endpoints, policies, client),
  }
  const snapshot = { version: versionOf(content), ...content }
  return { snapshot, problems: client.problems.sort(compareProblems) }
}

function buildListeners(
  scopes: readonly Scope[],
  client: Client,
  endpoints: EndpointIndex,
  destinations: Destinations,
  rules: RuleCompiler,
): OutboundListenerSpec[] {
  const builder = new ListenerBuilder(client, endpoints)
  for (const scope of scopes)
    builder.add(
      scope,
      new TableBuilder(scope, client, rules),
      new L4Compiler(client, destinations, scope.routes),
    )
  return builder.done()
}

/** All services any scope sees, with all ports that any of them shows. */
function union(scopes: readonly Scope[]): Map<string, MeshService> {
  const all = new Map<string, MeshService>()
  for (const { services } of scopes)
    for (const [hostname, service] of services) {
      const before = all.get(hostname)
      if (before === undefined) all.set(hostname, service)
      else {
        const missing = service.ports.filter(
          ({ number }) => !before.ports.some((port) => port.number === number),
        )
        all.set(hostname, { ...before, ports: [...before.ports, ...missing] })
      }
    }
  return all
}

/** Resources by kind, oldest first where order decides. */
class Sorted {
  private readonly kinds = new Map<string, KnownResource[]>()

  constructor(resources: readonly KnownResource[]) {
    for (const resource of resources) {
      const list = this.kinds.get(resource.kind)
      if (list === undefined) this.kinds.set(resource.kind, [resource])
      else list.push(resource)
    }
  }

  of<Kind extends KnownResource['kind']>(kind: Kind): Of<Kind>[] {
    return this.unordered(kind).sort(byAge)
  }

  /** For kinds of which there are very many, where order decides nothing. */
  unordered<Kind extends KnownResource['kind']>(kind: Kind): Of<Kind>[] {
    return (this.kinds.get(kind) ?? []) as Of<Kind>[]
  }
}
