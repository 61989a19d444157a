/**
 * Keeps N workers alive and in step: gives each the current snapshot, knows which have linked it,
 * replaces those that die without disturbing the rest, and drains them all at the end.
 */
import type { EndpointSpec, FaultLease, Snapshot } from '../../config/snapshot.ts'
import type { Instruments } from '../telemetry/instruments.ts'
import type { FromWorker, ToWorker, WorkerSettings } from '../worker/messages.ts'
import type { Log } from './log.ts'
import { fixedBind, mustBeFree } from './port-check.ts'
import { Queries } from './queries.ts'
import { poisonedAfter, Rollout } from './rollout.ts'
import { type Backoff, Seat, type SeatEvents } from './seat.ts'
import { Sharing } from './sharing.ts'
import { StartFailure } from './start-failure.ts'

export interface SupervisorOptions {
  /** The worker's program: `../worker/main.ts`, or a stand-in in tests. */
  readonly script: URL
  readonly settings: Omit<WorkerSettings, 'id'>
  readonly log: Log
  /** A worker has a new block of shared counters. */
  readonly onInstruments?: (worker: number, message: unknown) => void
  /** A worker is gone: its gauges no longer count. */
  readonly onGone?: (worker: number) => void
  /** Listening, linked or lost: readiness may have changed. */
  readonly onChange?: () => void
  readonly backoff?: Backoff
  /** Where the main thread counts. */
  readonly instruments?: Instruments
}

/** The real ports, after the kernel chose where 0 was asked for. */
export interface BoundPorts {
  readonly outbound: number
  readonly inbound: number
}

export interface DrainLedger {
  readonly finished: number
  readonly cut: number
}

/** How a worker names the failure to open the ports it was given. */
const listenersFailed = 'listeners'

type Bind = WorkerSettings['binds'][number]

/** Different lines of workers remembered. */
const mostNotes = 1_000

export class Supervisor {
  readonly seats: readonly Seat[]
  ports: BoundPorts | undefined
  /** With the real ports, the same in every worker. */
  readonly binds: Bind[] = []
  private readonly options: SupervisorOptions
  readonly sharing: Sharing
  private readonly queries = new Queries()
  /** What workers had logged, so that the others do not repeat it. */
  private readonly noted = new Set<string>()
  private readonly drains = new Map<number, (ledger: DrainLedger) => void>()
  private readonly rollout = new Rollout()
  private logLevel: string
  private faults: readonly FaultLease[] = []
  private starting:
    | { bound(ports: BoundPorts): void; failed(error: StartFailure): void }
    | undefined
  private stopping = false
  private retired = false

  constructor(options: SupervisorOptions) {
    this.options = options
    this.logLevel = options.settings.logLevel
    const backoff = options.backoff ?? { firstMs: 100, mostMs: 10_000 }
    const events: SeatEvents = {
      onMessage: (seat, message) => this.receive(seat, message),
      onDeath: (seat, error, code) => this.replace(seat, error, code),
    }
    const ids = Array.from({ length: options.settings.workers }, (_, id) => id)
    this.seats = ids.map((id) => new Seat(id, options.script, backoff, events))
    this.sharing = new Sharing({
      threads: ids.length,
      post: (worker, message) => this.seats[worker]?.post({ type: 'shared', message }),
      current: () => this.rollout.current,
      endpointsOf: (set) => this.rollout.endpointsOf(set),
      log: options.log,
      instruments: options.instruments,
    })
  }

  /** Starts and resolves when the first worker listens; rejects with a StartFailure. */
  async start(): Promise<BoundPorts> {
    return (await this.launch()).bound
  }

  /**
   * Resolves when the threads have been started, so that their loading and the caller's work overlap.
   * `bound` resolves when one worker listens; the others follow on the same ports. Where the kernel
   * chooses a port, they can start only then.
   */
  async launch(): Promise<{ readonly bound: Promise<BoundPorts> }> {
    const { outbound, inbound, binds } = this.options.settings
    await mustBeFree({ what: 'outbound', option: '--outbound-port' }, outbound)
    if (inbound !== undefined)
      await mustBeFree({ what: 'inbound', option: '--inbound-port' }, inbound)
    for (const bind of binds) this.binds.push(await fixedBind(bind))
    const bound = new Promise<BoundPorts>((done, failed) => {
      this.starting = { bound: done, failed }
    })
    const chosenByKernel = outbound.port === 0 || inbound?.port === 0
    for (const seat of chosenByKernel ? this.seats.slice(0, 1) : this.seats) this.startSeat(seat)
    return { bound }
  }

  publish(snapshot: Snapshot): void {
    this.sharing.follow(snapshot)
    this.rollout.publish(snapshot, this.seats)
    this.options.onChange?.()
  }

  updateEndpoints(set: string, endpoints: readonly EndpointSpec[]): void {
    this.sharing.endpointsChanged(set, endpoints)
    this.rollout.endpoints(set, endpoints, this.seats)
  }

  setLogLevel(level: string): void {
    this.logLevel = level
    this.broadcast({ type: 'log-level', level })
  }

  /** Faults asked for at the admin port. */
  setFaults(leases: readonly FaultLease[]): void {
    this.faults = leases
    this.broadcast({ type: 'faults', leases })
  }

  /** Workers give back what they keep for work. */
  rest(): void {
    this.broadcast({ type: 'rest' })
  }

  /** Every worker listens and has linked the current snapshot. */
  get settled(): boolean {
    return this.waitingFor === ''
  }

  /** What readiness still waits for, in words; `` when it waits for nothing. */
  get waitingFor(): string {
    const deaf = this.seats.filter((seat) => seat.state !== 'serving')
    if (deaf.length > 0)
      return `${deaf.length} of ${this.seats.length} workers are not listening yet`
    const version = this.rollout.current?.version
    if (version === undefined) return 'no configuration has been published yet'
    const behind = this.seats.filter((seat) => seat.linked !== version)
    if (behind.length === 0) return ''
    return `${behind.length} of ${this.seats.length} workers have not taken version ${version} yet`
  }

  /** Asks every worker; those that do not answer in time, or die, are left out. */
  async query(what: 'clusters' | 'stats', timeoutMs = 1_000): Promise<Map<number, unknown>> {
    const serving = this.seats.filter((seat) => seat.state === 'serving')
    const answers = await Promise.all(
      serving.map(async (seat) => {
        const pending = this.queries.open(seat.id, timeoutMs)
        seat.post({ type: 'query', id: pending.id, what })
        return [seat.id, await pending.answer] as const
      }),
    )
    return new Map(answers.filter(([, value]) => value !== undefined))
  }

  /** Replies tell clients to come back on other connections, and best to others. */
  retire(): void {
    this.retired = true
    this.broadcast({ type: 'retire' })
  }

  /** Resolves with what became of the open work of all workers; cut off a second after the grace. */
  async drain(direction: 'inbound' | 'all', graceMs: number): Promise<DrainLedger> {
    if (direction === 'all') this.stopping = true
    const waiting = this.seats.map((seat) => {
      if (seat.state !== 'serving') return { finished: 0, cut: 0 }
      return new Promise<DrainLedger>((done) => {
        const late = setTimeout(() => done({ finished: 0, cut: 0 }), graceMs + 1_000)
        this.drains.set(seat.id, (ledger) => {
          clearTimeout(late)
          done(ledger)
        })
        seat.post({ type: 'drain', direction, graceMs })
      })
    })
    const ledgers = await Promise.all(waiting)
    return ledgers.reduce((sum, one) => add(sum, one), { finished: 0, cut: 0 })
  }

  async stop(): Promise<void> {
    this.stopping = true
    this.sharing.close()
    await Promise.all(this.seats.map((seat) => seat.stop()))
  }

  private broadcast(message: ToWorker): void {
    for (const seat of this.seats) seat.post(message)
  }

  private startSeat(seat: Seat): void {
    seat.start(this.settingsOf(seat))
    this.offer(seat)
  }

  private settingsOf(seat: Seat): WorkerSettings {
    const { settings } = this.options
    const { ports } = this
    return {
      ...settings,
      id: seat.id,
      logLevel: this.logLevel,
      faults: this.faults,
      binds: this.binds,
      outbound: { ...settings.outbound, port: ports?.outbound ?? settings.outbound.port },
      inbound: settings.inbound && {
        ...settings.inbound,
        port: ports?.inbound || settings.inbound.port,
      },
    }
  }

  private offer(seat: Seat): void {
    this.sharing.welcome(seat.id)
    this.rollout.whole(seat)
    if (this.retired) seat.post({ type: 'retire' })
  }

  private receive(seat: Seat, message: FromWorker): void {
    switch (message.type) {
      case 'listening':
        this.listening({ outbound: message.outbound, inbound: message.inbound })
        break
      case 'linked':
        this.rollout.linked(message.version)
        this.options.onChange?.()
        break
      case 'failed':
        this.failed(seat, message.what, message.message)
        break
      case 'instruments':
        this.options.onInstruments?.(seat.id, message.message)
        break
      case 'shared':
        this.sharing.receive(seat.id, message.message)
        break
      case 'note':
        this.note(message.key, message.text)
        break
      case 'answer':
        this.queries.settle(message.id, message.value)
        break
      case 'drained':
        this.drained(seat, { finished: message.finished, cut: message.cut })
        break
    }
  }

  private note(key: string, text: string): void {
    if (this.noted.has(key)) return
    if (this.noted.size >= mostNotes) this.noted.clear()
    this.noted.add(key)
    this.options.log.warn({}, text)
  }

  private listening(ports: BoundPorts): void {
    if (this.ports === undefined) {
      this.ports = ports
      for (const seat of this.seats) if (seat.state === 'stopped') this.startSeat(seat)
      this.starting?.bound(ports)
      this.starting = undefined
    }
    this.options.onChange?.()
  }

  private failed(seat: Seat, what: string, message: string): void {
    if (this.starting !== undefined && what === listenersFailed) {
      this.starting.failed(new StartFailure(`a worker cannot listen: ${message}`))
      this.starting = undefined
      return
    }
    this.options.log.error({ worker: seat.id, what }, `${what}: ${message}`)
    // A worker that cannot listen is of no use: another one may have more luck.
    if (what === listenersFailed && seat.state === 'starting') seat.kill()
  }

  private drained(seat: Seat, ledger: DrainLedger): void {
    this.drains.get(seat.id)?.(ledger)
    this.drains.delete(seat.id)
  }

  private replace(seat: Seat, error: unknown, code: number): void {
    this.queries.abandon(seat.id)
    this.sharing.forget(seat.id)
    this.drained(seat, { finished: 0, cut: 0 })
    this.options.onGone?.(seat.id)
    if (this.stopping) {
      seat.state = 'stopped'
      return
    }
    if (this.starting !== undefined && this.seats.every(({ linked }) => linked === '')) {
      const why = `worker ${seat.id} died while starting: ${seat.lastDeath}`
      this.starting.failed(new StartFailure(why, 1, error))
      this.starting = undefined
      return
    }
    const delay = seat.replaceWith(
      () => this.settingsOf(seat),
      () => this.offer(seat),
    )
    this.options.log.error(
      { worker: seat.id, code, err: error, restarts: seat.restarts + 1, delayMs: delay },
      `worker ${seat.id} died (${seat.lastDeath}); its replacement starts in ${delay} ms, the other workers go on`,
    )
    this.warnOfPoison(seat)
    this.options.onChange?.()
  }

  private warnOfPoison(seat: Seat): void {
    const { proven } = this.rollout
    if (seat.linkDeaths !== poisonedAfter || proven === undefined) return
    const version = this.rollout.current?.version
    this.options.log.error(
      { worker: seat.id, version, kept: proven.version },
      `version ${version} kills the workers that take it; worker ${seat.id} goes on with version ${proven.version} (this is a bug of the proxy, please report it)`,
    )
  }
}

function add(a: DrainLedger, b: DrainLedger): DrainLedger {
  return { finished: a.finished + b.finished, cut: a.cut + b.cut }
}
