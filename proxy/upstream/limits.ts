/**
 * The limits of Istio's connectionPool for one cluster. Counted in this thread; exact over all
 * threads when given cells of shared memory.
 */
import type { ConnectionPoolSpec } from '../../config/snapshot.ts'
import { LimitPlace, type SharedLimitCells, unlimited } from '../base/shared-limits.ts'

export class Limit {
  /** As written in a DestinationRule. */
  readonly name: string
  readonly max: number
  private count = 0
  private readonly shared: SharedLimitCells | undefined
  private readonly place: number

  /** `counted`: by all threads together, limit or not. */
  constructor(
    name: string,
    max: number,
    shared: SharedLimitCells | undefined,
    place: number,
    counted = false,
  ) {
    this.name = name
    this.max = max
    this.shared = max >= unlimited && !counted ? undefined : shared
    this.place = place
  }

  /** False: the limit is reached and nothing was counted. */
  take(): boolean {
    return this.takeBelow(this.max)
  }

  /** The same against another limit than its own. */
  takeBelow(max: number): boolean {
    const shared = this.shared
    if (shared === undefined) {
      if (this.count >= max) return false
      this.count++
      return true
    }
    const before = Atomics.add(shared.cells, shared.totals + this.place, 1)
    if (before >= max) {
      Atomics.sub(shared.cells, shared.totals + this.place, 1)
      return false
    }
    this.countOwn(1)
    return true
  }

  /** Counts without asking: for what exists already and changes its place only. */
  takeAnyway(): void {
    if (this.shared === undefined) {
      this.count++
      return
    }
    Atomics.add(this.shared.cells, this.shared.totals + this.place, 1)
    this.countOwn(1)
  }

  give(): void {
    if (this.shared === undefined) {
      this.count--
      return
    }
    Atomics.sub(this.shared.cells, this.shared.totals + this.place, 1)
    this.countOwn(-1)
  }

  /** In use now, by all threads when shared. */
  get used(): number {
    const shared = this.shared
    return shared === undefined
      ? this.count
      : Atomics.load(shared.cells, shared.totals + this.place)
  }

  /** In use by this thread. */
  get own(): number {
    return this.count
  }

  get finite(): boolean {
    return this.max < unlimited
  }

  get isShared(): boolean {
    return this.shared !== undefined
  }

  /** `maxConnections is 2 and 2 are in use` */
  describe(): string {
    return `${this.name} is ${this.max} and ${this.used} are in use`
  }

  private countOwn(n: number): void {
    this.count += n
    Atomics.store(this.shared!.cells, this.shared!.own + this.place, this.count)
  }
}

export class Limits {
  readonly connections: Limit
  readonly pending: Limit
  readonly requests: Limit
  readonly retries: Limit
  readonly wanting: Wanting

  /** `budgeted`: requests and retries are counted for a retry budget (Istio retryBudget). */
  constructor(spec: ConnectionPoolSpec, shared?: SharedLimitCells, budgeted = false) {
    this.connections = new Limit(
      'maxConnections',
      spec.maxConnections,
      shared,
      LimitPlace.Connections,
    )
    this.pending = new Limit(
      'http1MaxPendingRequests',
      spec.maxPendingRequests,
      shared,
      LimitPlace.Pending,
    )
    this.requests = new Limit(
      'http2MaxRequests',
      spec.maxRequests,
      shared,
      LimitPlace.Requests,
      budgeted,
    )
    this.retries = new Limit('maxRetries', spec.maxRetries, shared, LimitPlace.Retries, budgeted)
    this.wanting = new Wanting(this.connections.isShared ? shared : undefined)
  }
}

/** Whoever waits for longer listens again. */
const listenMs = 1_000

/** Whether somebody waits for a connection to end, here and in other threads; who has waited longest is woken first. */
export class Wanting {
  private readonly shared: SharedLimitCells | undefined
  private here = false
  private listening = false

  constructor(shared: SharedLimitCells | undefined) {
    this.shared = shared
  }

  set(here: boolean): void {
    const { shared } = this
    if (shared === undefined || here === this.here) return
    this.here = here
    Atomics.add(shared.cells, shared.totals + LimitPlace.Wanting, here ? 1 : -1)
    Atomics.store(shared.cells, shared.own + LimitPlace.Wanting, here ? 1 : 0)
  }

  get elsewhere(): boolean {
    const { shared } = this
    if (shared === undefined) return false
    return Atomics.load(shared.cells, shared.totals + LimitPlace.Wanting) > (this.here ? 1 : 0)
  }

  /** There is room: tells the thread that has waited longest. */
  wakeOne(): void {
    const { shared } = this
    if (shared === undefined) return
    const at = shared.totals + LimitPlace.Wakes
    Atomics.add(shared.cells, at, 1)
    Atomics.notify(shared.cells, at, 1)
  }

  /** Calls back once when another thread has made room; not twice at a time. */
  listen(onWake: () => void): void {
    const { shared } = this
    if (shared === undefined || this.listening) return
    this.listening = true
    const at = shared.totals + LimitPlace.Wakes
    const before = Atomics.load(shared.cells, at)
    const woken = Atomics.waitAsync(shared.cells, at, before, listenMs).value
    void Promise.resolve(woken).then((how) => {
      this.listening = false
      if (how !== 'timed-out') onWake()
    })
  }
}
