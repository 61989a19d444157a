/** Where endpoints are, seen from this proxy: how near each one is, and which share a place gets. */
import type { EndpointSpec, LocalitySpec } from '../../config/snapshot.ts'

/** What Istio adds to the labels of an endpoint from its place. */
export function labelOf(spec: EndpointSpec, label: string): string | undefined {
  const written = spec.labels[label]
  if (written !== undefined) return written
  switch (label) {
    case 'topology.kubernetes.io/region':
      return partOf(spec.locality, 0)
    case 'topology.kubernetes.io/zone':
      return partOf(spec.locality, 1)
    case 'topology.istio.io/subzone':
      return partOf(spec.locality, 2)
    case 'kubernetes.io/hostname':
      return spec.node
    case 'topology.istio.io/network':
      return spec.network
    default:
      return undefined
  }
}

function partOf(locality: string, part: number): string | undefined {
  return locality.split('/')[part] || undefined
}

/** 0 is nearest; numbers may be left out. */
export function rankOf(spec: EndpointSpec, { labels, regions, own }: LocalitySpec): number {
  const rank = labels === undefined ? 0 : unlike(spec, labels)
  return regions === undefined ? rank : rank * 5 + distance(spec.locality, own, regions.next)
}

/** How many labels, from the first that differs to the last, cannot be counted as equal. */
function unlike(
  spec: EndpointSpec,
  labels: ReadonlyArray<readonly [label: string, value: string]>,
): number {
  const differs = labels.findIndex(([label, value]) => (labelOf(spec, label) ?? '') !== value)
  return differs === -1 ? 0 : labels.length - differs
}

/** 0 same subzone, 1 zone, 2 region, 3 another region, 4 one that is not preferred. */
function distance(locality: string, own: string, next: string): number {
  const there = locality.split('/')
  const here = own.split('/')
  for (const part of [0, 1, 2])
    if ((there[part] ?? '') !== (here[part] ?? ''))
      return part > 0 ? 3 - part : next === '' || there[0] === next ? 3 : 4
  return 0
}

/** True if `pattern` (`region`, `region/zone/*`) covers the locality. */
export function localityCovers(pattern: string, locality: string): boolean {
  const parts = locality.split('/')
  return pattern
    .split('/')
    .every((wanted, i) => wanted === '*' || wanted === '' || wanted === (parts[i] ?? ''))
}

/** The entry of `distribute` that an endpoint falls under, or -1. */
export function shareOf(
  { locality }: EndpointSpec,
  distribute: NonNullable<LocalitySpec['distribute']>,
): number {
  return distribute.findIndex(([pattern]) => localityCovers(pattern, locality))
}
