/** The short way from changed EndpointSlices to changed endpoint sets, where nothing else depends on them. */
import { type EndpointIndex, endpointSetKey } from './compile-endpoints.ts'
import { put } from './compile-labels.ts'
import { canonicalAddress } from './compile-names.ts'
import type { MeshService } from './compile-registry.ts'
import { serviceName } from './compile-slices.ts'
import { digestOf } from './compile-version.ts'
import type { EndpointSpec, Snapshot, WorkloadSpec } from './snapshot.ts'

export interface EndpointChange {
  readonly snapshot: Snapshot
  /** Kubernetes' among those the snapshot was compiled from, by namespace and name. */
  readonly services: ReadonlyMap<string, readonly MeshService[]>
  readonly workload: WorkloadSpec
  readonly before: EndpointIndex
  readonly endpoints: EndpointIndex
}

/** Undefined: more than endpoint sets may follow, compile everything. */
export function changedSets(change: EndpointChange): Snapshot['endpointSets'] | undefined {
  const { snapshot, services, before, endpoints } = change
  const changed = endpoints.slices.changedSince(before.slices)
  for (const name of changed) if (concernsWorkload(name, change)) return undefined
  const sets = new Map(snapshot.endpointSets)
  for (const name of changed)
    for (const service of services.get(name) ?? []) {
      // Those of headless services are listeners too.
      if (service.headless || service.discovery !== 'static') return undefined
      for (const port of service.ports) {
        const key = endpointSetKey(port.number, service.hostname)
        if (!replace(sets, key, endpoints.of(service, port))) return undefined
      }
    }
  return sets
}

function replace(
  sets: Map<string, readonly EndpointSpec[]>,
  key: string,
  found: readonly EndpointSpec[],
): boolean {
  const old = sets.get(key)
  if (old === undefined) return false
  if (digestOf(old) !== digestOf(found)) sets.set(key, found)
  return true
}

/** Services of Kubernetes, as slices name them. */
export function servicesByName(services: Iterable<MeshService>): Map<string, MeshService[]> {
  const found = new Map<string, MeshService[]>()
  for (const service of services) {
    const [source] = service.sources
    if (source.kind === 'Service') put(found, serviceName(source), service)
  }
  return found
}

/** What is said of this workload's own addresses decides what it serves; without slices Pods say it. */
function concernsWorkload(
  service: string,
  { workload, before, endpoints }: EndpointChange,
): boolean {
  const own = new Set(workload.addresses)
  const sides = [before, endpoints].map(({ slices }) => slices.of(service) ?? [])
  if (sides.some((slices) => slices.length === 0)) return true
  return sides
    .flat()
    .some(({ spec }) =>
      spec.endpoints.some(({ addresses }) =>
        addresses.some((address) => own.has(canonicalAddress(address))),
      ),
    )
}
