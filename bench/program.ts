/** A program under measurement: started on one core, watched through /proc, ended for certain. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { findTool, needTool } from './tools.ts'

/** Who is measured runs on the first core; what loads and answers it on the second. */
export const proxyCore = 0
export const loadCore = 1

const microsecondsPerTick = 10_000
const running = new Set<Program>()

/** `argv` bound to one core; unbound where taskset is missing. */
export function pinned(core: number, argv: readonly string[]): readonly string[] {
  const taskset = findTool('taskset')
  const bound = taskset === undefined ? argv : [taskset, '-c', String(core), ...argv]
  return core === proxyCore && realTime ? [needTool('chrt'), '-r', '1', ...bound] : bound
}

let realTime = false

/** From now on proxies run before everything else on their core: for machines that others use too. */
export function preferProxies(): void {
  realTime = true
}

/** For what several threads of a proxy do at once: in real time they would wait for each other's slices. */
export async function withoutPriority<T>(start: () => Promise<T>): Promise<T> {
  const before = realTime
  realTime = false
  try {
    return await start()
  } finally {
    realTime = before
  }
}

/** Keeps this process, which also probes, off the core of the measured. */
export function leaveProxyCore(): void {
  const taskset = findTool('taskset')
  if (taskset !== undefined) spawnSync(taskset, ['-acp', String(loadCore), String(process.pid)])
}

export class Program {
  readonly name: string
  readonly pid: number
  private readonly child: ChildProcess
  private readonly logFile: string
  private readonly ended: Promise<void>

  private constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name
    this.child = child
    this.logFile = logFile
    this.pid = child.pid ?? 0
    this.ended = new Promise((done) => child.once('close', () => done()))
  }

  static start(name: string, core: number, argv: readonly string[], logFile: string): Program {
    const [file = '', ...rest] = pinned(core, argv)
    const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const log = createWriteStream(logFile)
    child.stdout?.pipe(log, { end: false })
    child.stderr?.pipe(log, { end: false })
    child.on('error', (error) => log.write(`${error}\n`))
    const program = new Program(name, child, logFile)
    running.add(program)
    return program
  }

  /** CPU spent so far by all threads, user and system. */
  cpuMicroseconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick
  }

  residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  }

  mustLive(): void {
    if (this.child.exitCode === null && this.child.signalCode === null) return
    throw new Error(`${this.name} ended early; it said:\n${this.said()}`)
  }

  said(): string {
    return readFileSync(this.logFile, 'utf8').slice(-2_000)
  }

  async stop(): Promise<void> {
    running.delete(this)
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGTERM')
    const force = setTimeout(() => this.child.kill('SIGKILL'), 3_000)
    await this.ended
    clearTimeout(force)
  }
}

/** Ends whatever is still running: for the way out after a failure. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()))
}

/** Waits until `holds`, while the program lives. */
export async function until(
  program: Program,
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + 120_000
  while (!(await holds())) {
    program.mustLive()
    if (Date.now() > deadline) throw new Error(`${program.name}: waited 120 s for ${what}`)
    await pause(5)
  }
}

export async function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ port, host })
    const finish = (answer: boolean) => () => {
      socket.destroy()
      done(answer)
    }
    socket.once('connect', finish(true))
    socket.once('error', finish(false))
  })
}
