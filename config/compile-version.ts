/** The version of a snapshot: the same content has the same version, whatever the order of the files. */
import { createHash } from 'node:crypto'
import type { Snapshot, VirtualHostSpec } from './snapshot.ts'

/** Parts that many hosts share are written once: a rule for a thousand services is hashed once. */
export function versionOf(snapshot: Omit<Snapshot, 'version'>): string {
  const digest = createHash('sha256')
  const write = (value: unknown) => digest.update(JSON.stringify(value)).update('\n')
  const seen = new Map<VirtualHostSpec['routes'], number>()
  const routes = (list: VirtualHostSpec['routes']): unknown => {
    const before = seen.get(list)
    if (before !== undefined) return before
    seen.set(list, seen.size)
    return list
  }
  const { workload, mesh, outbound, inbound, clusters, endpointSets } = snapshot
  write([workload, mesh, outbound.policy, inbound])
  for (const listener of outbound.listeners) {
    write({ ...listener, http: listener.http?.name })
    for (const host of listener.http?.virtualHosts ?? [])
      write({ ...host, routes: routes(host.routes) })
  }
  for (const cluster of clusters.values()) write(cluster)
  for (const [key, endpoints] of endpointSets) write([key, endpoints])
  return digest.digest('base64url').slice(0, 16)
}
