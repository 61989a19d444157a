/**
 * The connections to one endpoint that take HTTP requests. A request gets the most recently used idle
 * one at once, else it waits in order for a new one or the next that is freed, within the cluster's
 * limits. Hot: bench/micro/pool.bench.ts.
 */
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import type { Connection } from '../net/connection.ts'
import type { DialTarget } from '../net/dialing.ts'
import type { CloseReason } from '../telemetry/upstream-instruments.ts'
import type { RoomUser } from './connection-room.ts'
import { IdleShelf } from './idle-shelf.ts'
import {
  type EndpointCounts,
  isEndpointFault,
  overflowError,
  type PoolContext,
} from './pool-context.ts'
import { type CodecKeeper, PooledCodec } from './pooled-codec.ts'
import { StreamTicket, type StreamWaiter, type TicketQueue, WaitingLine } from './waiting.ts'

/** A reused connection that ends within this time without a byte was being closed when it was used. */
const raceMs = 100

export class Pool implements CodecKeeper, RoomUser, TicketQueue {
  private readonly context: PoolContext
  private readonly target: DialTarget
  private readonly counts: EndpointCounts
  private readonly onQuiet: () => void
  private readonly idle: IdleShelf
  /** Dialed or open, busy or idle. */
  private readonly all = new Set<PooledCodec>()
  private readonly waiting = new WaitingLine()
  private dialing = 0
  /** Waiting requests for which nothing is on its way: what the pending limit counts. */
  private uncovered = 0
  private tickets = 0
  private draining = false
  private pumping = false
  private readonly rest = (): void => {
    setImmediate(this.pump)
  }
  private readonly pump = (): void => {
    this.pumping = false
    this.serveWaiting()
    this.settle()
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
    this.counts = counts
    this.onQuiet = onQuiet
    this.idle = new IdleShelf(
      context.settings.httpIdleTimeoutMs,
      context.clock,
      context.wheel,
      (one) => this.retire(one, 'idle'),
    )
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
    const { limits, instruments } = this.context
    if (!limits.requests.take()) {
      waiter.onNoStream(overflowError(this.context, limits.requests))
      return undefined
    }
    this.counts.active++
    instruments.requestsActive.add(1)
    const one = this.waiting.length === 0 ? this.idle.take() : undefined
    if (one === undefined) return this.waitFor(waiter)
    this.assign(one, waiter)
    return undefined
  }

  cancelTicket(ticket: StreamTicket): void {
    this.waiting.remove(ticket)
    this.context.instruments.pending.add(-1)
    this.requestOver()
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
    for (const one of [...this.all]) this.retire(one, 'drain')
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
    const before = this.dialing
    this.settle()
    return this.dialing > before
  }

  // --- what a PooledCodec tells
  dialed(one: PooledCodec, connection: Connection): void {
    const { instruments, settings, clock, wheel, makeClientCodec } = this.context
    this.dialing--
    one.dialing = undefined
    one.idleSince = clock.now
    instruments.connections.add()
    instruments.connectMs.observe(clock.now - one.dialedAt)
    one.codec = makeClientCodec(connection, one)
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
    this.counts.failures++
    const why = error.code === ErrorCode.ConnectTimeout ? 'timeout' : 'failure'
    this.context.instruments.connectFailed(why)
    this.forget(one)
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
      this.requestOver()
    }
    if (one.leaving === undefined) this.keep(one)
  }

  ended(one: PooledCodec, error: ProxyError | undefined): void {
    const { clock, instruments } = this.context
    let reason: CloseReason = one.leaving ?? (error === undefined ? 'endpoint' : 'error')
    if (one.busy) {
      if (error !== undefined && isEndpointFault(error)) {
        this.counts.failures++
        if (this.isReuseRace(one)) {
          instruments.reuseRace()
          this.idle.limit.closedAfter(one.idleAge, clock.now)
        }
      }
    } else if (one.codec !== undefined && one.leaving === undefined) {
      reason = 'endpoint'
      this.idle.limit.closedAfter(clock.now - one.idleSince, clock.now)
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
      return
    }
    this.retire(one, 'max_duration')
    this.settle()
  }

  // --- the inside
  private waitFor(waiter: StreamWaiter): StreamTicket | undefined {
    const { limits, room, instruments } = this.context
    if (this.waiting.length >= this.dialing + this.idle.length) {
      if (room.take()) this.dial(this.tickets + 1)
      else if (limits.pending.take()) {
        this.uncovered++
        room.wait(this)
      } else {
        this.requestOver()
        waiter.onNoStream(overflowError(this.context, limits.pending))
        return undefined
      }
    }
    this.tickets++
    const ticket = new StreamTicket(waiter, this.tickets, this)
    this.waiting.add(ticket)
    instruments.pending.add(1)
    return ticket
  }

  /** Dials for waiting requests as far as there is room: at most one dial for each. */
  private settle(): void {
    const { room } = this.context
    while (this.waiting.length > this.dialing + this.idle.length && room.take())
      this.dial(this.tickets)
    this.cover()
  }

  /** Keeps the pending limit and the line for room true. */
  private cover(): void {
    const { limits, room } = this.context
    const uncovered = Math.max(0, this.waiting.length - this.dialing - this.idle.length)
    if (uncovered > 0) room.wait(this)
    else if (this.uncovered > 0) room.stopWaiting(this)
    for (; this.uncovered < uncovered; this.uncovered++) limits.pending.takeAnyway()
    for (; this.uncovered > uncovered; this.uncovered--) limits.pending.give()
  }

  private dial(youngestTicket: number): void {
    const { clock, dialer, instruments } = this.context
    const one = new PooledCodec(this, youngestTicket, clock.now)
    this.all.add(one)
    this.dialing++
    this.counts.connections++
    instruments.active.add(1)
    one.dialing = dialer.dial(this.target, one)
  }

  private assign(one: PooledCodec, waiter: StreamWaiter): void {
    const { clock, settings, instruments } = this.context
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
    this.counts.requests++
    instruments.requests.add()
    if (one.requests === settings.maxRequestsPerConnection && !one.closed) {
      one.leaving = 'max_requests'
      codec.drain()
    }
  }

  private serve(one: PooledCodec, ticket: StreamTicket): void {
    this.context.instruments.pending.add(-1)
    this.cover()
    this.assign(one, ticket.waiter)
  }

  private serveWaiting(): void {
    while (this.waiting.length > 0) {
      const one = this.idle.take()
      if (one === undefined) return
      this.serve(one, this.waiting.shift()!)
    }
  }

  /** It can take a request: it lies idle, or makes room where that is wanted more. */
  private keep(one: PooledCodec): void {
    if (this.waiting.length === 0 && (this.draining || this.context.room.wanted)) {
      this.retire(one, this.draining ? 'drain' : 'room')
      return
    }
    this.idle.put(one)
    if (this.waiting.length > 0 && !this.pumping) {
      // Two turns: a FIN that came with the reply is read in the next one, and discards it in time.
      this.pumping = true
      setImmediate(this.rest)
    }
  }

  /** We close it. */
  private retire(one: PooledCodec, reason: CloseReason): void {
    if (one.dialing !== undefined) {
      one.dialing.cancel()
      one.dialing = undefined
      this.dialing--
    }
    this.release(one, reason)
    one.codec?.destroy()
    this.context.room.offer()
    this.checkQuiet()
  }

  /** It counts nowhere any more. */
  private release(one: PooledCodec, reason: CloseReason): void {
    one.closed = true
    this.context.wheel.cancel(one.lifetime)
    if (one.codec !== undefined) this.context.instruments.closed(reason)
    if (one.busy) {
      one.busy = false
      this.requestOver()
    } else this.idle.remove(one)
    this.forget(one)
  }

  private forget(one: PooledCodec): void {
    this.all.delete(one)
    this.counts.connections--
    this.context.instruments.active.add(-1)
    this.context.room.give()
  }

  private requestOver(): void {
    this.counts.active--
    this.context.instruments.requestsActive.add(-1)
    this.context.limits.requests.give()
  }

  /** Refuses one that was taken out of the line. */
  private refuse(waiter: StreamWaiter, error: ProxyError): void {
    this.context.instruments.pending.add(-1)
    this.requestOver()
    this.cover()
    waiter.onNoStream(error)
  }

  private isReuseRace(one: PooledCodec): boolean {
    return (
      one.requests > 1 &&
      one.codec!.connection.bytesRead === one.bytesBefore &&
      this.context.clock.now - one.usedAt <= raceMs
    )
  }

  private checkQuiet(): void {
    if (!this.quiet) return
    this.idle.stop()
    if (this.draining) this.context.room.leave(this)
    this.onQuiet()
  }
}
