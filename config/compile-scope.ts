/** What a workload may see: one scope per egress listener of its Sidecar, or one with everything exported to it. */
import { type Client, tell } from './compile-client.ts'
import type { Sidecar } from './compile-mesh.ts'
import { hasLabels, isExported, resolveHost } from './compile-names.ts'
import { declaredProtocol } from './compile-ports.ts'
import { isKubernetes, type MeshService } from './compile-registry.ts'
import type { MeshRoutes } from './compile-virtual-services.ts'
import type { SidecarSpec } from './kinds.ts'
import { hostsMeet } from './schema/hosts.ts'
import type { PortProtocol } from './snapshot.ts'

export interface Scope {
  /** Undefined: the catch-all, for every port. */
  readonly listener: EgressListener | undefined
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
    return [scopeOf(undefined, all, aliases, routes)]
  return egress.map((listener, index) => {
    const imports = listener.hosts.map((host) => parseImport(host, client))
    const chosen = imported(visible, routes, imports, client)
    const kept = routes.filter(({ source, hosts }) =>
      hosts.some((host) => selects(imports, source.namespace, host)),
    )
    return scopeOf(egressListener(sidecar, listener, index, client), chosen, aliases, kept)
  })
}

function scopeOf(
  listener: EgressListener | undefined,
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
  return { listener, services, aliases: known, routes }
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

function egressListener(
  sidecar: Sidecar,
  egress: Egress,
  index: number,
  client: Client,
): EgressListener | undefined {
  const path = ['spec', 'egress', index]
  const notYet = (field: string, what: string) =>
    tell(
      client,
      'warning',
      'OUT-NOTYET',
      sidecar,
      [...path, field],
      `spec.egress[${index}].${field}: ${what}`,
    )
  if (egress.captureMode === 'NONE')
    notYet(
      'captureMode',
      'NONE is known, not yet implemented: no port is opened, captured traffic is served',
    )
  if (egress.bind.startsWith('unix://'))
    notYet('bind', 'unix sockets are known, not yet implemented: nothing listens there')
  if (egress.port === undefined) return undefined
  const { number, protocol } = egress.port
  if (protocol === 'HTTP_PROXY')
    notYet('port', 'HTTP_PROXY is known, not yet implemented: the port is served as HTTP')
  return {
    port: number,
    protocol: declaredProtocol(protocol) ?? 'auto',
    bind: egress.bind === '' || egress.bind.startsWith('unix://') ? undefined : egress.bind,
  }
}
