/** Numbers of a rule that defeat each other: each is told with the lines of both. */
import type { HttpRoute } from './kinds.ts'
import type { MeshIndex, Of } from './mesh-index.ts'
import type { Path } from './resource.ts'

type VirtualService = Of<'VirtualService'>

export function lintResilience(index: MeshIndex): void {
  for (const service of index.of('VirtualService'))
    for (const [rule, route] of service.spec.http.entries()) {
      lintTries(service, rule, route, index)
      lintWeights(service, rule, route, index)
    }
  for (const rule of index.of('DestinationRule')) lintSubsets(rule, index)
}

/** The route's timeout runs over all tries and the pauses between them. */
function lintTries(
  service: VirtualService,
  rule: number,
  { retries, timeoutMs }: HttpRoute,
  index: MeshIndex,
): void {
  const perTryMs = retries?.perTryTimeoutMs
  if (retries === undefined || perTryMs === undefined || !timeoutMs) return
  const path: Path = ['spec', 'http', rule, 'retries', 'perTryTimeout']
  const { line } = service.at(['spec', 'http', rule, 'timeout'])
  const whole = `the rule's timeout of ${inWords(timeoutMs)} (${service.origin.file}:${line})`
  const each = inWords(perTryMs)
  if (perTryMs >= timeoutMs) {
    const message = `${each} is not shorter than ${whole}: it never ends a try, and no second try comes after one that hangs`
    index.add('warning', 'OUT-TIMEOUT', service, path, message, 'Make it a part of the timeout.')
    return
  }
  const tries = retries.attempts + 1
  if (tries < 2 || tries * perTryMs <= timeoutMs) return
  const fit = Math.floor(timeoutMs / perTryMs)
  const message = `${tries} tries of ${each} do not fit into ${whole}: of tries that hang, ${fit === 1 ? 'one ends' : `${fit} end`} in time`
  const hint = `Raise the timeout above ${inWords(tries * perTryMs)}, or lower attempts or perTryTimeout.`
  index.add('warning', 'OUT-TIMEOUT', service, path, message, hint)
}

/** Weights are shares of their sum, which most people write as 100. */
function lintWeights(
  service: VirtualService,
  rule: number,
  { route }: HttpRoute,
  index: MeshIndex,
): void {
  const sum = route.reduce((total, { weight }) => total + weight, 0)
  if (route.length < 2 || sum === 0 || sum === 100) return
  const shares = route
    .map(({ destination, weight }) => {
      const name = destination.subset === '' ? destination.host : destination.subset
      return `${name} ${((100 * weight) / sum).toFixed(1)} %`
    })
    .join(', ')
  const message = `the weights add up to ${sum}, not to 100: the shares are ${shares}`
  index.add('info', 'OUT-WEIGHTS', service, ['spec', 'http', rule, 'route'], message)
}

function lintSubsets(rule: Of<'DestinationRule'>, index: MeshIndex): void {
  for (const [position, { name, labels }] of rule.spec.subsets.entries()) {
    if (Object.keys(labels).length > 0) continue
    const message = `subset "${name}" has no labels: it selects every endpoint of ${rule.spec.host}`
    index.add('info', 'OUT-SUBSETALL', rule, ['spec', 'subsets', position], message)
  }
}

function inWords(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
