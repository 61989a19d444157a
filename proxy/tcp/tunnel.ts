/**
 * Asks an HTTP proxy to carry a connection on to somebody else (CONNECT, RFC 9110 9.3.6). After a 2xx
 * the bytes on the connection are those of the target.
 */
import type { TunnelSpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type DeadlineOwner, Timer, type TimerWheel } from '../base/timer-wheel.ts'
import { formatAddress } from '../net/address.ts'
import type { ByteReceiver, Connection } from '../net/connection.ts'

export interface TunnelOwner {
  /** `bytes`: what the target has said already; own memory. Call receiveWith before returning. */
  onTunnel(proxy: Connection, bytes: Buffer): void
  /** The connection to the proxy is closed. */
  onNoTunnel(error: ProxyError): void
}

const longestReply = 16 * 1024

/** The first line, as far as it can be shown. */
function quoted(reply: Buffer): string {
  const [line = ''] = reply.toString('latin1', 0, 200).split(/[^\x20-\x7e]/, 1)
  return JSON.stringify(line)
}

export class Tunnel implements ByteReceiver, DeadlineOwner {
  private readonly proxy: Connection
  private readonly spec: TunnelSpec
  private readonly owner: TunnelOwner
  private readonly wheel: TimerWheel
  private readonly timeoutMs: number
  private readonly deadline = new Timer(this)
  private seen = Buffer.alloc(0)
  private over = false

  /** `proxy`: just connected. Call `start`. */
  constructor(
    proxy: Connection,
    spec: TunnelSpec,
    owner: TunnelOwner,
    wheel: TimerWheel,
    timeoutMs: number,
  ) {
    this.proxy = proxy
    this.spec = spec
    this.owner = owner
    this.wheel = wheel
    this.timeoutMs = timeoutMs
  }

  start(): void {
    this.proxy.receiveWith(this)
    const { method, target } = this.spec
    if (method !== 'CONNECT') {
      this.fail(`a tunnel by ${method} needs HTTP/2, which is not spoken here yet`)
      return
    }
    this.wheel.arm(this.deadline, this.timeoutMs)
    this.proxy.writeText(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
  }

  /** Nobody wants it any more. */
  cancel(): void {
    if (this.settle()) this.proxy.destroy()
  }

  onBytes(buffer: Buffer, start: number, end: number): void {
    if (this.over) return
    this.seen = Buffer.concat([this.seen, buffer.subarray(start, end)])
    const length = this.seen.indexOf('\r\n\r\n')
    if (length < 0) {
      if (this.seen.length > longestReply) this.fail('its answer is too long to be one')
      return
    }
    const line = this.seen.toString('latin1', 0, this.seen.indexOf('\r\n'))
    const status = Number(/^HTTP\/1\.[01] (\d{3})\b/.exec(line)?.[1])
    if (!(status >= 200 && status < 300)) this.fail(`it answered "${line.slice(0, 200)}"`)
    else if (this.settle()) this.owner.onTunnel(this.proxy, this.seen.subarray(length + 4))
  }

  onEnd(): void {
    this.fail('it closed the connection')
  }

  onClose(error: ProxyError | undefined): void {
    this.fail(error?.message ?? 'it closed the connection')
  }

  onWritable(): void {
    // One request head is all that is written.
  }

  onDeadline(): void {
    const begun = this.seen.length === 0 ? 'no answer' : `no whole answer (${quoted(this.seen)})`
    this.fail(`${begun} within ${this.timeoutMs} ms`)
  }

  private fail(why: string): void {
    if (!this.settle()) return
    const proxy = formatAddress(this.proxy.remote)
    this.proxy.destroy()
    const message = `the proxy at ${proxy} opened no tunnel to ${this.spec.target}: ${why}`
    this.owner.onNoTunnel(
      new ProxyError(ErrorCode.ConnectFailure, Side.Upstream, { message, retryable: true }),
    )
  }

  private settle(): boolean {
    if (this.over) return false
    this.over = true
    this.wheel.cancel(this.deadline)
    return true
  }
}
