/** The short way from changed EndpointSlices to changed endpoint sets, where nothing else depends on them. */
import { type EndpointIndex, endpointSetKey, nameOf } from './compile-endpoints.ts'
import { canonicalAddress } from './compile-names.ts'
import type { MeshService } from './compile-registry.ts'
import { digestOf } from './compile-version.ts'
import type { EndpointSpec, Snapshot, WorkloadSpec } from './snapshot.ts'

export interface EndpointChange {
  readonly snapshot: Snapshot
  /** By host name: those the snapshot was compiled from. */
  readonly services: ReadonlyMap<string, MeshService>
  readonly workload: WorkloadSpec
  readonly before: EndpointIndex
  readonly endpoints: EndpointIndex
}

/** Undefined: more than endpoint sets may follow, compile everything. */
export function changedSets(change: EndpointChange): Snapshot['endpointSets'] | undefined {
  const { snapshot, services, before, endpoints } = change
  const changed = endpoints.changedSince(before)
  for (const name of changed) if (concernsWorkload(name, change)) return undefined
  const sets = new Map(snapshot.endpointSets)
  for (const service of services.values()) {
    const { sources, discovery, headless, hostname, ports } = service
    const [source] = sources
    if (source.kind !== 'Service' || !changed.has(nameOf(source))) continue
    // Those of headless services are listeners too.
    if (headless || discovery !== 'static') return undefined
    for (const port of ports)
      if (!replace(sets, endpointSetKey(port.number, hostname), endpoints.of(service, port)))
        return undefined
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

/** What is said of this workload's own addresses decides what it serves; without slices Pods say it. */
function concernsWorkload(
  service: string,
  { workload, before, endpoints }: EndpointChange,
): boolean {
  const own = new Set(workload.addresses)
  const sides = [before.slicesOf(service), endpoints.slicesOf(service)]
  if (sides.some((slices) => slices.length === 0)) return true
  return sides
    .flat()
    .some(({ spec }) =>
      spec.endpoints.some(({ addresses }) =>
        addresses.some((address) => own.has(canonicalAddress(address))),
      ),
    )
}
