/** `outrider run` as a process of its own, in explicit mode on free ports, read by its log. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const entries = {
  main: fileURLToPath(new URL('../../proxy/main.ts', import.meta.url)),
  launcher: fileURLToPath(new URL('../../proxy/launcher.js', import.meta.url)),
}

/** A running `outrider run`, its log read line by line as JSON. */
export class Running {
  readonly child: ChildProcess
  readonly lines: Array<Record<string, unknown>> = []
  private readonly looks = new Set<() => void>()
  private text = ''

  /** `launcher`: as people start it, becoming the Node that it chooses: here the one of the tests. */
  constructor(args: readonly string[], entry: keyof typeof entries = 'main') {
    const anyPorts = ['outbound', 'admin', 'health', 'metrics'].flatMap((p) => [`--${p}-port`, '0'])
    const all = [entries[entry], 'run', '--explicit', '--log-format', 'json', ...anyPorts, ...args]
    const env = { ...process.env, OUTRIDER_NODE: entry === 'launcher' ? process.execPath : '' }
    this.child = spawn(process.execPath, all, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      this.text += `${line}\n`
      if (line.startsWith('{')) this.lines.push(JSON.parse(line))
      for (const look of this.looks) look()
    })
    this.child.on('exit', () => {
      for (const look of this.looks) look()
    })
  }

  /** The first log line whose message matches; rejects when the process ends before. */
  said(pattern: RegExp): Promise<Record<string, unknown>> {
    return new Promise((done, failed) => {
      const look = (): void => {
        const found = this.lines.find(({ msg }) => pattern.test(String(msg)))
        if (found === undefined && this.child.exitCode === null) return
        this.looks.delete(look)
        if (found === undefined) failed(new RangeError(`it ended and said:\n${this.text}`))
        else done(found)
      }
      this.looks.add(look)
      look()
    })
  }

  /** The ports it has, once it is ready. */
  async ready(): Promise<Record<keyof Started['places'], number>> {
    const { places } = (await this.said(/ is ready after /)) as unknown as Started
    const portOf = (place: string): number => Number(place.slice(place.lastIndexOf(':') + 1))
    return {
      outbound: portOf(places.outbound),
      admin: portOf(places.admin),
      health: portOf(places.health),
      metrics: portOf(places.metrics),
    }
  }

  /** Of the whole process, in bytes. */
  get rss(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  async ended(): Promise<{ code: number | null; text: string }> {
    if (this.child.exitCode === null) await once(this.child, 'close')
    return { code: this.child.exitCode, text: this.text }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null) this.child.kill('SIGKILL')
    await this.ended()
  }
}

/** What the line that says it is ready tells. */
export interface Started {
  readonly places: Record<'outbound' | 'admin' | 'health' | 'metrics', string>
  readonly configVersion: string
}
