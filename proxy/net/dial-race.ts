/**
 * Several addresses of one name: the next one is tried when the former has failed or takes long, the
 * families in turn, and the first connection wins (RFC 8305, Happy Eyeballs).
 */
import { isIP } from 'node:net'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import type { Address } from './address.ts'
import type { Connection } from './connection.ts'
import type { Dialer, Dialing, DialReceiver, DialTarget } from './dialing.ts'

/** RFC 8305 section 8: Connection Attempt Delay. */
const staggerMs = 250
const mostAddresses = 6

export class DialRace implements Dialing, DeadlineOwner {
  private readonly target: DialTarget
  private readonly receiver: DialReceiver
  private readonly dialer: Dialer
  private readonly wheel: TimerWheel
  private readonly next = new Timer(this)
  private readonly untried: Address[]
  private readonly running = new Set<Dialing>()
  private readonly failures: ProxyError[] = []
  private over = false

  /** `dialer` makes the single connections. Call `start`. */
  constructor(
    target: DialTarget,
    others: readonly Address[],
    receiver: DialReceiver,
    dialer: Dialer,
    wheel: TimerWheel,
  ) {
    this.target = target
    this.receiver = receiver
    this.dialer = dialer
    this.wheel = wheel
    this.untried = familiesInTurn([target.address, ...others]).slice(0, mostAddresses)
  }

  start(): void {
    const address = this.untried.shift()
    if (address === undefined) return
    const receiver: DialReceiver = {
      onConnected: (connection) => this.won(dialing, connection),
      onDialFailed: (error) => this.lost(dialing, error),
    }
    const dialing: Dialing = this.dialer.dial({ ...this.target, address }, receiver)
    this.running.add(dialing)
    if (this.untried.length > 0) this.wheel.arm(this.next, staggerMs)
  }

  onDeadline(): void {
    this.start()
  }

  cancel(): void {
    this.over = true
    this.wheel.cancel(this.next)
    for (const dialing of this.running) dialing.cancel()
    this.running.clear()
  }

  private won(dialing: Dialing, connection: Connection): void {
    this.running.delete(dialing)
    this.cancel()
    this.receiver.onConnected(connection)
  }

  private lost(dialing: Dialing, error: ProxyError): void {
    if (this.over) return
    this.running.delete(dialing)
    this.failures.push(error)
    if (this.untried.length > 0) {
      this.wheel.cancel(this.next)
      this.start()
    } else if (this.running.size === 0) {
      this.over = true
      this.receiver.onDialFailed(this.joined())
    }
  }

  private joined(): ProxyError {
    const [first] = this.failures
    if (this.failures.length === 1) return first!
    const timeouts = this.failures.every(({ code }) => code === ErrorCode.ConnectTimeout)
    const code = timeouts ? ErrorCode.ConnectTimeout : ErrorCode.ConnectFailure
    const message = this.failures.map((error) => error.message).join('; ')
    return new ProxyError(code, Side.Upstream, { message, cause: first, retryable: true })
  }
}

/** The family of the first address begins; within a family the order stays. */
function familiesInTurn(addresses: readonly Address[]): Address[] {
  const begins = isIP(addresses[0]?.address ?? '')
  const first = addresses.filter(({ address }) => isIP(address) === begins)
  const second = addresses.filter(({ address }) => isIP(address) !== begins)
  const turns = Math.max(first.length, second.length)
  return Array.from({ length: turns }, (_, i) => [first[i], second[i]])
    .flat()
    .filter((address) => address !== undefined)
}
