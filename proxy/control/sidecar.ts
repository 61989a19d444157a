/**
 * The whole running proxy, once per process: workers, configuration, names, pages, and its end. What
 * is expensive to load and not needed at once (metrics exposition) is loaded on first use.
 */
import { countBySeverity } from '../../config/diagnostics.ts'
import type { Problem, Severity } from '../../config/resource.ts'
import type { Snapshot } from '../../config/snapshot.ts'
import { boundHeaps, sweepHeap } from '../base/memory.ts'
import type { WorkerSettings } from '../worker/messages.ts'
import { adminAnswer, healthAnswer, metricsAnswer } from './admin.ts'
import { Collector, type SelfView } from './collector.ts'
import { FaultDesk } from './fault-desk.ts'
import { type Door, type DoorAnswer, type DoorReply, openDoor } from './http-door.ts'
import type { Log } from './log.ts'
import type { NameLookup } from './name-lookup.ts'
import { someoneListens } from './port-owner.ts'
import { type Compiled, Publisher } from './publisher.ts'
import { Readiness } from './readiness.ts'
import { Resolver } from './resolver.ts'
import { RestWatch } from './resting-memory.ts'
import { Shutdown } from './shutdown.ts'
import { StartFailure } from './start-failure.ts'
import { type BoundPorts, Supervisor } from './supervisor.ts'

export interface Place {
  readonly address: string
  readonly port: number
}

export interface SidecarOptions {
  readonly script: URL
  readonly settings: Omit<WorkerSettings, 'id'>
  readonly log: Log
  readonly read: () => Compiled | Promise<Compiled>
  /** Calls back after each change of the files, until closed. */
  readonly watch: (onChange: () => void) => { close(): void }
  readonly lookup: NameLookup
  /** Undefined: not opened. */
  readonly admin: Place | undefined
  readonly health: Place | undefined
  readonly metrics: Place | undefined
  /** Of the program, for metrics. */
  readonly version: string
  readonly facts: Readonly<Record<string, unknown>>
  readonly settleMs: number
  readonly graceMs: number
  /** Ends the process; tests give their own. */
  readonly exit: (code: number) => void
}

export interface SidecarPorts extends BoundPorts {
  readonly admin: number | undefined
  readonly health: number | undefined
  readonly metrics: number | undefined
}

/** Readiness waits this long for first answers of name servers, reloads that long for new names. */
const firstNamesMs = 3_000
const newNamesMs = 1_000
/** Readings that come faster are swept up after together. */
const sweepAfterMs = 1_000

export class Sidecar {
  readonly supervisor: Supervisor
  readonly publisher: Publisher
  readonly readiness: Readiness
  readonly collector: Collector
  readonly resolver: Resolver
  readonly faults: FaultDesk
  readonly shutdown: Shutdown
  readonly log: Log
  private readonly options: SidecarOptions
  private readonly doors: Door[] = []
  private watching: { close(): void } | undefined
  private namesGiven = false
  private sweeping: NodeJS.Timeout | undefined
  private resting: RestWatch | undefined
  private ports: SidecarPorts | undefined

  constructor(options: SidecarOptions) {
    this.options = options
    const { log } = options
    this.log = log
    const review = (): void => this.readiness.review()
    this.collector = new Collector(
      (what) => this.supervisor.query(what),
      () => this.selfView(),
    )
    this.collector.instruments.gauge('build', ['proxy', options.version]).set(1)
    this.supervisor = new Supervisor({
      script: options.script,
      settings: options.settings,
      log,
      instruments: this.collector.instruments,
      onChange: review,
      onInstruments: (worker, message) => this.collector.receive(worker, message),
      onGone: (worker) => this.collector.workerGone(worker),
    })
    this.resolver = new Resolver({
      lookup: options.lookup,
      log,
      onEndpoints: (set, endpoints) => this.supervisor.updateEndpoints(set, endpoints),
      onSettled: review,
    })
    this.publisher = new Publisher({
      read: options.read,
      deliver: (snapshot) => this.deliver(snapshot),
      log,
      onRead: (result) => {
        this.collector.configRead(result, this.publisher.status)
        this.sweepSoon()
      },
    })
    this.faults = new FaultDesk({
      snapshot: () => this.publisher.status.snapshot,
      publish: (leases) => this.supervisor.setFaults(leases),
      log,
    })
    this.readiness = new Readiness(
      [
        { name: 'workers', waitingFor: () => this.supervisor.waitingFor },
        { name: 'names', waitingFor: () => this.namesAwaited() },
      ],
      () => this.supervisor.seats.some(({ linked }) => linked !== ''),
    )
    this.shutdown = this.makeShutdown()
  }

  /** Threads first, configuration while they load, pages last; rejects with a StartFailure. */
  async start(): Promise<SidecarPorts> {
    boundHeaps()
    const { bound } = await this.supervisor.launch()
    const [ports] = await Promise.all([bound, this.firstReading()])
    void this.resolver.settled(firstNamesMs).then(() => {
      this.namesGiven = true
      this.readiness.review()
    })
    this.watching = this.options.watch(() => void this.publisher.reload())
    this.ports = { ...ports, ...(await this.openDoors()) }
    this.sweepSoon()
    this.resting = new RestWatch({ prepare: () => this.prepareRest() })
    return this.ports
  }

  /** Closes everything without draining. */
  async stop(): Promise<void> {
    this.watching?.close()
    clearTimeout(this.sweeping)
    this.resting?.stop()
    this.resolver.close()
    this.faults.close()
    for (const door of this.doors) door.close()
    await this.supervisor.stop()
  }

  /** For the start-up lines. */
  summary(): { services: number; clusters: number; problems: Record<Severity, number> } {
    const { snapshot, problems } = this.publisher.status
    const services = new Set([...(snapshot?.clusters.values() ?? [])].map(({ service }) => service))
    services.delete('')
    return {
      services: services.size,
      clusters: snapshot?.clusters.size ?? 0,
      problems: countBySeverity(problems as Problem[]),
    }
  }

  private async firstReading(): Promise<void> {
    try {
      await this.publisher.start()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new StartFailure(`the configuration cannot be read: ${why}`, 1, error)
    }
  }

  private async deliver(snapshot: Snapshot): Promise<void> {
    const first = this.publisher.status.snapshot === undefined
    this.resolver.follow(snapshot)
    // Destinations are looked up before routes lead to them; at the start readiness waits instead.
    if (!first) await this.resolver.settled(newNamesMs)
    this.supervisor.publish(this.resolver.withAnswers(snapshot))
  }

  /** Every reading leaves several times its size behind. No traffic waits for this thread. */
  private sweepSoon(): void {
    this.sweeping ??= setTimeout(() => {
      this.sweeping = undefined
      sweepHeap()
    }, sweepAfterMs).unref()
  }

  private prepareRest(): void {
    sweepHeap()
    this.supervisor.rest()
  }

  private namesAwaited(): string {
    const count = this.namesGiven ? 0 : this.resolver.unsettled
    return count === 0
      ? ''
      : `${count} names of the configuration are being resolved for the first time`
  }

  private async openDoors(): Promise<Omit<SidecarPorts, keyof BoundPorts>> {
    const { admin, health, metrics } = this.options
    const expose = (): Promise<DoorReply> => this.collector.prometheus()
    const adminPages = adminAnswer({
      publisher: this.publisher,
      supervisor: this.supervisor,
      readiness: this.readiness,
      collector: this.collector,
      faults: this.faults,
      log: this.options.log,
      metrics: expose,
      names: () => this.resolver.status(),
      drain: () => void this.shutdown.begin('POST /drain'),
      quit: () => void this.exit(0),
      facts: () => this.facts(),
      ownName: admin?.address ?? '',
    })
    const [adminPort, healthPort, metricsPort] = await Promise.all([
      this.openDoor('admin', '--admin-port', admin, adminPages),
      this.openDoor('health', '--health-port', health, healthAnswer(this.readiness)),
      this.openDoor('metrics', '--metrics-port', metrics, metricsAnswer(expose)),
    ])
    return { admin: adminPort, health: healthPort, metrics: metricsPort }
  }

  private async openDoor(
    what: string,
    option: string,
    place: Place | undefined,
    answer: DoorAnswer,
  ): Promise<number | undefined> {
    if (place === undefined) return undefined
    const door = await openDoor({
      use: { what, option },
      ...place,
      answer,
      onError: (error, path) => {
        this.options.log.error({ err: error, path }, `the ${what} page ${path} failed`)
      },
    })
    this.doors.push(door)
    return door.port
  }

  private selfView(): ReturnType<SelfView> {
    const { seats } = this.supervisor
    return {
      version: this.publisher.status.snapshot?.version ?? '',
      workers: seats.filter(({ state }) => state === 'serving').length,
      restarts: seats.reduce((sum, seat) => sum + seat.restarts, 0),
    }
  }

  private facts(): Record<string, unknown> {
    const { generation, publishedAt, snapshot } = this.publisher.status
    return {
      version: this.options.version,
      ...this.options.facts,
      uptimeSeconds: Math.round(process.uptime()),
      rssBytes: process.memoryUsage.rss(),
      ports: this.ports,
      configVersion: snapshot?.version ?? '',
      generation,
      publishedAt: publishedAt === 0 ? '' : new Date(publishedAt).toISOString(),
    }
  }

  private makeShutdown(): Shutdown {
    const { log, settleMs, graceMs, settings } = this.options
    return new Shutdown({
      log,
      onBegin: () => {
        this.readiness.drain()
        this.supervisor.retire()
      },
      openConnections: () =>
        this.collector.reader.value('downstreamActive', ['inbound']) +
        this.collector.reader.value('downstreamActive', ['outbound']),
      drain: (direction, ms) => this.supervisor.drain(direction, ms),
      exit: (code) => this.exit(code),
      settleMs,
      graceMs,
      outboundLast: !settings.explicit,
      applicationThere: () => !settings.explicit && someoneListens(this.applicationPorts()),
    })
  }

  private applicationPorts(): number[] {
    const ports = this.publisher.status.snapshot?.inbound.ports ?? []
    return [...new Set(ports.map(({ target }) => target.port))]
  }

  private async exit(code: number): Promise<void> {
    // A thread that does not end must not keep the process.
    setTimeout(() => this.options.exit(code), 1_000).unref()
    await this.stop()
    this.options.exit(code)
  }
}
