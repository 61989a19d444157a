/** What one exchange has tried so far, and whether it may try again. Hot: one per exchange. */
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { BodySink, BodySource } from '../http/body.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Attempt } from './attempt.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import { isIdempotent, type RetryPolicy } from './retry.ts'

/** How often a request is sent again because a reused connection was just being closed. */
const mostRaces = 3
/** Bodies up to this size can be sent again (Envoy's per-connection buffer). */
const replayBytes = 1024 * 1024

export class Retrying {
  readonly policy: RetryPolicy
  /** Endpoints that failed, oldest first. */
  readonly tried: Endpoint[] = []
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
      if (first) this.body.flowInto(this.replay)
      this.replay.flowInto(sink)
    }
  }

  /**
   * True when another attempt is allowed: by the policy's number, by what has left already, and by
   * the cluster's limit of concurrent retries (Istio maxRetries), of which it then holds one.
   */
  reserve({ instruments, limits }: Cluster): boolean {
    if (this.retries >= this.policy.attempts || this.informed || !this.bodyRepeatable) return false
    if (!this.holding) {
      this.holding = limits.retries.take()
      if (!this.holding) instruments.overflowed(limits.retries.name)
    }
    if (this.holding) instruments.retried()
    return this.holding
  }

  /** The exchange is over. */
  release(cluster: Cluster): void {
    if (this.holding) cluster.limits.retries.give()
    this.holding = false
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

  /** The attempt is over; the body waits for the next. */
  pause(endpoint: Endpoint): void {
    this.tried.push(endpoint)
    this.retries++
    this.replay?.detach()
  }

  /** The reply is on its way to the client. */
  settled(): void {
    this.replay?.forget()
  }

  private get bodyRepeatable(): boolean {
    return !this.bodyStarted || this.replay?.replayable === true
  }
}
