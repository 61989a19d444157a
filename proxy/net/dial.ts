/** Connects to upstreams with a deadline; the connection receives through `onread` from its first byte. */
import { connect, Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { canonicalAddress, formatAddress } from './address.ts'
import { DialRace } from './dial-race.ts'
import type { Dialer, Dialing, DialReceiver, DialTarget } from './dialing.ts'
import { writeHighMark } from './outlet.ts'
import { SocketConnection } from './socket-connection.ts'
import type { TlsTarget } from './tls.ts'

/** Connections being made: a leak counter. */
export const dialsUnderWay = { count: 0 }

class Dial implements Dialing, DeadlineOwner {
  private readonly target: DialTarget
  private readonly receiver: DialReceiver
  private readonly wheel: TimerWheel
  private readonly connection = new SocketConnection(Side.Upstream)
  private socket: Socket
  private readonly deadline: Timer
  /** Connected, and TLS is being agreed on. */
  private shakingHands = false
  private settled = false

  constructor(target: DialTarget, receiver: DialReceiver, wheel: TimerWheel) {
    this.target = target
    this.receiver = receiver
    this.wheel = wheel
    this.deadline = new Timer(this)
    dialsUnderWay.count++
    wheel.arm(this.deadline, target.timeoutMs)
    const { preface, tls } = target
    if (tls === undefined || preface !== undefined) {
      this.socket = connect(socketOptions(target, tls === undefined ? this.connection : undefined))
      this.socket.once('error', (cause) => this.failed(cause))
      this.socket.once('connect', () => this.opened())
    } else {
      const where = socketOptions(target, this.connection)
      this.socket = this.startTls(tls, where as ConnectionOptions)
      this.socket.once('connect', () => {
        this.shakingHands = true
      })
    }
  }

  cancel(): void {
    if (this.settle()) this.socket.destroy()
  }

  onDeadline(): void {
    if (!this.settle()) return
    this.socket.destroy()
    const { address, timeoutMs } = this.target
    const what = this.shakingHands ? 'TLS handshake with' : 'connection to'
    const message = `no ${what} ${formatAddress(address)} within ${timeoutMs} ms`
    this.receiver.onDialFailed(
      new ProxyError(ErrorCode.ConnectTimeout, Side.Upstream, { message, retryable: true }),
    )
  }

  private startTls(to: TlsTarget, where: ConnectionOptions): Socket {
    const place = formatAddress(this.target.address)
    const options = to.tls.optionsFor(to.serverName, place)
    if (typeof options === 'string') {
      process.nextTick(() => this.fail(`no connection to ${place}: ${options}`))
      return new Socket()
    }
    const socket = connectTls({ ...where, ...options })
    socket.once('error', (cause) => this.failed(cause))
    socket.once('secureConnect', () => this.connected(where.socket !== undefined))
    socket.on('session', (session) => to.tls.keepSession(to.serverName, place, session))
    return socket
  }

  /** The plain connection stands. */
  private opened(): void {
    const { preface, tls } = this.target
    if (preface === undefined || this.settled) {
      this.connected(false)
      return
    }
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = this.socket
    const local = { address: canonicalAddress(localAddress), port: localPort }
    const remote = { address: canonicalAddress(remoteAddress), port: remotePort }
    this.socket.write(preface(local, remote))
    if (tls === undefined) {
      this.connected(false)
      return
    }
    this.shakingHands = true
    const over = { socket: this.socket, highWaterMark: writeHighMark }
    this.socket = this.startTls(tls, over as ConnectionOptions)
  }

  private connected(viaData: boolean): void {
    clock.refresh()
    if (!this.settle()) return
    if (this.target.tls !== undefined) this.socket.setNoDelay(true)
    keepAlive(this.socket, this.target)
    this.connection.attach(this.socket, viaData)
    this.receiver.onConnected(this.connection)
  }

  private failed(cause: NodeJS.ErrnoException): void {
    clock.refresh()
    const { address, tls } = this.target
    const at = formatAddress(address)
    if (!this.shakingHands || tls === undefined) {
      const unresolved = cause.syscall === 'getaddrinfo'
      const code = unresolved ? ErrorCode.DnsFailure : ErrorCode.ConnectFailure
      this.fail(`cannot connect to ${at}: ${reasonOf(cause)}`, cause, code)
    } else {
      const { serverName } = tls
      this.fail(tls.tls.explain(serverName === '' ? at : `${serverName} (${at})`, cause), cause)
    }
  }

  private fail(
    message: string,
    cause?: NodeJS.ErrnoException,
    code: ErrorCode = ErrorCode.ConnectFailure,
  ): void {
    if (!this.settle()) return
    this.socket.destroy()
    this.receiver.onDialFailed(
      new ProxyError(code, Side.Upstream, { message, cause, retryable: true }),
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
  connection: SocketConnection | undefined,
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
    // TLS sockets take only this one, for both sides.
    ...(target.tls === undefined ? {} : { highWaterMark: writeHighMark }),
    ...(connection === undefined ? {} : { onread: connection.onread() }),
  }
  return options as unknown as Parameters<typeof connect>[0]
}

/** Probes of the transport (Istio tcpKeepalive), in whole seconds; 0 leaves a value to the system. */
function keepAlive(socket: Socket, { keepalive }: DialTarget): void {
  if (keepalive === undefined) return
  const { timeMs, intervalMs, probes } = keepalive
  const orSystem = (value: number): number | undefined => (value === 0 ? undefined : value)
  const seconds = (ms: number): number | undefined => orSystem(Math.ceil(ms / 1_000) * 1_000)
  socket.setKeepAlive(true, seconds(timeMs), seconds(intervalMs), orSystem(probes))
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
    const others = target.alternatives?.()
    if (others === undefined || others.length === 0) return new Dial(target, receiver, this.wheel)
    const single = { ...target, alternatives: undefined }
    const race = new DialRace(single, others, receiver, this, this.wheel)
    race.start()
    return race
  }
}
