/** Counting for a pool: every step changes the endpoint's counts, the cluster's limits and the metrics together. */
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { CloseReason } from '../telemetry/upstream-instruments.ts'
import type { ConnectionRoom, RoomUser } from './connection-room.ts'
import { type EndpointCounts, isEndpointFault, type PoolContext } from './pool-context.ts'

export class PoolAccount {
  private readonly context: PoolContext
  private readonly counts: EndpointCounts
  private readonly room: ConnectionRoom
  /** Waiting requests for which nothing is on its way: what the pending limit counts. */
  private uncovered = 0

  constructor(context: PoolContext, counts: EndpointCounts) {
    this.context = context
    this.counts = counts
    this.room = context.room
  }

  /** False: too many requests already. */
  requestBegins(): boolean {
    if (!this.context.limits.requests.take()) return false
    this.counts.active++
    this.context.instruments.requestsActive.add(1)
    return true
  }

  requestEnds(): void {
    this.counts.active--
    this.context.instruments.requestsActive.add(-1)
    this.context.limits.requests.give()
  }

  requestSent(): void {
    this.counts.requests++
    this.context.instruments.requests.add()
  }

  waiterJoins(): void {
    this.context.instruments.pending.add(1)
  }

  waiterLeaves(): void {
    this.context.instruments.pending.add(-1)
  }

  /** One more waits with nothing on its way; false: too many do. */
  admitUncovered(user: RoomUser): boolean {
    if (!this.context.limits.pending.take()) return false
    this.uncovered++
    this.room.wait(user)
    return true
  }

  /** Keeps the pending limit and the line for room true. */
  cover(user: RoomUser, uncovered: number): void {
    const { pending } = this.context.limits
    if (uncovered > 0) this.room.wait(user)
    else if (this.uncovered > 0) this.room.stopWaiting(user)
    for (; this.uncovered < uncovered; this.uncovered++) pending.takeAnyway()
    for (; this.uncovered > uncovered; this.uncovered--) pending.give()
  }

  connectionBegins(): void {
    this.counts.connections++
    this.context.instruments.active.add(1)
  }

  connected(afterMs: number): void {
    this.context.instruments.connections.add()
    this.context.instruments.connectMs.observe(afterMs)
  }

  connectFailed(error: ProxyError): void {
    this.counts.failures++
    const why = error.code === ErrorCode.ConnectTimeout ? 'timeout' : 'failure'
    this.context.instruments.connectFailed(why)
  }

  /** A request ended with its connection; true if the endpoint is to blame. */
  requestBroke(error: ProxyError | undefined): boolean {
    if (error === undefined || !isEndpointFault(error)) return false
    this.counts.failures++
    return true
  }

  reuseRace(): void {
    this.context.instruments.reuseRace()
  }

  /** `reason` undefined: it never was open. */
  connectionEnds(reason: CloseReason | undefined): void {
    if (reason !== undefined) this.context.instruments.closed(reason)
    this.counts.connections--
    this.context.instruments.active.add(-1)
    this.room.give()
  }
}
