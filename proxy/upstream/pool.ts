/**
 * The connections to one endpoint that take HTTP requests. A request gets the most recently used idle
 * one at once, else it waits in order for a new one or the next that is freed, within the cluster's
 * limits. Hot: bench/micro/pool.bench.ts.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Connection } from '../net/connection.ts'
import type { DialTarget } from '../net/dialing.ts'
import type { CloseReason } from '../telemetry/upstream-instruments.ts'
import type { RoomUser } from './connection-room.ts'
import { IdleShelf } from './idle-shelf.ts'
import { PoolAccount } from './pool-account.ts'
import { type EndpointCounts, overflowError, type PoolContext } from './pool-context.ts'
import { type CodecKeeper, PooledCodec } from './pooled-codec.ts'
import { StreamTicket, type StreamWaiter, type TicketQueue, WaitingLine } from './waiting.ts'

/** A FIN that came with the reply is read in the turn after it, and discards the connection in time. */
const restTurns = 2

export class Pool implements CodecKeeper, RoomUser, TicketQueue {
  private readonly context: PoolContext
  private readonly target: DialTarget
  private readonly account: PoolAccount
  private readonly onQuiet: () => void
  private readonly idle: IdleShelf
  /** Dialed or open, busy or idle. */
  private readonly all = new Set<PooledCodec>()
  private readonly waiting = new WaitingLine()
  private dialing = 0
  private tickets = 0
  private draining = false
  /** Turns of the loop counted while freed connections rest for waiting requests. */
  private turn = 0
  private turning = false
  private readonly nextTurn = (): void => {
    this.turn++
    this.turning = false
    this.serveWaiting()
    this.settle()
    if (this.waiting.length > 0 && this.idle.length > 0) this.rest()
  }

  /** `onQuiet`: nothing is open, dialed or waited for any more; may be called again and again. */
  constructor(
    context: PoolContext,
    target: DialTarget,
    counts: EndpointCounts,
    onQuiet: () => void,
  ) {
    this.context = context
    this.target = target
    this.account = new PoolAccount(context, counts)
    this.onQuiet = onQuiet
    this.idle = new IdleShelf(context, (one) => this.retire(one, 'idle'))
    context.room.join(this)
  }

  get idleConnections(): number {
    return this.idle.length
  }

  /** Dials under way, requests waiting: leak counters. */
  get dials(): number {
    return this.dialing
  }

  get waiters(): number {
    return this.waiting.length
  }

  get quiet(): boolean {
    return this.all.size === 0 && this.waiting.length === 0
  }

  /**
   * Gives `waiter` a codec, before this returns when one is idle, or refuses it; then the result is
   * undefined. Otherwise the ticket allows to stop waiting.
   */
  acquire(waiter: StreamWaiter): StreamTicket | undefined {
    if (!this.account.requestBegins()) {
      waiter.onNoStream(overflowError(this.context, this.context.limits.requests))
      return undefined
    }
    const one = this.waiting.length === 0 ? this.idle.take() : undefined
    if (one === undefined) return this.waitFor(waiter)
    this.assign(one, waiter)
    return undefined
  }

  cancelTicket(ticket: StreamTicket): void {
    this.waiting.remove(ticket)
    this.account.waiterLeaves()
    this.account.requestEnds()
    this.cover()
    this.checkQuiet()
  }

  /** The endpoint is gone: what runs and waits is finished, then everything closes. */
  drain(): void {
    this.draining = true
    for (let one = this.idle.takeOldest(); one !== undefined; one = this.idle.takeOldest())
      this.retire(one, 'drain')
    this.checkQuiet()
  }

  /** The endpoint is back. */
  undrain(): void {
    this.draining = false
    this.context.room.join(this)
  }

  /** Ends everything now; waiting requests are refused with `error`. */
  close(error: ProxyError): void {
    this.draining = true
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift())
      this.refuse(next.waiter, error)
    for (const one of [...this.all]) this.retire(one, 'drain', error)
    this.checkQuiet()
  }

  // --- for ConnectionRoom
  get idleSince(): number | undefined {
    return this.waiting.length > 0 ? undefined : this.idle.oldest?.idleSince
  }

  evictIdle(): void {
    const oldest = this.idle.takeOldest()
    if (oldest !== undefined) this.retire(oldest, 'room')
  }

  onRoom(): boolean {
    return this.settle()
  }

  // --- what a PooledCodec tells
  dialed(one: PooledCodec, connection: Connection): void {
    const { settings, clock, wheel } = this.context
    this.dialing--
    one.dialing = undefined
    one.idleSince = clock.now
    this.account.connected(clock.now - one.dialedAt)
    one.codec = this.context.makeClientCodec(connection, one)
    if (one.closed) return
    if (settings.maxConnectionDurationMs !== undefined)
      wheel.arm(one.lifetime, settings.maxConnectionDurationMs)
    if (one.codec.capacity === 0) return
    const next = this.waiting.shift()
    if (next === undefined) this.keep(one)
    else this.serve(one, next)
    this.settle()
  }

  dialFailed(one: PooledCodec, error: ProxyError): void {
    this.dialing--
    one.dialing = undefined
    one.closed = true
    this.all.delete(one)
    this.account.connectFailed(error)
    this.account.connectionEnds(undefined)
    if (this.all.size === 0) {
      // Nothing else is on its way: all who waited when it was dialed would only wait for the same.
      for (let next = this.waiting.first; next !== undefined; next = this.waiting.first) {
        if (next.number > one.youngestTicket) break
        this.waiting.remove(next)
        this.refuse(next.waiter, error)
      }
    } else if (this.waiting.length > this.dialing + this.idle.length) {
      this.refuse(this.waiting.shift()!.waiter, error)
    }
    this.settle()
    this.context.room.offer()
    this.checkQuiet()
  }

  freed(one: PooledCodec): void {
    if (one.busy) {
      one.busy = false
      this.account.requestEnds()
    }
    if (one.leaving === undefined) this.keep(one)
  }

  ended(one: PooledCodec, error: ProxyError | undefined): void {
    const now = this.context.clock.now
    let reason: CloseReason = one.leaving ?? (error === undefined ? 'endpoint' : 'error')
    if (one.busy) {
      if (this.account.requestBroke(error) && one.wasClosing(now)) {
        this.account.reuseRace()
        this.idle.limit.closedAfter(one.idleAge, now)
        this.idle.distrust(one.usedAt - one.idleAge)
      }
    } else if (one.codec !== undefined && one.leaving === undefined) {
      reason = 'endpoint'
      this.idle.limit.closedAfter(now - one.idleSince, now)
    }
    this.release(one, reason)
    this.settle()
    this.context.room.offer()
    this.checkQuiet()
  }

  idleLimit(idleMs: number): void {
    this.idle.limit.hint(idleMs)
  }

  lifetimeOver(one: PooledCodec): void {
    if (one.busy) {
      one.leaving = 'max_duration'
      one.codec!.drain()
    } else this.retire(one, 'max_duration')
  }

  // --- the inside
  private waitFor(waiter: StreamWaiter): StreamTicket | undefined {
    if (this.waiting.length >= this.dialing + this.idle.length) {
      if (this.context.room.take()) this.dial(this.tickets + 1)
      else if (!this.account.admitUncovered(this)) {
        this.account.requestEnds()
        waiter.onNoStream(overflowError(this.context, this.context.limits.pending))
        return undefined
      }
    }
    this.tickets++
    const ticket = new StreamTicket(waiter, this.tickets, this)
    this.waiting.add(ticket)
    this.account.waiterJoins()
    return ticket
  }

  /** Dials for waiting requests as far as there is room, at most once for each; false: no dial. */
  private settle(): boolean {
    const { dialing } = this
    while (this.waiting.length > this.dialing + this.idle.length && this.context.room.take())
      this.dial(this.tickets)
    this.cover()
    return this.dialing > dialing
  }

  private cover(): void {
    const uncovered = this.waiting.length - this.dialing - this.idle.length
    this.account.cover(this, Math.max(0, uncovered))
  }

  private dial(youngestTicket: number): void {
    const { clock, dialer } = this.context
    const one = new PooledCodec(this, youngestTicket, clock.now)
    this.all.add(one)
    this.dialing++
    this.account.connectionBegins()
    one.dialing = dialer.dial(this.target, one)
  }

  private assign(one: PooledCodec, waiter: StreamWaiter): void {
    const { clock, settings } = this.context
    const codec = one.codec!
    const opened = codec.opened
    one.busy = true
    one.requests++
    one.idleAge = clock.now - one.idleSince
    one.usedAt = clock.now
    one.bytesBefore = codec.connection.bytesRead
    waiter.onStream(codec, one.requests > 1)
    if (codec.opened === opened) {
      one.requests--
      if (!one.closed && one.busy) this.freed(one)
      return
    }
    this.account.requestSent()
    if (one.requests === settings.maxRequestsPerConnection && !one.closed) {
      one.leaving = 'max_requests'
      codec.drain()
    }
  }

  private serve(one: PooledCodec, ticket: StreamTicket): void {
    this.account.waiterLeaves()
    this.cover()
    this.assign(one, ticket.waiter)
  }

  private serveWaiting(): void {
    while (this.waiting.length > 0) {
      const one = this.idle.takeFreedBy(this.turn - restTurns)
      if (one === undefined) return
      this.serve(one, this.waiting.shift()!)
    }
  }

  /** It can take a request: it lies idle, or makes room where that is wanted more. */
  private keep(one: PooledCodec): void {
    const { room } = this.context
    const unused = this.waiting.length === 0 && (this.draining || room.wanted)
    if (unused || room.owes(one)) {
      this.retire(one, this.draining ? 'drain' : 'room')
      return
    }
    one.freedInTurn = this.turn
    this.idle.put(one)
    if (this.waiting.length > 0) this.rest()
  }

  private rest(): void {
    if (this.turning) return
    this.turning = true
    setImmediate(this.nextTurn)
  }

  /** We close it. */
  private retire(one: PooledCodec, reason: CloseReason, error?: ProxyError): void {
    if (one.dialing !== undefined) {
      one.dialing.cancel()
      one.dialing = undefined
      this.dialing--
    }
    // Closed before its room is given back: another thread may dial at that very moment.
    one.closed = true
    one.codec?.destroy(error)
    this.release(one, reason)
    this.settle()
    this.context.room.offer()
    this.checkQuiet()
  }

  /** It counts nowhere any more. */
  private release(one: PooledCodec, reason: CloseReason): void {
    one.closed = true
    this.context.wheel.cancel(one.lifetime)
    this.all.delete(one)
    if (one.busy) {
      one.busy = false
      this.account.requestEnds()
    } else this.idle.remove(one)
    this.account.connectionEnds(one.codec === undefined ? undefined : reason)
  }

  /** Refuses one that was taken out of the line. */
  private refuse(waiter: StreamWaiter, error: ProxyError): void {
    this.account.waiterLeaves()
    this.account.requestEnds()
    this.cover()
    waiter.onNoStream(error)
  }

  private checkQuiet(): void {
    if (!this.quiet) return
    this.idle.stop()
    if (this.draining) this.context.room.leave(this)
    this.onQuiet()
  }
}
