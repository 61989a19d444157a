/** Requests that wait for a connection, in order; leaving the middle costs nothing. */
import type { ProxyError } from '../base/errors.ts'
import type { ClientCodec } from '../http/codec.ts'

/** Who asks a pool for a place to send a request. Exactly one of the two is called, once. */
export interface StreamWaiter {
  /**
   * A codec that takes one request: open it before returning, or it goes back to the pool.
   * `reused`: it carried a request before, so the endpoint may just be closing it.
   */
  onStream(codec: ClientCodec, reused: boolean): void
  onNoStream(error: ProxyError): void
}

/** The pool's side of a ticket. */
export interface TicketQueue {
  cancelTicket(ticket: StreamTicket): void
}

/** A place in the queue. */
export class StreamTicket {
  readonly waiter: StreamWaiter
  /** Grows with every ticket of a pool. */
  readonly number: number
  private readonly queue: TicketQueue
  next: StreamTicket | undefined = undefined
  previous: StreamTicket | undefined = undefined
  queued = false

  constructor(waiter: StreamWaiter, number: number, queue: TicketQueue) {
    this.waiter = waiter
    this.number = number
    this.queue = queue
  }

  /** The waiter is not interested any more; none of its methods is called afterwards. */
  cancel(): void {
    if (this.queued) this.queue.cancelTicket(this)
  }
}

export class WaitingLine {
  first: StreamTicket | undefined = undefined
  private last: StreamTicket | undefined = undefined
  length = 0

  add(ticket: StreamTicket): void {
    ticket.queued = true
    ticket.previous = this.last
    if (this.last === undefined) this.first = ticket
    else this.last.next = ticket
    this.last = ticket
    this.length++
  }

  remove(ticket: StreamTicket): void {
    if (ticket.previous === undefined) this.first = ticket.next
    else ticket.previous.next = ticket.next
    if (ticket.next === undefined) this.last = ticket.previous
    else ticket.next.previous = ticket.previous
    ticket.next = undefined
    ticket.previous = undefined
    ticket.queued = false
    this.length--
  }

  /** The oldest, taken out. */
  shift(): StreamTicket | undefined {
    const ticket = this.first
    if (ticket !== undefined) this.remove(ticket)
    return ticket
  }
}
