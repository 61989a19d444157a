/** What the tests of control/ share: a small snapshot, a listening log, a supervisor over stand-in workers. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import type { Log } from '../../proxy/control/log.ts'
import { Supervisor, type SupervisorOptions } from '../../proxy/control/supervisor.ts'

export function endpoint(address: string, port = 80): EndpointSpec {
  return {
    address,
    port,
    weight: 1,
    labels: {},
    locality: '',
    healthy: true,
    workload: '',
    serviceAccount: '',
  }
}

export function snapshotOf(version: string, sets: Record<string, EndpointSpec[]> = {}): Snapshot {
  return {
    version,
    workload: {
      name: 'app',
      namespace: 'default',
      serviceAccount: 'default',
      labels: {},
      addresses: ['127.0.0.1'],
    },
    mesh: {
      trustDomain: 'cluster.local',
      domain: 'cluster.local',
      rootNamespace: 'istio-system',
      pathNormalization: 'BASE',
      protocolDetectionTimeoutMs: 0,
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
      accessLogFormat: '',
    },
    outbound: { policy: { mode: 'ALLOW_ANY', origin: undefined }, listeners: [], doors: [] },
    inbound: { ports: [], mode: 'PASSTHROUGH' },
    clusters: new Map(),
    endpointSets: new Map(Object.entries(sets)),
  }
}

export class HeardLog implements Log {
  level = 'debug'
  readonly lines: string[] = []
  debug(_: object, message: string): void {
    this.lines.push(`debug ${message}`)
  }
  info(_: object, message: string): void {
    this.lines.push(`info ${message}`)
  }
  warn(_: object, message: string): void {
    this.lines.push(`warn ${message}`)
  }
  error(_: object, message: string): void {
    this.lines.push(`error ${message}`)
  }
  count(part: string): number {
    return this.lines.filter((line) => line.includes(part)).length
  }
}

/** Resolves when a condition holds; `check` is called at each change. */
export class Changes {
  private readonly waiting = new Set<() => void>()

  readonly check = (): void => {
    for (const look of this.waiting) look()
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((done) => {
      // What is waited for may hang on timers that do not keep the process alive.
      const alive = setInterval(() => undefined, 60_000)
      const look = (): void => {
        if (!condition()) return
        clearInterval(alive)
        this.waiting.delete(look)
        done()
      }
      this.waiting.add(look)
      look()
    })
  }
}

export interface Team {
  readonly supervisor: Supervisor
  readonly changes: Changes
  readonly log: HeardLog
  [Symbol.asyncDispose](): Promise<void>
}

/** A supervisor over stand-in workers; `behaviour` is what fake-worker.ts understands. */
export function team(
  workers: number,
  behaviour = '',
  more: Partial<SupervisorOptions> = {},
  port = 0,
): Team {
  const changes = new Changes()
  const log = new HeardLog()
  const supervisor = new Supervisor({
    script: new URL('./fake-worker.ts', import.meta.url),
    settings: {
      workers,
      outbound: { address: '127.0.0.1', port },
      inbound: undefined,
      explicit: true,
      binds: [],
      app: undefined,
      accessLog: undefined,
      logLevel: behaviour,
    },
    log,
    onChange: changes.check,
    backoff: { firstMs: 1, mostMs: 4 },
    ...more,
  })
  return { supervisor, changes, log, [Symbol.asyncDispose]: () => supervisor.stop() }
}

/** Sends one word to a stand-in worker; its answer, or `` when it died of it. */
export async function say(port: number, word: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString()
    socket.end()
  })
  socket.write(word)
  await once(socket, 'close')
  return answer.trim()
}
