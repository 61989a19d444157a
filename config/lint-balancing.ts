/** Balancing by nearness that cannot act, whoever the client is: told at its line. */
import type { PolicyBlocks, TrafficPolicy } from './kinds.ts'
import { fullHost, type MeshIndex, type Of } from './mesh-index.ts'
import type { Path } from './resource.ts'

type Rule = Of<'DestinationRule'>

/** Failover changes nothing until endpoints can be ejected. */
export function lintBalancing(index: MeshIndex): void {
  if (index.mesh?.defaultTrafficPolicy?.outlierDetection !== undefined) return
  // It may be written there.
  if (index.hasRefused('MeshConfig') || index.hasRefused('DestinationRule')) return
  const rules = index.of('DestinationRule')
  // Rules for one host in one namespace are merged: the policy of any may be that of another's subset.
  const ejecting = new Set(rules.filter(ejects).map(mergedName))
  for (const rule of rules) {
    const { subsets, trafficPolicy } = rule.spec
    // Subsets have the loadBalancer of the rule unless they write their own.
    const acts = subsets.some(({ trafficPolicy: own }) => own?.outlierDetection !== undefined)
    if (trafficPolicy !== undefined)
      lintPolicy(rule, trafficPolicy, ['spec', 'trafficPolicy'], acts, index)
    for (const [position, subset] of subsets.entries())
      if (subset.trafficPolicy !== undefined) {
        const path = ['spec', 'subsets', position, 'trafficPolicy']
        lintPolicy(rule, subset.trafficPolicy, path, ejecting.has(mergedName(rule)), index)
      }
  }
}

function ejects({ spec }: Rule): boolean {
  const { trafficPolicy: policy } = spec
  return (
    policy?.outlierDetection !== undefined ||
    policy?.portLevelSettings.some(({ outlierDetection }) => outlierDetection !== undefined) ===
      true
  )
}

function mergedName({ namespace, spec }: Rule): string {
  return `${namespace}/${fullHost(spec.host, namespace)}`
}

/** `elsewhere`: outlierDetection is written where the policy's own settings meet it. */
function lintPolicy(
  rule: Rule,
  policy: TrafficPolicy,
  path: Path,
  elsewhere: boolean,
  index: MeshIndex,
): void {
  if (!elsewhere) lintBlocks(rule, policy, path, index)
  // Settings of a port replace those of the policy whole.
  for (const [position, settings] of policy.portLevelSettings.entries())
    lintBlocks(rule, settings, [...path, 'portLevelSettings', position], index)
}

function lintBlocks(
  rule: Rule,
  { loadBalancer, outlierDetection }: PolicyBlocks,
  base: Path,
  index: MeshIndex,
): void {
  if (outlierDetection !== undefined) return
  for (const setting of ['localityLbSetting', 'zoneAwareLbSetting'] as const) {
    const written = loadBalancer?.[setting]
    if (written === undefined || written.enabled === false) continue
    for (const name of ['failover', 'failoverPriority'] as const) {
      if ((written[name] ?? []).length === 0) continue
      const path = [...base, 'loadBalancer', setting, name]
      const message = 'has no effect without outlierDetection, here or in the MeshConfig'
      const hint = 'Add outlierDetection beside loadBalancer.'
      index.add('warning', 'OUT-LOCALITY', rule, path, message, hint)
    }
  }
}
