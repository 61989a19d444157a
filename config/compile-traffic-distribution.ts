/** trafficDistribution of a Service, or the annotation that says the same: the labels that make endpoints near. */
import { TRAFFIC_DISTRIBUTION } from './annotation-names.ts'
import type { BlockPlace } from './compile-policy-places.ts'
import type { MeshService, Of } from './compile-registry.ts'
import type { MeshConfigSpec, TrafficPolicy } from './kinds.ts'

const NODE = 'kubernetes.io/hostname'
const NETWORK = 'topology.istio.io/network'
const ZONE = [NETWORK, 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone']

const DISTRIBUTIONS: Readonly<Record<string, readonly string[]>> = {
  preferclose: ZONE,
  prefersamezone: ZONE,
  prefersamenode: [...ZONE, 'topology.istio.io/subzone', NODE],
  prefersamenetwork: [NETWORK],
}

/** The complaint about the annotation's value, or undefined. */
export function distributionComplaint(value: string): string | undefined {
  if (DISTRIBUTIONS[value.toLowerCase()] !== undefined) return undefined
  return `"${value}" is not one of PreferClose, PreferSameZone, PreferSameNode, PreferSameNetwork`
}

export interface TrafficDistribution {
  /** Endpoints that share more of these from the first on are nearer. */
  readonly labels: readonly string[]
  readonly place: BlockPlace
}

/** Undefined: nothing is preferred. The field counts before the annotation. */
export function trafficDistributionOf({ sources }: MeshService): TrafficDistribution | undefined {
  const [resource] = sources
  const field = resource.kind === 'Service' ? resource.spec.trafficDistribution : undefined
  const written = field ?? resource.annotations[TRAFFIC_DISTRIBUTION]
  const labels = DISTRIBUTIONS[written?.toLowerCase() ?? '']
  if (labels === undefined) return undefined
  const path =
    field === undefined
      ? ['metadata', 'annotations', TRAFFIC_DISTRIBUTION]
      : ['spec', 'trafficDistribution']
  return { labels, place: { resource, path } }
}

/** Nodes of endpoints are told to the proxy only where some setting compares them. */
export function asksForNodes(
  services: readonly MeshService[],
  rules: readonly Of<'DestinationRule'>[],
  mesh: MeshConfigSpec,
): boolean {
  const policies = rules.flatMap(({ spec }) => [
    ...blocksOf(spec.trafficPolicy),
    ...spec.subsets.flatMap(({ trafficPolicy }) => blocksOf(trafficPolicy)),
  ])
  const settings = [mesh, ...policies.map(({ loadBalancer }) => loadBalancer)].flatMap((place) => [
    place?.localityLbSetting,
    place?.zoneAwareLbSetting,
  ])
  return (
    services.some((service) => trafficDistributionOf(service)?.labels.includes(NODE)) ||
    settings.some((setting) => setting?.failoverPriority.some((label) => label.startsWith(NODE)))
  )
}

function blocksOf(policy: TrafficPolicy | undefined) {
  return policy === undefined ? [] : [policy, ...policy.portLevelSettings]
}
