/** Mirrors of a rule: where copies of its requests go, and of how many of them. */
import type { Destinations } from './compile-destinations.ts'
import { type HttpRule, placeOfField } from './compile-rules.ts'
import type { Destination, Percent } from './kinds.ts'
import type { Path } from './resource.ts'
import type { MirrorSpec } from './snapshot.ts'

/** Without those that are switched off by a percentage of 0. */
export function mirrorSpecs(
  rule: HttpRule,
  port: number,
  destinations: Destinations,
): MirrorSpec[] {
  const specs: MirrorSpec[] = []
  const { mirror, mirrorPercent = 100, mirrorPercentage, mirrors = [] } = rule.route
  const add = (to: Destination, field: 'mirror' | 'mirrors', below: Path, percent: number) => {
    const { path, source } = placeOfField(rule, field)
    const at = [...path, ...below]
    const cluster = destinations.forMirror(to, source, at, port)
    const fraction = fractionOf(percent)
    if (fraction > 0) specs.push({ cluster, fraction, origin: source.originAt(at) })
  }
  if (mirror !== undefined) add(mirror, 'mirror', [], percentOf(mirrorPercentage, mirrorPercent))
  for (const [index, { destination, percentage }] of mirrors.entries())
    add(destination, 'mirrors', [index, 'destination'], percentOf(percentage, 100))
  return specs
}

/** Written without a value it is 0: protocol buffers know no other default. */
function percentOf(written: Percent | undefined, absent: number): number {
  return written === undefined ? absent : (written.value ?? 0)
}

/** Envoy draws among a million. */
function fractionOf(percent: number): number {
  return Math.trunc(percent * 10_000) / 1_000_000
}
