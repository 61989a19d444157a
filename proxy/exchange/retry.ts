/**
 * Decides whether a failed attempt is followed by another (Istio HTTPRetry, Envoy retry conditions),
 * and how long to wait. Beyond what the rule asks, only what provably was not processed is repeated.
 */
import type { RetrySpec } from '../../config/snapshot.ts'
import type { ProxyError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { ResponseHead } from '../http/head.ts'
import { failureRow } from './failure.ts'

/** A retry policy linked from its spec. */
export class RetryPolicy {
  readonly spec: RetrySpec
  private readonly conditions: ReadonlySet<string>
  private readonly statusCodes: ReadonlySet<number>

  constructor(spec: RetrySpec) {
    this.spec = spec
    this.conditions = new Set(spec.retryOn)
    this.statusCodes = new Set(spec.statusCodes)
  }

  get attempts(): number {
    return this.spec.attempts
  }

  /** True if some condition can be met after bytes of the body were sent: then it must be kept. */
  needsReplay(grpc: boolean): boolean {
    if (this.spec.attempts === 0) return false
    if (this.statusCodes.size > 0) return true
    for (const condition of this.conditions)
      if (!beforeSendingOnly.has(condition) && (grpc || !grpcOnly.has(condition))) return true
    return false
  }

  coversFailure(error: ProxyError): boolean {
    for (const condition of failureRow(error).retryOn)
      if (this.conditions.has(condition) && (error.retryable || !unprocessedOnly.has(condition)))
        return true
    return false
  }

  coversReply(head: ResponseHead): boolean {
    const { status } = head
    if (head.headers.has('x-envoy-ratelimited')) return this.conditions.has('envoy-ratelimited')
    if (this.statusCodes.has(status)) return true
    if (status >= 500 && this.conditions.has('5xx')) return true
    if (status >= 502 && status <= 504 && this.conditions.has('gateway-error')) return true
    if (status === 409 && this.conditions.has('retriable-4xx')) return true
    return this.coversGrpc(head.headers.get('grpc-status'))
  }

  /**
   * Full jitter: uniform in [0, min(base·2^n, 10·base)) (Envoy's running code). After a reply that
   * names a time: uniform in [1, 1.5] times that.
   */
  backoffMs(retry: number, afterMs: number | undefined, random: Random): number {
    const { backoffMs } = this.spec
    if (afterMs !== undefined && afterMs > 0) return afterMs * (1 + random.fraction() / 2)
    return random.fraction() * Math.min(backoffMs * 2 ** retry, backoffMs * 10)
  }

  private coversGrpc(status: string | undefined): boolean {
    if (status === undefined) return false
    const name = grpcConditions[status]
    return name !== undefined && this.conditions.has(name)
  }
}

/** Conditions that hold only while the upstream cannot have seen the request. */
const beforeSendingOnly = new Set(['connect-failure', 'refused-stream', 'reset-before-request'])

/** grpc-status in the reply head (trailers-only) to the condition's name. */
const grpcConditions: Record<string, string> = {
  '1': 'cancelled',
  '4': 'deadline-exceeded',
  '8': 'resource-exhausted',
  '13': 'internal',
  '14': 'unavailable',
}

/** Conditions that a failure meets only if the upstream has not seen the request. */
const unprocessedOnly = new Set(['reset-before-request', 'refused-stream'])

const grpcOnly = new Set([...Object.values(grpcConditions), 'retriable-status-codes'])

const policies = new WeakMap<RetrySpec, RetryPolicy>()

/** The policy of a spec, linked once. */
export function retryPolicy(spec: RetrySpec): RetryPolicy {
  let policy = policies.get(spec)
  if (policy === undefined) {
    policy = new RetryPolicy(spec)
    policies.set(spec, policy)
  }
  return policy
}

/** RFC 9110 9.2.2: repeating these has the effect of doing them once. */
export function isIdempotent(method: string): boolean {
  return idempotent.has(method)
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
