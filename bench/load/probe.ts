/** One small request after another on a kept connection, each timed: shows every stall of the path. */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

const everyMs = 1
const endOfHead = '\r\n\r\n'

export interface ProbeReply {
  readonly head: string
  readonly body: string
}

/** A connection that asks the same thing again and again. */
export class Asker implements Disposable {
  private readonly socket: Socket
  private readonly request: string
  private text = ''
  private answered: ((reply: ProbeReply) => void) | undefined
  private broken: ((error: Error) => void) | undefined

  constructor(port: number, host: string) {
    this.request = `GET /100 HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => this.take(text))
    this.socket.on('error', (error) => this.broken?.(error))
    this.socket.on('close', () => this.broken?.(new Error('the connection was closed')))
  }

  ask(): Promise<ProbeReply> {
    return new Promise((answered, broken) => {
      this.answered = answered
      this.broken = broken
      this.socket.write(this.request)
    })
  }

  private take(text: string): void {
    this.text += text
    const end = this.text.indexOf(endOfHead)
    if (end === -1) return
    const head = this.text.slice(0, end)
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    const body = this.text.slice(end + endOfHead.length)
    if (body.length < length) return
    this.text = ''
    this.answered?.({ head, body })
  }

  [Symbol.dispose](): void {
    this.broken = undefined
    this.socket.destroy()
  }
}

/** Milliseconds each request took, in order, while it runs. */
export class Probe implements AsyncDisposable {
  readonly tookMs: number[] = []
  private readonly asker: Asker
  private readonly done: Promise<void>
  private isOver = false

  constructor(port: number, host: string) {
    this.asker = new Asker(port, host)
    this.done = this.run()
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      const began = performance.now()
      await this.asker.ask()
      this.tookMs.push(performance.now() - began)
      await pause(everyMs)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOver = true
    await this.done
    this.asker[Symbol.dispose]()
  }
}

/** The value that `share` (0.999: all but one in a thousand) of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
