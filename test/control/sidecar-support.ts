/** A whole control plane of one process over stand-in workers, on ports the kernel chooses. */
import type { Problem } from '../../config/resource.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import { Sidecar, type SidecarOptions, type SidecarPorts } from '../../proxy/control/sidecar.ts'
import { HeardLog, snapshotOf } from './support.ts'

export interface TestSidecar {
  readonly sidecar: Sidecar
  readonly ports: SidecarPorts
  readonly log: HeardLog
  readonly exits: number[]
  /** What the next reading gives. */
  readonly files: { snapshot: Snapshot; problems: Problem[]; quarantined: string[] }
  /** As if a file had changed. */
  touch(): Promise<void>
  get(page: string, init?: RequestInit, port?: number): Promise<{ status: number; body: string }>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startSidecar(
  more: Partial<SidecarOptions> = {},
  behaviour = '',
  snapshot = snapshotOf('v1'),
): Promise<TestSidecar> {
  const log = new HeardLog()
  const exits: number[] = []
  const files = { snapshot, problems: [] as Problem[], quarantined: [] as string[] }
  const anyPort = { address: '127.0.0.1', port: 0 }
  const sidecar = new Sidecar({
    script: new URL('./fake-worker.ts', import.meta.url),
    settings: {
      workers: 2,
      outbound: anyPort,
      inbound: undefined,
      explicit: true,
      binds: [],
      app: undefined,
      accessLog: undefined,
      logLevel: behaviour,
    },
    log,
    read: () => ({ ...files, files: 1 }),
    watch: () => ({ close: () => undefined }),
    lookup: { resolve: async () => ({ kind: 'none', error: 'nobody asked' }) },
    admin: anyPort,
    health: anyPort,
    metrics: anyPort,
    version: '0.0.0-test',
    facts: {},
    settleMs: 0,
    graceMs: 1_000,
    exit: (code) => void exits.push(code),
    ...more,
  })
  const ports = await sidecar.start().catch(async (error: unknown) => {
    await sidecar.stop()
    throw error
  })
  return {
    sidecar,
    ports,
    log,
    exits,
    files,
    touch: () => sidecar.publisher.reload(),
    get: async (page, init = {}, port = ports.admin ?? 0) => {
      const reply = await fetch(`http://127.0.0.1:${port}${page}`, init)
      return { status: reply.status, body: await reply.text() }
    },
    [Symbol.asyncDispose]: () => sidecar.stop(),
  }
}
