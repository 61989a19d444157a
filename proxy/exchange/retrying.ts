/** What one exchange has tried so far, and whether it may try again. Hot: one per exchange. */
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { BodySink, BodySource } from '../http/body.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Attempt } from './attempt.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import { isIdempotent, type RetryPolicy } from './retry.ts'
import {
  allUsed,
  bodiesCrowded,
  bodyNotKept,
  bodyTooLarge,
  interimReply,
  overBudget,
  type RetryRefusal,
  tooManyRetries,
} from './retry-refusal.ts'

/** How often a request is sent again because a reused connection was just being closed. */
const mostRaces = 3
/** Istio looks at the levels that were tried after every second try. */
const triesPerLevel = 2
/** Bodies up to this size can be sent again (Envoy's per-connection buffer). */
const replayBytes = 1024 * 1024

/** Nothing is made for exchanges that need no retry. */
const none: readonly never[] = []

export class Retrying {
  readonly policy: RetryPolicy
  /** Endpoints that failed and are to be avoided, oldest first. */
  tried: readonly Endpoint[] = none
  /** Levels of nearness to be left; undefined: none. */
  triedLevels: readonly number[] | undefined = undefined
  private levels: readonly number[] = none
  /** So far, without those for reuse races. */
  retries = 0
  /** An interim reply reached the client: from here on nothing is repeated. */
  informed = false
  private readonly body: BodySource
  private readonly replay: ReplayBuffer | undefined
  private bodyStarted = false
  private races = 0
  /** One of the cluster's concurrent retries. */
  private holding = false
  /** Of the cluster's retry budget, -1: none. */
  private ticket = -1

  constructor(policy: RetryPolicy, body: BodySource, grpc: boolean) {
    this.policy = policy
    this.body = body
    this.replay =
      body.length !== 0 && policy.needsReplay(grpc)
        ? new ReplayBuffer(body.length, replayBytes)
        : undefined
  }

  /** Lets the request body flow to an attempt: the first one, or again from its start. */
  flowInto(sink: BodySink): void {
    const first = !this.bodyStarted
    this.bodyStarted = true
    if (this.replay === undefined) this.body.flowInto(sink)
    else {
      // The sink first: what the body gives at once is otherwise kept, or lost where it is not kept.
      this.replay.flowInto(sink)
      if (first) this.body.flowInto(this.replay)
    }
  }

  /**
   * Undefined when another attempt is allowed: by the policy's number, by what has left already, by
   * the cluster's limit of concurrent retries (Istio maxRetries) and its retry budget. The retry is
   * then counted, and holds its part of both until `release`.
   */
  reserve(cluster: Cluster): RetryRefusal | undefined {
    const refusal = this.refusal(cluster)
    const { instruments } = cluster
    if (refusal === undefined) instruments.retried()
    else instruments.retrySkipped(refusal.reason)
    return refusal
  }

  private refusal(cluster: Cluster): RetryRefusal | undefined {
    const { instruments, limits, retryBudget, spec } = cluster
    if (this.retries >= this.policy.attempts) return allUsed(this.retries)
    if (this.informed) return interimReply
    if (!this.bodyRepeatable) return this.bodyLoss()
    // Istio's retryBudget stands in for maxRetries.
    if (!this.holding && spec.retryBudget.kind !== 'concurrent') {
      if (!limits.retries.take()) {
        instruments.overflowed(limits.retries.name)
        return tooManyRetries(limits.retries.describe())
      }
      this.holding = true
    }
    this.endRetry(cluster, false)
    this.ticket = retryBudget.take()
    return this.ticket < 0 ? overBudget(retryBudget.describe()) : undefined
  }

  /** The exchange is over. */
  release(cluster: Cluster): void {
    this.replay?.forget()
    if (this.holding) cluster.limits.retries.give()
    this.holding = false
    this.endRetry(cluster, false)
  }

  private endRetry({ retryBudget }: Cluster, helped: boolean): void {
    if (this.ticket < 0) return
    retryBudget.settle(this.ticket, helped)
    retryBudget.release(this.ticket)
    this.ticket = -1
  }

  /**
   * A reused connection that closed without a reply byte: the upstream had given it up before. True
   * (and counted) when the request may be sent again at once.
   */
  isReuseRace(attempt: Attempt, error: ProxyError, method: string): boolean {
    if (!attempt.reused || attempt.answered || error.code !== ErrorCode.UpstreamClosed) return false
    if (this.races >= mostRaces || this.informed || !this.bodyRepeatable) return false
    if (!error.retryable && !isIdempotent(method)) return false
    this.races++
    return true
  }

  /** The attempt is over; the body waits for the next. `hashed`: consistent hashing picked its endpoint. */
  pause(endpoint: Endpoint, hashed: boolean): void {
    const { ignorePreviousHosts, remoteLocalities } = this.policy.spec
    const avoided = ignorePreviousHosts === 'unless-hashed' ? !hashed : ignorePreviousHosts
    if (avoided) this.tried = [...this.tried, endpoint]
    this.retries++
    this.replay?.detach()
    if (!remoteLocalities) return
    this.levels = [...this.levels, endpoint.priority]
    if (this.levels.length % triesPerLevel === 0) this.triedLevels = [...new Set(this.levels)]
  }

  /** The reply is on its way to the client; `good`: no rule wanted it repeated. */
  settled(cluster: Cluster, good: boolean): void {
    this.replay?.forget()
    if (good) this.endRetry(cluster, true)
  }

  private get bodyRepeatable(): boolean {
    return !this.bodyStarted || this.replay?.replayable === true
  }

  private bodyLoss(): RetryRefusal {
    if (this.replay === undefined) return bodyNotKept
    return this.replay.crowded ? bodiesCrowded : bodyTooLarge(replayBytes)
  }
}
