/** Balancing that cannot act, whoever the client is: told at its line. */
import { Annotation } from './annotation-names.ts'
import { declaredProtocol, serviceProtocol } from './compile-ports.ts'
import { addressesChosen, isOpaque, keyUnknown } from './compile-unused.ts'
import type { PolicyBlocks, TrafficPolicy } from './kinds.ts'
import { goesWhereDialed } from './lint-outliers.ts'
import { fullHost, type MeshIndex, type Of, type Target } from './mesh-index.ts'
import type { Path } from './resource.ts'

type Rule = Of<'DestinationRule'>

export function lintBalancing(index: MeshIndex): void {
  for (const rule of index.of('DestinationRule')) lintUnused(rule, index)
  lintFailovers(index)
}

// --- what no client can follow: as config/compile-unused.ts tells of the rules that a workload follows ----
function lintUnused(rule: Rule, index: MeshIndex): void {
  const { host, subsets, trafficPolicy } = rule.spec
  const [target] = index.targets(fullHost(host, rule.namespace))
  if (target === undefined || target.host.startsWith('*')) return
  const place = { rule, target, index }
  lintPolicyUnused(place, trafficPolicy, ['spec', 'trafficPolicy'])
  for (const [position, subset] of subsets.entries())
    lintPolicyUnused(place, subset.trafficPolicy, ['spec', 'subsets', position, 'trafficPolicy'])
}

interface Place {
  readonly rule: Rule
  readonly target: Target
  readonly index: MeshIndex
}

function lintPolicyUnused(place: Place, policy: TrafficPolicy | undefined, path: Path): void {
  if (policy === undefined) return
  const own = policy.portLevelSettings.map(({ port }) => port)
  lintBlockUnused(place, policy, path, (port) => !own.includes(port))
  for (const [position, settings] of policy.portLevelSettings.entries()) {
    const at = [...path, 'portLevelSettings', position]
    lintBlockUnused(place, settings, at, (port) => port === settings.port)
  }
}

function lintBlockUnused(
  { index, rule, target }: Place,
  { loadBalancer }: PolicyBlocks,
  base: Path,
  isOf: (port: number) => boolean,
): void {
  if (loadBalancer === undefined || loadBalancer.simple === 'PASSTHROUGH') return
  const path = [...base, 'loadBalancer']
  const { host, resource } = target
  const say = ({ message, hint }: { readonly message: string; readonly hint: string }) =>
    index.addPlain('warning', 'OUT-BALANCER', rule, path, message, hint)
  if (goesWhereDialed(target)) {
    say(addressesChosen(host, resource.kind === 'Service'))
    return
  }
  const { httpCookie, httpHeaderName, httpQueryParameterName } = loadBalancer.consistentHash ?? {}
  if ((httpCookie ?? httpHeaderName ?? httpQueryParameterName) === undefined) return
  if (rule.annotations[Annotation.LoadBalancer] !== undefined) return
  for (const { number, protocol } of portsOf(resource))
    if (protocol !== undefined && isOf(number) && isOpaque(protocol)) say(keyUnknown(host, number))
}

function portsOf(resource: Target['resource']) {
  if (resource.kind === 'Service')
    return resource.spec.ports.map((port) => ({
      number: port.port,
      protocol: serviceProtocol(port),
    }))
  return resource.spec.ports.map(({ number, protocol }) => ({
    number,
    protocol: declaredProtocol(protocol),
  }))
}

// --- failover -----------------------------------------------------------------------------------------
/** Failover changes nothing until endpoints can be ejected. */
function lintFailovers(index: MeshIndex): void {
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
