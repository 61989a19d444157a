/** What a workload may see: one scope per egress listener of its Sidecar, or one with everything exported to it. */
import { type Client, tell } from './compile-client.ts'
import type { Sidecar } from './compile-mesh.ts'
import { hasLabels, isExported, resolveHost } from './compile-names.ts'
import { declaredProtocol } from './compile-ports.ts'
import { isKubernetes, type MeshService } from './compile-registry.ts'
import type { MeshRoutes } from './compile-virtual-services.ts'
import type { HttpRoute, SidecarSpec } from './kinds.ts'
import { hostsMeet } from './schema/hosts.ts'
import type { DoorSpec, PortProtocol } from './snapshot.ts'

export interface Scope {
  /** Undefined: the catch-all, for every port. */
  readonly listener: EgressListener | undefined
  readonly door: DoorSpec | undefined
  /** By host name, oldest first. ExternalName aliases are not among them. */
  readonly services: ReadonlyMap<string, MeshService>
  /** Alias host to the host it stands for. */
  readonly aliases: ReadonlyMap<string, Alias>
  readonly routes: readonly MeshRoutes[]
}

export interface Alias {
  readonly hostname: string
  readonly target: string
  readonly service: MeshService
}

export interface EgressListener {
  readonly port: number
  readonly protocol: PortProtocol
  /** Undefined: the services' own addresses. */
  readonly bind: string | undefined
}

/** What the Sidecar's egress listeners open without capture. */
export function doorsOf(scopes: readonly Scope[]): DoorSpec[] {
  return scopes.flatMap(({ door }) => (door === undefined ? [] : [door]))
}

type Egress = NonNullable<SidecarSpec['egress']>[number]

/** Own namespace with a selector that fits, own namespace without selector, root namespace without. */
export function selectSidecar(all: readonly Sidecar[], client: Client): Sidecar | undefined {
  const own = all.filter(({ namespace }) => namespace === client.namespace)
  const general = ({ spec }: Sidecar) => Object.keys(spec.workloadSelector ?? {}).length === 0
  return (
    own.find((one) => !general(one) && hasLabels(client.labels, one.spec.workloadSelector!)) ??
    own.find(general) ??
    all.find((one) => one.namespace === client.mesh.rootNamespace && general(one))
  )
}

export function buildScopes(
  registry: readonly MeshService[],
  routes: readonly MeshRoutes[],
  sidecar: Sidecar | undefined,
  client: Client,
): Scope[] {
  const visible = registry.filter(({ exportTo, namespace }) =>
    isExported(exportTo, namespace, client.namespace),
  )
  const all = chooseByHost(visible, client)
  const aliases = findAliases(all)
  const egress = sidecar?.spec.egress ?? []
  if (sidecar === undefined || egress.length === 0)
    return [scopeOf(undefined, undefined, all, aliases, routes)]
  return egress.map((listener, index) => {
    const imports = listener.hosts.map((host) => parseImport(host, client))
    const chosen = imported(visible, routes, imports, client)
    const kept = routes.filter(({ source, hosts }) =>
      hosts.some((host) => selects(imports, source.namespace, host)),
    )
    const door = egressDoor(sidecar, listener, index, client)
    return scopeOf(egressListener(listener), door, chosen, aliases, kept)
  })
}

function scopeOf(
  listener: EgressListener | undefined,
  door: DoorSpec | undefined,
  chosen: ReadonlyMap<string, MeshService>,
  aliases: ReadonlyMap<string, Alias>,
  routes: readonly MeshRoutes[],
): Scope {
  const services = new Map<string, MeshService>()
  const known = new Map<string, Alias>()
  for (const [hostname, service] of chosen) {
    const alias = aliases.get(hostname)
    if (alias !== undefined) known.set(hostname, alias)
    else if (listener === undefined) services.set(hostname, service)
    else {
      const { port: wanted, protocol } = listener
      const own = service.ports.filter(({ number }) => number === wanted)
      const ports = protocol === 'auto' ? own : own.map((port) => ({ ...port, protocol }))
      if (ports.length > 0) services.set(hostname, { ...service, ports })
    }
  }
  return { listener, door, services, aliases: known, routes }
}

/** One service per host: that of the client's namespace, else the Kubernetes one, else the oldest. */
function chooseByHost(candidates: Iterable<MeshService>, client: Client): Map<string, MeshService> {
  const best = new Map<string, MeshService>()
  const rank = (service: MeshService) =>
    (service.namespace === client.namespace ? 0 : 2) + (isKubernetes(service) ? 0 : 1)
  for (const service of candidates) {
    const before = best.get(service.hostname)
    if (before === undefined || rank(service) < rank(before)) best.set(service.hostname, service)
  }
  return best
}

/** ExternalName Services whose name belongs to a known service; chains are followed, loops are none. */
function findAliases(services: ReadonlyMap<string, MeshService>): Map<string, Alias> {
  const aliases = new Map<string, Alias>()
  for (const service of services.values()) {
    if (service.externalName === undefined) continue
    const seen = new Set([service.hostname])
    let target = services.get(service.externalName)
    while (target?.externalName !== undefined && !seen.has(target.hostname)) {
      seen.add(target.hostname)
      const next = services.get(target.externalName)
      if (next === undefined) break
      target = next
    }
    if (target === undefined) continue
    const { hostname } = service
    aliases.set(hostname, { hostname, target: target.hostname, service })
  }
  return aliases
}

// --- imports of a Sidecar ---------------------------------------------------------------------------
interface Import {
  readonly excludes: boolean
  /** `*`: any. */
  readonly namespace: string
  readonly host: string
}

function parseImport(text: string, client: Client): Import {
  const slash = text.indexOf('/')
  const excludes = text.startsWith('~')
  const namespace = text.slice(excludes ? 1 : 0, slash)
  const named = namespace === '.' ? client.namespace : namespace === '' ? '*' : namespace
  return { excludes, namespace: named, host: text.slice(slash + 1) }
}

function fits(entry: Import, namespace: string, host: string): boolean {
  return (
    (entry.namespace === '*' || entry.namespace === namespace) &&
    (entry.host === '*' || hostsMeet(entry.host, host))
  )
}

function isExcluded(imports: readonly Import[], namespace: string, host: string): boolean {
  return imports.some((entry) => entry.excludes && fits(entry, namespace, host))
}

function selects(imports: readonly Import[], namespace: string, host: string): boolean {
  return (
    imports.some((entry) => !entry.excludes && fits(entry, namespace, host)) &&
    !isExcluded(imports, namespace, host)
  )
}

/** Listed services, and those to which an imported VirtualService leads. */
function imported(
  visible: readonly MeshService[],
  routes: readonly MeshRoutes[],
  imports: readonly Import[],
  client: Client,
): Map<string, MeshService> {
  const listed = chooseByHost(
    visible.filter(({ namespace, hostname }) => selects(imports, namespace, hostname)),
    client,
  )
  const wanted = new Set<string>()
  for (const one of routes)
    if (one.hosts.some((host) => selects(imports, one.source.namespace, host)))
      for (const host of destinations(one, client)) if (!listed.has(host)) wanted.add(host)
  const led = visible.filter(
    ({ hostname, namespace }) => wanted.has(hostname) && !isExcluded(imports, namespace, hostname),
  )
  return new Map([...listed, ...chooseByHost(led, client)])
}

function mirrorsOf({ mirror, mirrors = [] }: HttpRoute): NonNullable<HttpRoute['mirrors']> {
  return mirror === undefined ? mirrors : [{ destination: mirror }, ...mirrors]
}

function* destinations(routes: MeshRoutes, client: Client): Generator<string> {
  for (const { source, route } of routes.http)
    for (const { destination } of [...route.route, ...mirrorsOf(route)])
      yield resolveHost(destination.host, source.namespace, client.domain)
  const { spec, namespace } = routes.source
  for (const { route } of [...spec.tls, ...spec.tcp])
    for (const { destination } of route)
      yield resolveHost(destination.host, namespace, client.domain)
}

/** Undefined: hosts on all of their ports, for captured traffic or for clients that name the port. */
function egressListener({ bind, captureMode, port }: Egress): EgressListener | undefined {
  if (port === undefined || port.number === 0) return undefined
  const { number, protocol } = port
  if (captureMode === 'NONE' && protocol === 'HTTP_PROXY') return undefined
  const own = captureMode === 'NONE' ? loopback : undefined
  return {
    port: number,
    protocol: declaredProtocol(protocol) ?? 'auto',
    bind: bind === '' ? own : bind,
  }
}

const loopback = '127.0.0.1'

/** Without capture the listener has to be opened; in a unix socket only HTTP says where it wants to go. */
function egressDoor(
  sidecar: Sidecar,
  { bind, captureMode, port }: Egress,
  index: number,
  client: Client,
): DoorSpec | undefined {
  const path = ['spec', 'egress', index]
  const where = `spec.egress[${index}]`
  const unix = bind.startsWith('unix://')
  if (captureMode !== 'NONE' && !unix) return undefined
  if (port === undefined && !unix) {
    const message = `${where}.captureMode: NONE without a port opens nothing: captured traffic is served`
    tell(client, 'warning', 'OUT-DOOR', sidecar, [...path, 'captureMode'], message, 'Add a port.')
    return undefined
  }
  const protocol = declaredProtocol(port?.protocol ?? 'HTTP') ?? 'auto'
  if (unix && protocol !== 'http') {
    const message = `${where}.bind: only HTTP is served in a unix socket, opaque bytes name no host`
    tell(client, 'warning', 'OUT-DOOR', sidecar, [...path, 'bind'], message, 'Use protocol HTTP.')
    return undefined
  }
  const origin = sidecar.originAt(path)
  if (unix) return { address: bind, port: 0, kind: 'proxy', origin }
  const kind = port!.protocol === 'HTTP_PROXY' ? 'proxy' : 'listener'
  return { address: bind || loopback, port: port!.number, kind, origin }
}
