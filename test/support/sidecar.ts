/** A sidecar in this process, in explicit mode: real listeners and codecs, configuration from text. */
import { type AddressInfo, createServer, type Server } from 'node:net'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import type { Snapshot, WorkloadSpec } from '../../config/snapshot.ts'
import { Sharing } from '../../proxy/control/sharing.ts'
import { adoptAccepted } from '../../proxy/net/adopt.ts'
import type { ConnectionRecord, ExchangeRecord } from '../../proxy/telemetry/exchange-record.ts'
import { InstrumentReader } from '../../proxy/telemetry/instrument-reader.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { Doors } from '../../proxy/worker/doors.ts'
import { drain } from '../../proxy/worker/drain.ts'
import type { SharedFromWorker, WorkerSettings } from '../../proxy/worker/messages.ts'
import { Runtime } from '../../proxy/worker/runtime.ts'
import { HeardLog } from '../control/support.ts'
import { listening } from './upstream.ts'

export interface SidecarOptions {
  readonly yaml: string
  readonly namespace?: string
  readonly labels?: Record<string, string>
  readonly addresses?: readonly string[]
  readonly app?: { readonly address: string; readonly port: number }
  readonly binds?: WorkerSettings['binds']
  /** As behind capture rules: `portFor` gives ports that stand for what a client dialed. */
  readonly captured?: boolean
}

export class Sidecar {
  readonly exchanges: ExchangeRecord[] = []
  readonly connections: ConnectionRecord[] = []
  /** What was given to the log once. */
  readonly notes: string[] = []
  readonly runtime: Runtime
  private readonly reader = new InstrumentReader()
  readonly instruments = new Instruments((message) => this.reader.receive(0, message))
  /** The main thread's part of what workers share: who is ejected. */
  readonly sharing: Sharing
  /** What the main thread would log. */
  readonly log = new HeardLog()
  private snapshot: Snapshot | undefined
  port = 0
  private readonly doors: Doors
  private readonly workload: WorkloadSpec
  private waiting: Array<() => void> = []
  private readonly stand = new Map<string, Server>()

  private constructor(options: SidecarOptions) {
    const {
      addresses = ['127.0.0.1'],
      app,
      binds = [],
      captured = false,
      labels = {},
      namespace = 'default',
    } = options
    this.workload = { name: 'test', namespace, serviceAccount: 'default', labels, addresses }
    const settings: WorkerSettings = {
      id: 0,
      workers: 1,
      outbound: { address: '127.0.0.1', port: 0 },
      inbound: undefined,
      explicit: !captured,
      binds,
      app,
      accessLog: 'off',
      logLevel: 'error',
    }
    const fail = (what: string, why = ''): never => {
      throw new Error(`${what} ${why}`)
    }
    const note = (_key: string, text: string) => this.notes.push(text)
    this.sharing = new Sharing({
      threads: 1,
      post: (_worker, message) => this.runtime.shared.receive(message),
      current: () => this.snapshot,
      endpointsOf: (set) => this.snapshot?.endpointSets.get(set) ?? [],
      log: this.log,
      instruments: this.instruments,
    })
    const tell = (message: SharedFromWorker) => this.sharing.receive(0, message)
    this.runtime = new Runtime(settings, this.instruments, fail, tell, note)
    this.doors = new Doors(settings, this.runtime, fail)
  }

  static async start(options: SidecarOptions): Promise<Sidecar> {
    const sidecar = new Sidecar(options)
    sidecar.port = (await sidecar.doors.open()).outbound
    sidecar.reload(options.yaml)
    await sidecar.doors.follow()
    return sidecar
  }

  /** Compiles and swaps; problems are the caller's to look at. */
  reload(yaml: string): Snapshot {
    const { resources } = load([{ path: 'test.yaml', text: yaml }])
    const { snapshot } = compile(resources, this.workload)
    this.snapshot = snapshot
    this.sharing.follow(snapshot)
    this.runtime.apply(snapshot)
    this.runtime.services.recorder.log = {
      exchange: (record) => {
        this.exchanges.push(record)
        this.wake()
      },
      connection: (record) => {
        this.connections.push(record)
        this.wake()
      },
    }
    return snapshot
  }

  /** Opens and closes what the configuration asks for by now. */
  follow(): Promise<void> {
    return this.doors.follow()
  }

  /** Resolves when so many exchanges and connections were recorded. */
  async recorded(exchanges: number, connections = 0): Promise<void> {
    while (this.exchanges.length < exchanges || this.connections.length < connections)
      await new Promise<void>((done) => this.waiting.push(done))
  }

  /** A port whose connections arrive as if the kernel had redirected them from that address. */
  async portFor(
    address: string,
    port: number,
    direction: 'inbound' | 'outbound' = 'outbound',
  ): Promise<number> {
    const key = `${direction} ${address} ${port}`
    const acceptor = this.runtime[direction]
    let server = this.stand.get(key)
    if (server === undefined) {
      server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
      server.on('connection', (socket) =>
        this.runtime.accept(acceptor, adoptAccepted(socket, true, { address, port })),
      )
      this.stand.set(key, server)
      await listening(server)
    }
    return (server.address() as AddressInfo).port
  }

  /** What a metric stands at now. */
  value(metric: Parameters<InstrumentReader['value']>[0], labels: readonly string[]): number {
    this.instruments.flush()
    return this.reader.value(metric, labels)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Drains at once; resolves when nothing is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.stand.values()) server.close()
    await drain(this.runtime, this.doors, 'all', 0)
    this.runtime.clusters.close()
    this.sharing.close()
  }

  private wake(): void {
    for (const done of this.waiting.splice(0)) done()
  }
}

/** A Service named `name` with one endpoint per port on 127.0.0.1. */
export function serviceYaml(
  name: string,
  ports: readonly number[],
  portName = 'http',
  port = 80,
): string {
  const addresses = ports.map((_, i) => `127.0.0.${i + 1}`)
  const same = ports.every((p) => p === ports[0])
  const slices = ports.map(
    (target, i) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-${i}, namespace: default, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: ${portName}, port: ${target} }]
endpoints: [{ addresses: [${same ? addresses[i] : '127.0.0.1'}] }]
`,
  )
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec:
  ports: [{ name: ${portName}, port: ${port} }]
${slices.join('')}`
}

/** A Service named `app` on ports 80 (HTTP) and 90 (TCP), whose one Pod, at `address`, listens on the ports given. */
export function ownPortsYaml(app: string, address: string, http: number, tcp: number): string {
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${app}, namespace: default }
spec:
  selector: { app: ${app} }
  ports:
    - { name: http, port: 80, targetPort: ${http} }
    - { name: tcp, port: 90, targetPort: ${tcp} }
---
apiVersion: v1
kind: Pod
metadata: { name: ${app}-1, namespace: default, labels: { app: ${app} } }
spec: {}
status: { phase: Running, podIP: ${address} }
`
}
