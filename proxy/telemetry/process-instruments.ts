/** What the process as a whole uses; set when somebody looks. */
import type { Counter, Gauge, Instruments } from './instruments.ts'

export class ProcessInstruments {
  private readonly memory: Gauge
  private readonly cpu: Counter

  constructor(instruments: Instruments, version: string) {
    this.memory = instruments.gauge('memory')
    this.cpu = instruments.counter('cpu')
    instruments.gauge('started').set((Date.now() - process.uptime() * 1000) / 1000)
    instruments.gauge('build', ['proxy', version]).set(1)
  }

  refresh(): void {
    this.memory.set(process.memoryUsage.rss())
    const { user, system } = process.cpuUsage()
    this.cpu.add((user + system) / 1e6 - this.cpu.value)
  }
}
