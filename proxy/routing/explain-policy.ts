/** What a cluster's connectionPool and outlierDetection come to, in words. */
import type { ConnectionPoolSpec, OutlierDetectionSpec } from '../../config/snapshot.ts'

/** What Istio writes for no limit. */
const unlimited = 4_294_967_295

/** `` when nothing is limited. */
export function limitsText(pool: ConnectionPoolSpec): string {
  const limits: Array<[what: string, limit: number]> = [
    ['connections', pool.maxConnections],
    ['requests', pool.maxRequests],
    ['waiting requests', pool.maxPendingRequests],
    ['retries', pool.maxRetries],
  ]
  const parts = limits
    .filter(([, limit]) => limit < unlimited)
    .map(([what, limit]) => `${limit} ${what}`)
  return parts.length === 0 ? '' : `at most ${parts.join(', ')} at once`
}

/** `` without outlierDetection. `endpoints`: how many there are now. */
export function outliersText(spec: OutlierDetectionSpec | undefined, endpoints: number): string {
  if (spec === undefined) return ''
  const counts: string[] = []
  if (spec.consecutive5xx > 0) counts.push(`${spec.consecutive5xx} errors`)
  if (spec.consecutiveGatewayErrors > 0)
    counts.push(`${spec.consecutiveGatewayErrors} gateway errors`)
  if (spec.splitLocalOrigin) counts.push(`${spec.consecutiveLocalOrigin} failures without reply`)
  const rates: string[] = []
  if (spec.failurePercentage > 0) rates.push(`${spec.failurePercentage} % of errors`)
  if (spec.successRateFactor > 0) rates.push('far more errors than the others')
  const row = counts.length === 0 ? [] : [`${counts.join(' or ')} in a row`]
  const what = [...row, ...rates].join(', or ') || 'nothing'
  const most = Math.floor((spec.maxEjectionPercent * endpoints) / 100)
  const eased = spec.alwaysEjectOne && most === 0 && endpoints > 1 ? 1 : most
  return `${what}: ejected for ${spec.baseEjectionMs / 1000} s, at most ${eased} of ${endpoints} at once`
}
