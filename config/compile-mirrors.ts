/** Mirrors of a rule: where copies of its requests go, and of how many of them. */
import type { Destinations } from './compile-destinations.ts'
import type { HttpRule } from './compile-rules.ts'
import type { Destination, Percent } from './kinds.ts'
import type { Path } from './resource.ts'
import type { MirrorSpec } from './snapshot.ts'

/** Without those that are switched off by a percentage of 0. */
export function mirrorSpecs(
  { path, route, source }: HttpRule,
  port: number,
  destinations: Destinations,
): MirrorSpec[] {
  const specs: MirrorSpec[] = []
  const add = (to: Destination, at: Path, percent: number): void => {
    const cluster = destinations.forMirror(to, source, at, port)
    const fraction = fractionOf(percent)
    if (fraction > 0) specs.push({ cluster, fraction, origin: source.originAt(at) })
  }
  const { mirror, mirrorPercent = 100, mirrorPercentage, mirrors = [] } = route
  if (mirror !== undefined)
    add(mirror, [...path, 'mirror'], percentOf(mirrorPercentage, mirrorPercent))
  for (const [index, { destination, percentage }] of mirrors.entries())
    add(destination, [...path, 'mirrors', index, 'destination'], percentOf(percentage, 100))
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
