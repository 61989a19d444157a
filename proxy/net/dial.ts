/** Connects to upstreams with a deadline; the connection receives through `onread` from its first byte. */
import { connect, type Socket } from 'node:net'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { formatAddress } from './address.ts'
import type { Dialer, Dialing, DialReceiver, DialTarget } from './dialing.ts'
import { SocketConnection, writeHighMark } from './socket-connection.ts'

/** Connections being made: a leak counter. */
export const dialsUnderWay = { count: 0 }

class Dial implements Dialing, DeadlineOwner {
  private readonly target: DialTarget
  private readonly receiver: DialReceiver
  private readonly wheel: TimerWheel
  private readonly connection = new SocketConnection(Side.Upstream)
  private readonly socket: Socket
  private readonly deadline: Timer
  private settled = false

  constructor(target: DialTarget, receiver: DialReceiver, wheel: TimerWheel) {
    this.target = target
    this.receiver = receiver
    this.wheel = wheel
    this.deadline = new Timer(this)
    dialsUnderWay.count++
    wheel.arm(this.deadline, target.timeoutMs)
    this.socket = connect(socketOptions(target, this.connection))
    this.socket.once('error', (cause) => this.failed(cause))
    this.socket.once('connect', () => this.connected())
  }

  cancel(): void {
    if (this.settle()) this.socket.destroy()
  }

  onDeadline(): void {
    if (!this.settle()) return
    this.socket.destroy()
    const message = `no connection to ${formatAddress(this.target.address)} within ${this.target.timeoutMs} ms`
    this.receiver.onDialFailed(
      new ProxyError(ErrorCode.ConnectTimeout, Side.Upstream, { message, retryable: true }),
    )
  }

  private connected(): void {
    clock.refresh()
    if (!this.settle()) return
    keepAlive(this.socket, this.target)
    this.connection.attach(this.socket)
    this.receiver.onConnected(this.connection)
  }

  private failed(cause: NodeJS.ErrnoException): void {
    clock.refresh()
    if (!this.settle()) return
    const message = `cannot connect to ${formatAddress(this.target.address)}: ${reasonOf(cause)}`
    this.receiver.onDialFailed(
      new ProxyError(ErrorCode.ConnectFailure, Side.Upstream, { message, cause, retryable: true }),
    )
  }

  private settle(): boolean {
    if (this.settled) return false
    this.settled = true
    dialsUnderWay.count--
    this.wheel.cancel(this.deadline)
    // Late errors of a socket given up must not crash the process.
    this.socket.on('error', () => undefined)
    return true
  }
}

function socketOptions(
  target: DialTarget,
  connection: SocketConnection,
): Parameters<typeof connect>[0] {
  const { sourceAddress } = target
  const { address, port } = target.address
  const unix = address.startsWith('/') || address.startsWith('@')
  const where = unix
    ? { path: address.startsWith('@') ? `\0${address.slice(1)}` : address }
    : {
        host: address,
        port,
        ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      }
  const options = {
    ...where,
    noDelay: true,
    allowHalfOpen: true,
    writableHighWaterMark: writeHighMark,
    onread: connection.onread(),
  }
  return options as unknown as Parameters<typeof connect>[0]
}

/** Probes of the transport (Istio tcpKeepalive); 0 leaves a value to the system. */
function keepAlive(socket: Socket, { keepalive }: DialTarget): void {
  if (keepalive === undefined) return
  const { timeMs, intervalMs, probes } = keepalive
  const orSystem = (value: number): number | undefined => (value === 0 ? undefined : value)
  socket.setKeepAlive(true, orSystem(timeMs), orSystem(intervalMs), orSystem(probes))
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'connection refused (nothing listens there)',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name server does not answer',
  EADDRNOTAVAIL: 'the source address cannot be used, or all local ports are taken',
  EADDRINUSE: 'all local ports of the source address are taken',
  ENOENT: 'no such socket',
}

function reasonOf(cause: NodeJS.ErrnoException): string {
  const code = cause.code ?? cause.message
  const known = reasons[code]
  return known === undefined ? code : `${known}, ${code}`
}

/** The dialer of one worker. */
export class SocketDialer implements Dialer {
  private readonly wheel: TimerWheel

  constructor(wheel: TimerWheel) {
    this.wheel = wheel
  }

  dial(target: DialTarget, receiver: DialReceiver): Dialing {
    return new Dial(target, receiver, this.wheel)
  }
}
