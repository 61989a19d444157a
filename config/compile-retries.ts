/** Retries of a route: what is written, else the mesh's policy, else Istio's. */
import type { MeshConfig } from './compile-mesh.ts'
import type { HttpRetry } from './kinds.ts'
import type { Origin, RetrySpec } from './snapshot.ts'

const DEFAULT_CONDITIONS = [
  'connect-failure',
  'refused-stream',
  'unavailable',
  'cancelled',
  'retriable-status-codes',
]
const DEFAULT_BACKOFF_MS = 25

/** Shared by all routes without a word about retries. */
const builtIn: RetrySpec = {
  attempts: 2,
  perTryTimeoutMs: undefined,
  retryOn: DEFAULT_CONDITIONS,
  statusCodes: [],
  backoffMs: DEFAULT_BACKOFF_MS,
  ignorePreviousHosts: 'unless-hashed',
  remoteLocalities: false,
  origin: undefined,
}

/** MeshConfig's policy replaces the built-in one as a whole. */
export function defaultRetries(config: MeshConfig | undefined): RetrySpec {
  const policy = config?.spec.defaultHttpRetryPolicy
  if (config === undefined || policy === undefined) return builtIn
  return retrySpec(policy, config.originAt(['spec', 'defaultHttpRetryPolicy']))
}

export function retrySpec(written: HttpRetry, origin: Origin): RetrySpec {
  const conditions = (written.retryOn ?? '').split(',').filter((token) => token !== '')
  const statusCodes = conditions.filter(isStatus).map(Number)
  const named = conditions.filter((token) => !isStatus(token))
  if (statusCodes.length > 0 && !named.includes('retriable-status-codes'))
    named.push('retriable-status-codes')
  return {
    attempts: Math.max(0, written.attempts),
    perTryTimeoutMs: written.perTryTimeoutMs,
    retryOn: conditions.length === 0 ? DEFAULT_CONDITIONS : named,
    statusCodes,
    backoffMs: written.backoffMs ?? DEFAULT_BACKOFF_MS,
    ignorePreviousHosts: written.retryIgnorePreviousHosts ?? 'unless-hashed',
    remoteLocalities: written.retryRemoteLocalities,
    origin,
  }
}

function isStatus(token: string): boolean {
  return /^\d+$/.test(token)
}

/** Of requests to the application: only where MeshConfig has a policy. */
export function inboundRetries(config: MeshConfig | undefined): RetrySpec | undefined {
  const policy = config?.spec.defaultInboundHttpRetryPolicy
  if (config === undefined || policy === undefined) return undefined
  const { attempts, backoffMs, retryOn = 'reset-before-request' } = policy
  const acting = { attempts, retryOn, retryRemoteLocalities: false }
  return retrySpec(
    backoffMs === undefined ? acting : { ...acting, backoffMs },
    config.originAt(['spec', 'defaultInboundHttpRetryPolicy']),
  )
}

/** Consistent hashing spares only a rule's only destination the avoidance, as in Istio. */
export function forSeveralDestinations(spec: RetrySpec): RetrySpec {
  return spec.ignorePreviousHosts === 'unless-hashed'
    ? { ...spec, ignorePreviousHosts: true }
    : spec
}
