/**
 * What a new snapshot has in common with the one before stays the same object: the version is made
 * from what is new, and only that travels to the workers.
 */
import { digestOf, digestOfHost, digestOfListener } from './compile-version.ts'
import type {
  EndpointSpec,
  OutboundListenerSpec,
  RouteTableSpec,
  Snapshot,
  VirtualHostSpec,
} from './snapshot.ts'

type Content = Omit<Snapshot, 'version'>

export function reuse(now: Content, before: Content | undefined): Content {
  if (before === undefined) return now
  const listeners = reuseListeners(now.outbound.listeners, before.outbound.listeners)
  return {
    ...now,
    outbound: { ...now.outbound, listeners },
    clusters: reuseValues(now.clusters, before.clusters),
    endpointSets: reuseValues<readonly EndpointSpec[]>(now.endpointSets, before.endpointSets),
  }
}

function reuseValues<Part extends object>(
  now: ReadonlyMap<string, Part>,
  before: ReadonlyMap<string, Part>,
): ReadonlyMap<string, Part> {
  const kept = new Map<string, Part>()
  for (const [key, part] of now) kept.set(key, same(part, before.get(key), digestOf))
  return kept
}

function reuseListeners(
  now: readonly OutboundListenerSpec[],
  before: readonly OutboundListenerSpec[],
): OutboundListenerSpec[] {
  const known = new Map(before.map((listener) => [placeOf(listener), listener]))
  return now.map((listener) => {
    const old = known.get(placeOf(listener))
    const kept = same(listener, old, digestOfListener)
    if (kept !== listener || listener.http === undefined || old?.http === undefined) return kept
    return { ...listener, http: reuseHosts(listener.http, old.http) }
  })
}

function placeOf({ port, addresses }: OutboundListenerSpec): string {
  return `${port} ${addresses.join()}`
}

function reuseHosts(now: RouteTableSpec, before: RouteTableSpec): RouteTableSpec {
  const known = new Map(before.virtualHosts.map((host) => [host.name, host]))
  const virtualHosts = now.virtualHosts.map((host: VirtualHostSpec) =>
    same(host, known.get(host.name), digestOfHost),
  )
  return { ...now, virtualHosts }
}

function same<Part extends object>(
  now: Part,
  before: Part | undefined,
  digest: (part: Part) => string,
): Part {
  return before !== undefined && digest(before) === digest(now) ? before : now
}
