/** Where a block of the policy in force was written, for those who want to open the file there. */
import { Annotation } from './annotation-names.ts'
import type { Client } from './compile-client.ts'
import type { MergedRule } from './compile-policies.ts'
import type { PolicyBlocks } from './kinds.ts'
import type { Path, Resource } from './resource.ts'
import type { Origin } from './snapshot.ts'

export interface BlockPlace {
  readonly resource: Resource
  readonly path: Path
}

/** Undefined: it was written nowhere. The same order of precedence as `blocksFor`. */
export function blockPlace(
  block: 'connectionPool' | 'outlierDetection' | 'loadBalancer' | 'tls',
  rule: MergedRule | undefined,
  port: number,
  subset: string,
  client: Client,
): BlockPlace | undefined {
  const written = rule && ruleBlockPlace(block, rule, port, subset)
  if (written !== undefined) return written
  const { mesh, meshConfig } = client
  if (block === 'tls') return undefined
  if (block === 'loadBalancer' || meshConfig === undefined) return undefined
  if (mesh.defaultTrafficPolicy?.[block] === undefined) return undefined
  return { resource: meshConfig, path: ['spec', 'defaultTrafficPolicy', block] }
}

export function originOf(place: BlockPlace | undefined): Origin | undefined {
  return place?.resource.originAt(place.path)
}

/** Where the balancing policy is written: undefined for the default. `block`: of loadBalancer. */
export function balancingPlace(
  block: BlockPlace | undefined,
  rule: Resource | undefined,
): BlockPlace | undefined {
  if (rule?.annotations[Annotation.LoadBalancer] !== 'PEAK_EWMA') return block
  return { resource: rule, path: ['metadata', 'annotations', Annotation.LoadBalancer] }
}

function ruleBlockPlace(
  block: keyof PolicyBlocks,
  rule: MergedRule,
  port: number,
  subset: string,
): BlockPlace | undefined {
  const own = rule.subsets.get(subset)
  const policy = own?.subset.trafficPolicy
  if (own !== undefined && policy !== undefined) {
    const base: Path = ['spec', 'subsets', own.index, 'trafficPolicy']
    const index = policy.portLevelSettings.findIndex((settings) => settings.port === port)
    const path = pathOf(block, policy, index, base)
    if (path !== undefined) return { resource: own.source, path }
    if (index >= 0) return undefined
  }
  if (rule.policy === undefined) return undefined
  const index = rule.policy.portLevelSettings.findIndex((settings) => settings.port === port)
  const path = pathOf(block, rule.policy, index, ['spec', 'trafficPolicy'])
  return path && { resource: rule.source, path }
}

/** `index`: of the port's own settings, or -1. */
function pathOf(
  block: keyof PolicyBlocks,
  policy: NonNullable<MergedRule['policy']>,
  index: number,
  base: Path,
): Path | undefined {
  if (index < 0) return policy[block] === undefined ? undefined : [...base, block]
  const settings = policy.portLevelSettings[index]
  return settings?.[block] === undefined ? undefined : [...base, 'portLevelSettings', index, block]
}
