/** Localities as texts, `region/zone/subzone`, and the labels that say the same. */
import { canonicalAddress, type Labels } from './compile-names.ts'
import type { Of } from './compile-registry.ts'

const REGION = 'topology.kubernetes.io/region'
const ZONE = 'topology.kubernetes.io/zone'
const SUBZONE = 'topology.istio.io/subzone'

/** They follow from where something is. */
export const PLACE_LABELS = { [REGION]: true, [ZONE]: true, [SUBZONE]: true }

/** What the labels of a Pod or WorkloadEntry say, or ``; `zone`: known from elsewhere. */
export function localityOf(labels: Labels, zone: string | undefined): string {
  const written = labels['istio-locality']
  if (written !== undefined) return written.replaceAll('.', '/')
  const parts = [labels[REGION] ?? '', labels[ZONE] ?? zone ?? '', labels[SUBZONE] ?? '']
  return parts.join('/').replace(/\/+$/, '')
}

/** The zone of the first endpoint with one of these addresses. */
export function zoneOf(
  addresses: readonly string[],
  slices: readonly Of<'EndpointSlice'>[],
): string | undefined {
  const known = zones.get(addresses) ?? new WeakMap<Of<'EndpointSlice'>, string>()
  zones.set(addresses, known)
  for (const slice of slices) {
    const zone = known.get(slice) ?? zoneIn(slice, addresses)
    known.set(slice, zone)
    if (zone !== '') return zone
  }
  return undefined
}

/** What slices say of these addresses, `` when nothing: their specs may be forgotten meanwhile. */
const zones = new WeakMap<readonly string[], WeakMap<Of<'EndpointSlice'>, string>>()

function zoneIn({ spec }: Of<'EndpointSlice'>, own: readonly string[]): string {
  const isOwn = (address: string) => own.includes(canonicalAddress(address))
  for (const { zone = '', addresses } of spec.endpoints)
    if (zone !== '' && addresses.some(isOwn)) return zone
  return ''
}

export function partsOf(locality: string): [region: string, zone: string, subzone: string] {
  const [region = '', zone = '', subzone = ''] = locality.split('/')
  return [region, zone, subzone]
}

/** The labels that Istio gives to what is there. */
export function placeLabels(locality: string): Labels {
  const [region, zone, subzone] = partsOf(locality)
  return {
    ...(region === '' ? {} : { [REGION]: region }),
    ...(zone === '' ? {} : { [ZONE]: zone }),
    ...(subzone === '' ? {} : { [SUBZONE]: subzone }),
  }
}

/** True if `pattern` (`region`, `region/zone/*`) covers the locality. */
export function localityCovers(pattern: string, locality: string): boolean {
  const parts = partsOf(locality)
  return pattern
    .split('/')
    .every((wanted, i) => wanted === '*' || wanted === '' || wanted === parts[i])
}
