/**
 * Counts the failures of one endpoint in a row, together with all other threads, and tells when a
 * number of the cluster's outlierDetection is reached. Nobody is ejected here (control/outliers.ts).
 */
import type { OutlierDetectionSpec } from '../../config/snapshot.ts'
import { ErrorCode, type ProxyError } from '../base/errors.ts'
import {
  type Consecutive,
  LocalFailure,
  noteFailure,
  OutlierCell,
  outlierCells,
} from '../base/outlier-cells.ts'

/** What happened without a reply, by error; others are not the endpoint's fault. */
const localFailures: Partial<Record<ErrorCode, LocalFailure>> = {
  [ErrorCode.ConnectFailure]: LocalFailure.ConnectFailure,
  [ErrorCode.ConnectTimeout]: LocalFailure.ConnectTimeout,
  [ErrorCode.UpstreamClosed]: LocalFailure.Reset,
  [ErrorCode.UpstreamReset]: LocalFailure.Reset,
  [ErrorCode.UpstreamProtocol]: LocalFailure.Reset,
  [ErrorCode.ResponseTimeout]: LocalFailure.Timeout,
  [ErrorCode.PerTryTimeout]: LocalFailure.Timeout,
}

/** One cluster's rules, shared by its endpoints. */
export class OutlierRules {
  readonly split: boolean
  /** Replies are counted for comparison with those of other endpoints. */
  readonly rated: boolean
  /** By Consecutive; 0: never. */
  readonly thresholds: readonly number[]
  private readonly statuses: ReadonlySet<number> | undefined

  constructor(spec: OutlierDetectionSpec) {
    this.split = spec.splitLocalOrigin
    this.rated = spec.failurePercentage > 0 || spec.successRateFactor > 0
    this.thresholds = [
      spec.consecutive5xx,
      spec.consecutiveGatewayErrors,
      spec.consecutiveLocalOrigin,
    ]
    this.statuses = spec.errorStatuses.length === 0 ? undefined : new Set(spec.errorStatuses)
  }

  isError(status: number): boolean {
    return this.statuses === undefined ? status >= 500 : this.statuses.has(status)
  }
}

export class OutlierCounts {
  private readonly rules: OutlierRules
  private readonly reached: (what: Consecutive) => void
  /** Of this thread alone until the main thread has given out shared ones; undefined: nothing counted yet. */
  private cells: Int32Array | undefined = undefined
  private at = 0
  private isShared = false

  /** `reached` is called each time a number is reached. */
  constructor(rules: OutlierRules, reached: (what: Consecutive) => void) {
    this.rules = rules
    this.reached = reached
  }

  /** From here on all threads count in the same cells. */
  share(cells: Int32Array, at: number): void {
    const own = this.isShared ? undefined : this.cells
    this.cells = cells
    this.at = at
    this.isShared = true
    if (own === undefined) return
    for (const rate of [OutlierCell.Replies, OutlierCell.Successes])
      Atomics.add(cells, at + rate, own[rate]!)
    for (const what of [
      OutlierCell.FiveHundreds,
      OutlierCell.GatewayErrors,
      OutlierCell.LocalOrigin,
    ])
      for (let left = own[what]!; left > 0; left--) this.countOne(what)
    for (let i = 0; i < own[OutlierCell.Written]!; i++)
      noteFailure(cells, at, own[OutlierCell.Ring + (i % (outlierCells - OutlierCell.Ring))]!)
  }

  /** A reply; for gRPC the status that means the same. */
  replied(status: number): void {
    const { rules } = this
    // An answer of any kind: the way to the endpoint is free.
    if (rules.split) this.clear(OutlierCell.LocalOrigin)
    this.ended(rules.isError(status), status, status >= 502 && status <= 504)
  }

  /** No reply, or none to the end. */
  broke(error: ProxyError): void {
    const failure = localFailures[error.code]
    if (failure === undefined) return
    if (!this.rules.split) this.ended(true, failure, true)
    else {
      this.note(failure)
      this.countOne(OutlierCell.LocalOrigin)
    }
  }

  /** A connection for opaque bytes was made. */
  connected(): void {
    if (this.rules.split) this.clear(OutlierCell.LocalOrigin)
    else this.ended(false, 0, false)
  }

  private ended(failed: boolean, failure: number, gateway: boolean): void {
    if (this.rules.rated) this.rate(failed)
    if (failed) {
      this.note(failure)
      if (gateway) this.countOne(OutlierCell.GatewayErrors)
      else this.clear(OutlierCell.GatewayErrors)
      this.countOne(OutlierCell.FiveHundreds)
    } else if (this.cells !== undefined) {
      this.clear(OutlierCell.FiveHundreds)
      this.clear(OutlierCell.GatewayErrors)
    }
  }

  private rate(failed: boolean): void {
    this.cells ??= new Int32Array(outlierCells)
    Atomics.add(this.cells, this.at + OutlierCell.Replies, 1)
    if (!failed) Atomics.add(this.cells, this.at + OutlierCell.Successes, 1)
  }

  private note(failure: number): void {
    this.cells ??= new Int32Array(outlierCells)
    noteFailure(this.cells, this.at, failure)
  }

  private countOne(what: Consecutive): void {
    const count = Atomics.add(this.cells!, this.at + what, 1) + 1
    if (count !== this.rules.thresholds[what]) return
    // Shared cells are cleared by who is told.
    if (!this.isShared) this.cells![what] = 0
    this.reached(what)
  }

  private clear(what: Consecutive): void {
    const { cells } = this
    if (cells !== undefined && cells[this.at + what] !== 0) Atomics.store(cells, this.at + what, 0)
  }
}
