/**
 * Outrider's own annotations, `outrider.dev/...`: which objects may carry which, and what is wrong
 * with a value. They add to Istio's resources what those have no field for; everything else in
 * metadata.annotations belongs to others.
 */

import { ANNOTATION_PREFIX, Annotation, TRAFFIC_DISTRIBUTION } from './annotation-names.ts'
import { loadBalancerComplaint } from './compile-balancing.ts'
import { readPlacement, readSeed } from './compile-faults.ts'
import { readRetryBudget } from './compile-retry-budget.ts'
import { readStickyKey } from './compile-sticky.ts'
import { distributionComplaint } from './compile-traffic-distribution.ts'
import { didYouMean } from './diagnostics.ts'
import { readFaults } from './fault-text.ts'
import type { KnownResource } from './kinds.ts'
import type { MeshIndex, Of } from './mesh-index.ts'
import {
  ejectOneComplaint,
  failurePercentageComplaint,
  successRateComplaint,
} from './outlier-annotations.ts'

type Annotated = Of<'VirtualService'> | Of<'DestinationRule'>

interface Rule {
  readonly kind: 'VirtualService' | 'DestinationRule'
  /** The complaint about a value, or undefined. */
  readonly check: (value: string, object: Annotated) => string | undefined
}

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [Annotation.LoadBalancer, { kind: 'DestinationRule', check: loadBalancerComplaint }],
  [Annotation.Faults, { kind: 'VirtualService', check: faultsComplaint }],
  [Annotation.FaultPlacement, { kind: 'VirtualService', check: complaintOf(readPlacement) }],
  [Annotation.StickyWeights, { kind: 'VirtualService', check: complaintOf(readStickyKey) }],
  [Annotation.FaultSeed, { kind: 'VirtualService', check: complaintOf(readSeed) }],
  [Annotation.AlwaysEjectOne, { kind: 'DestinationRule', check: ejectOneComplaint }],
  [Annotation.FailurePercentage, { kind: 'DestinationRule', check: failurePercentageComplaint }],
  [Annotation.SuccessRate, { kind: 'DestinationRule', check: successRateComplaint }],
  [Annotation.RetryBudget, { kind: 'DestinationRule', check: complaintOf(readRetryBudget) }],
])

/** For readers that give a sentence where they cannot read. */
function complaintOf(read: (value: string) => unknown): Rule['check'] {
  return (value) => {
    const result = read(value)
    return typeof result === 'string' ? result : undefined
  }
}

function faultsComplaint(value: string, object: Annotated): string | undefined {
  const faults = readFaults(value)
  if (typeof faults === 'string') return faults
  if (object.kind !== 'VirtualService') return undefined
  const rules = object.spec.http.filter(({ route }) => route.length > 0)
  if (rules.length === 0) return 'none of its http rules has a route of its own'
  const names = new Set(rules.map(({ name }) => name))
  const unknown = faults.find(({ rule }) => rule !== '' && !names.has(rule))
  return unknown && `in part, as no http rule with a route is named "${unknown.rule}"`
}

export function lintAnnotations(index: MeshIndex): void {
  for (const kind of ['VirtualService', 'DestinationRule'] as const)
    for (const object of index.of(kind))
      for (const [name, value] of Object.entries(object.annotations)) {
        if (!name.startsWith(ANNOTATION_PREFIX)) continue
        const rule = RULES.get(name)
        const at = ['metadata', 'annotations', name]
        if (rule === undefined) {
          const hint = didYouMean(name, [...RULES.keys()])
          const message = `there is no annotation ${name}: it has no effect`
          index.add('warning', 'OUT-ANNOTATION', object, at, message, hint)
          continue
        }
        const complaint =
          rule.kind === kind
            ? rule.check(value, object)
            : `it belongs on a ${rule.kind}, not on a ${kind}`
        if (complaint !== undefined) addComplaint(index, object, name, complaint)
      }
  for (const kind of ['Service', 'ServiceEntry'] as const)
    for (const object of index.of(kind)) {
      const written = object.annotations[TRAFFIC_DISTRIBUTION]
      const complaint = written === undefined ? undefined : distributionComplaint(written)
      if (complaint !== undefined) addComplaint(index, object, TRAFFIC_DISTRIBUTION, complaint)
    }
}

function addComplaint(
  index: MeshIndex,
  object: KnownResource,
  name: string,
  complaint: string,
): void {
  const at = ['metadata', 'annotations', name]
  index.add('warning', 'OUT-ANNOTATION', object, at, `${name} has no effect: ${complaint}`, '')
}
