/** A steady stream of requests, on kept and on new connections; every failure is kept with its reason. */
import { Agent } from 'node:http'
import { type Asked, ask } from './upstream.ts'

export class SteadyLoad {
  total = 0
  readonly failures: string[] = []
  private readonly port: number
  private readonly asked: Asked
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 8 })
  private readonly running = new Set<Promise<void>>()
  private readonly timer: NodeJS.Timeout

  /** `perSecond` requests a second until stop(); every fifth on a connection of its own. */
  constructor(port: number, asked: Asked, perSecond = 200) {
    this.port = port
    this.asked = asked
    const everyMs = 20
    this.timer = setInterval(() => {
      for (let i = 0; i < (perSecond * everyMs) / 1_000; i++) this.one()
    }, everyMs)
  }

  /** Resolves when `count` more requests have ended. */
  async more(count: number): Promise<void> {
    const until = this.total + count
    while (this.total < until) await Promise.race([...this.running, pause(20)])
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    await Promise.all(this.running)
    this.agent.destroy()
  }

  private one(): void {
    const fresh = this.total % 5 === 0
    const one = ask(this.port, fresh ? this.asked : { ...this.asked, agent: this.agent })
      .then(
        ({ status, body }) => {
          if (status !== 200) this.failures.push(`${status} ${body}`)
        },
        (error: Error) => this.failures.push(error.message),
      )
      .then(() => {
        this.total++
        this.running.delete(one)
      })
    this.running.add(one)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms))
}
