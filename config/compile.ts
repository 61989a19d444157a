/** Resources to the Snapshot of one workload: pure, and the same for the same resources in any order. */
import type { Client } from './compile-client.ts'
import { buildClusters } from './compile-clusters.ts'
import { Destinations } from './compile-destinations.ts'
import { changedSets, servicesByName } from './compile-endpoint-change.ts'
import { EndpointIndex } from './compile-endpoints.ts'
import { buildInbound } from './compile-inbound.ts'
import { L4Compiler } from './compile-l4.ts'
import { ListenerBuilder } from './compile-listeners.ts'
import { type MeshConfig, meshSettings, meshSpec, outboundPolicy } from './compile-mesh.ts'
import { PolicyIndex } from './compile-policies.ts'
import { buildRegistry, type MeshService, type Of } from './compile-registry.ts'
import { defaultRetries, inboundRetries } from './compile-retries.ts'
import { reuse } from './compile-reuse.ts'
import { RuleCompiler } from './compile-routes.ts'
import { type Alias, buildScopes, doorsOf, type Scope, selectSidecar } from './compile-scope.ts'
import { TableBuilder } from './compile-tables.ts'
import { asksForNodes } from './compile-traffic-distribution.ts'
import { versionOf } from './compile-version.ts'
import { meshRoutes } from './compile-virtual-services.ts'
import { compareProblems } from './diagnostics.ts'
import type { KnownResource } from './kinds.ts'
import { byAge, sameItems } from './order.ts'
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
  return new Compiler(workload, options).compile(resources)
}

/** A compilation with what the next one may build on. */
interface Done {
  readonly compiled: Compiled
  readonly inputs: Inputs
  readonly endpoints: EndpointIndex
  readonly services: ReadonlyMap<string, readonly MeshService[]>
  /** Policies depend on endpoints too. */
  readonly countsCallers: boolean
}

/** Compiles again and again, with the result of compile(): parts that stay the same are the same objects. */
export class Compiler {
  private readonly workload: WorkloadSpec
  private readonly options: CompileOptions
  private last: Done | undefined

  constructor(workload: WorkloadSpec, options: CompileOptions = {}) {
    this.workload = workload
    this.options = options
  }

  compile(resources: readonly KnownResource[]): Compiled {
    const inputs = inputsOf(resources)
    this.last = this.changeEndpoints(inputs) ?? this.compileAll(resources, inputs)
    // What came of them is kept: the next time only those that changed are looked at.
    for (const slice of inputs.slices) slice.forget?.()
    return this.last.compiled
  }

  /** The short way, where only EndpointSlices changed and nothing but endpoints follows from them. */
  private changeEndpoints(inputs: Inputs): Done | undefined {
    const { last, workload } = this
    if (last === undefined || last.countsCallers) return undefined
    if (!sameItems(last.inputs.others, inputs.others)) return undefined
    const { snapshot, problems } = last.compiled
    const { endpoints: before, services } = last
    const endpoints = before.withSlices(inputs.slices)
    const endpointSets = changedSets({ snapshot, services, workload, before, endpoints })
    if (endpointSets === undefined) return undefined
    const { version: _, ...content } = { ...snapshot, endpointSets }
    const compiled = { snapshot: { version: versionOf(content), ...content }, problems }
    return { ...last, compiled, inputs, endpoints }
  }

  private compileAll(resources: readonly KnownResource[], inputs: Inputs): Done {
    const { workload, options, last } = this
    const { endpoints, services, content, problems } = compileContent(
      resources,
      workload,
      options,
      last?.endpoints,
    )
    endpoints.prune()
    const kept = reuse(content, last?.compiled.snapshot)
    const compiled = { snapshot: { version: versionOf(kept), ...kept }, problems }
    const byName = servicesByName(services.values())
    return { compiled, inputs, endpoints, services: byName, countsCallers: countsCallers(kept) }
  }
}

function countsCallers({ clusters }: Omit<Snapshot, 'version'>): boolean {
  for (const { loadBalancer } of clusters.values())
    if (loadBalancer.locality?.balance !== undefined) return true
  return false
}

function compileContent(
  resources: readonly KnownResource[],
  workload: WorkloadSpec,
  options: CompileOptions,
  before: EndpointIndex | undefined,
) {
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
  const entries = sorted.unordered('WorkloadEntry')
  const policyRules = sorted.of('DestinationRule')
  const tellsNodes = asksForNodes(registry, policyRules, client.mesh)
  const endpoints = new EndpointIndex(pods, slices, entries, workload, before, tellsNodes)
  const sidecar = selectSidecar(sorted.of('Sidecar'), client)
  const routes = meshRoutes(sorted.of('VirtualService'), client)
  const scopes = buildScopes(registry, routes, sidecar, client)
  const services = union(scopes)
  const aliases = new Map<string, Alias>(scopes.flatMap((scope) => [...scope.aliases]))
  const destinations = new Destinations(client, services, aliases, registry)
  const rules = new RuleCompiler(client, destinations, defaultRetries(config))
  const listeners = buildListeners(scopes, client, endpoints, destinations, rules)
  const policies = new PolicyIndex(policyRules, client)
  const content = {
    workload,
    mesh: meshSpec(client.mesh, client.domain, inboundRetries(config)),
    outbound: {
      policy: outboundPolicy(sidecar, config, client.domain),
      listeners,
      doors: doorsOf(scopes),
    },
    inbound: buildInbound(registry, endpoints, sidecar, policies, client),
    ...buildClusters(services.values(), registry, endpoints, policies, client),
  }
  return { endpoints, services, content, problems: client.problems.sort(compareProblems) }
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

/** What is compiled, apart from what changes far oftener than the rest. */
interface Inputs {
  readonly others: readonly KnownResource[]
  readonly slices: readonly Of<'EndpointSlice'>[]
}

function inputsOf(resources: readonly KnownResource[]): Inputs {
  const others: KnownResource[] = []
  const slices: Of<'EndpointSlice'>[] = []
  for (const resource of resources) {
    if (resource.kind === 'EndpointSlice') slices.push(resource)
    else others.push(resource)
  }
  return { others, slices }
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
