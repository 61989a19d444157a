/**
 * What a new snapshot has in common with the one before stays the same object: the version is made
 * from what is new, and only that travels to the workers.
 */
import { digestOf } from './compile-version.ts'
import { sameItems } from './order.ts'
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
  for (const [key, part] of now) kept.set(key, orBefore(part, before.get(key)))
  return kept
}

function reuseListeners(
  now: readonly OutboundListenerSpec[],
  before: readonly OutboundListenerSpec[],
): readonly OutboundListenerSpec[] {
  const known = new Map(before.map((listener) => [placeOf(listener), listener]))
  const kept = now.map((listener) => {
    const old = known.get(placeOf(listener))
    if (old === undefined) return listener
    const http = listener.http && old.http ? reuseHosts(listener.http, old.http) : listener.http
    const same = http === old.http && isAlike({ ...listener, http: 0 }, { ...old, http: 0 })
    return same ? old : { ...listener, http }
  })
  return sameItems(kept, before) ? before : kept
}

function placeOf({ port, addresses }: OutboundListenerSpec): string {
  return `${port} ${addresses.join()}`
}

function reuseHosts(now: RouteTableSpec, before: RouteTableSpec): RouteTableSpec {
  const known = new Map(before.virtualHosts.map((host) => [host.name, host]))
  const virtualHosts = now.virtualHosts.map((host) => {
    const old = known.get(host.name)
    return old !== undefined && isSameHost(host, old) ? old : host
  })
  const same = sameItems(virtualHosts, before.virtualHosts) && now.name === before.name
  return same ? before : { ...now, virtualHosts }
}

/** Long lists of routes are shared by many hosts: compared by digests, which are remembered. */
function isSameHost(a: VirtualHostSpec, b: VirtualHostSpec): boolean {
  if (!isAlike({ ...a, routes: 0 }, { ...b, routes: 0 })) return false
  if (a.routes.length === 1) return isAlike(a.routes, b.routes)
  return digestOf(a.routes) === digestOf(b.routes)
}

function orBefore<Part>(now: Part, before: Part | undefined): Part {
  return before !== undefined && isAlike(now, before) ? before : now
}

/** Plain data that reads the same, in the same order. */
export function isAlike(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((item, at) => isAlike(item, b[at]))
  if (Array.isArray(b)) return false
  const names = Object.keys(a)
  const others = Object.keys(b)
  if (names.length !== others.length) return false
  return names.every(
    (name, at) =>
      name === others[at] && isAlike(a[name as keyof typeof a], b[name as keyof typeof b]),
  )
}
