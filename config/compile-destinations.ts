/** Destinations to cluster names: which service, which port, and whether this workload sees it. */
import { type Client, placeOf, tell } from './compile-client.ts'
import { noEdits } from './compile-headers.ts'
import { isExported, resolveHost } from './compile-names.ts'
import type { MeshService, Of } from './compile-registry.ts'
import type { Alias } from './compile-scope.ts'
import type { Destination, RouteDestination } from './kinds.ts'
import type { Path } from './resource.ts'
import type { DestinationSpec } from './snapshot.ts'

export function clusterName(port: number, subset: string, hostname: string): string {
  return `outbound|${port}|${subset}|${hostname}`
}

type VirtualService = Of<'VirtualService'>

export class Destinations {
  private readonly client: Client
  /** Of all scopes together. */
  private readonly services: ReadonlyMap<string, MeshService>
  private readonly aliases: ReadonlyMap<string, Alias>
  /** Seen or not. */
  private readonly registry: readonly MeshService[]
  private hidden: Map<string, MeshService> | undefined
  private readonly told = new Set<string>()

  constructor(
    client: Client,
    services: ReadonlyMap<string, MeshService>,
    aliases: ReadonlyMap<string, Alias>,
    registry: readonly MeshService[],
  ) {
    this.client = client
    this.services = services
    this.aliases = aliases
    this.registry = registry
  }

  /** Without a port: that of the listener, even when the service has only another one. */
  forHttp(to: Destination, by: VirtualService, path: Path, listenerPort: number): string {
    const host = this.resolve(to, by, [...path, 'destination'], 'its requests are answered 503')
    return clusterName(to.port ?? listenerPort, to.subset, host)
  }

  /** `path`: that of the destination itself. */
  forMirror(to: Destination, by: VirtualService, path: Path, listenerPort: number): string {
    const host = this.resolve(to, by, path, 'no copies are sent')
    return clusterName(to.port ?? listenerPort, to.subset, host)
  }

  /** Without a port: the service's only one, else that of the listener. */
  forL4(
    route: readonly RouteDestination[],
    by: VirtualService,
    path: Path,
    listenerPort: number,
  ): DestinationSpec[] {
    return route.flatMap(({ destination, weight }, index) => {
      if (weight === 0 && route.length > 1) return []
      const at = [...path, 'route', index]
      const end = 'its requests are answered 503'
      const host = this.resolve(destination, by, [...at, 'destination'], end)
      const ports = this.services.get(host)?.ports ?? []
      const only = ports.length === 1 ? ports[0]!.number : undefined
      return {
        cluster: clusterName(destination.port ?? only ?? listenerPort, destination.subset, host),
        weight: weight === 0 ? 1 : weight,
        headers: noEdits,
        origin: by.originAt(at),
      }
    })
  }

  /** An alias stands for its target: rules for the alias's own name do not apply. */
  private resolve(to: Destination, by: VirtualService, path: Path, end: string): string {
    const written = resolveHost(to.host, by.namespace, this.client.domain)
    const host = this.aliases.get(written)?.target ?? written
    if (!this.services.has(host)) this.tellHidden(host, by, path, end)
    return host
  }

  /** Hosts that nobody has are told by the reference check; here those that only this workload misses. */
  private tellHidden(host: string, by: VirtualService, path: Path, end: string): void {
    this.hidden ??= new Map(this.registry.map((service) => [service.hostname, service]))
    const service = this.hidden.get(host)
    const key = `${by.namespace}/${by.name} ${path.join('.')}`
    if (service === undefined || this.told.has(key)) return
    this.told.add(key)
    const { namespace } = this.client
    const exported = isExported(service.exportTo, service.namespace, namespace)
    const why = exported
      ? `is not imported by the Sidecar of this workload`
      : `is not exported to namespace ${namespace}`
    tell(
      this.client,
      'warning',
      'OUT-HIDDEN',
      by,
      [...path, 'host'],
      `${host}, ${placeOf(service.sources[0])}, ${why}: ${end}`,
      exported ? 'Add it to egress.hosts.' : 'Add the namespace to its exportTo.',
    )
  }
}
