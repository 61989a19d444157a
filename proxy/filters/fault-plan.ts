/**
 * Which requests and tries are disturbed on purpose. With a seed the decision follows from it and the
 * request's id, so that the same run fails the same way; without one it is drawn.
 */
import type { FaultAction, FaultSpec, FaultsSpec } from '../../config/snapshot.ts'
import type { Random } from '../base/random.ts'
import { type ExchangeRecord, Flag } from '../telemetry/exchange-record.ts'

export class FaultPlan {
  readonly spec: FaultsSpec
  /** Requests whose id is ours are told apart by their number. */
  private count = 0

  constructor(spec: FaultsSpec) {
    this.spec = spec
  }

  /** Those of `faults` that hit this request (`attempt` 0) or try; undefined: none. Noted in the record. */
  draw(
    faults: readonly FaultSpec[],
    record: ExchangeRecord,
    attempt: number,
    random: Random,
  ): FaultSpec[] | undefined {
    if (faults.length === 0) return undefined
    let hits: FaultSpec[] | undefined
    const identity = this.spec.seed === undefined ? '' : this.identityOf(record)
    for (let i = 0; i < faults.length; i++) {
      const fault = faults[i]!
      const { namespace, name } = fault.origin
      const chance =
        this.spec.seed === undefined
          ? random.fraction()
          : chanceOf(this.spec.seed, `${namespace}/${name}/${i}/${attempt}/${identity}`)
      if (chance >= fault.share) continue
      hits ??= []
      hits.push(fault)
      note(record, fault)
    }
    return hits
  }

  private identityOf({ ownRequestId, requestId }: ExchangeRecord): string {
    return ownRequestId ? `#${this.count++}` : requestId
  }
}

function note(record: ExchangeRecord, { action, origin }: FaultSpec): void {
  record.flags |= action.kind === 'delay' ? Flag.DI : Flag.FI
  record.faults ??= []
  record.faults.push({ kind: action.kind, origin })
}

/** In [0, 1), the same for the same seed and text: FNV-1a with the finisher of MurmurHash3. */
export function chanceOf(seed: number, text: string): number {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) >>> 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000
}

/** For people, behind `10 % of the requests are `. */
export function faultText(action: FaultAction): string {
  switch (action.kind) {
    case 'delay':
      return `delayed by ${action.ms} ms`
    case 'abort':
      return action.grpcStatus === undefined
        ? `answered ${action.status}`
        : `answered grpc-status ${action.grpcStatus}`
    case 'refuse':
      return 'treated as if nobody listened'
    case 'reset':
      return `reset behind ${action.afterBytes} bytes of the reply's body`
    case 'truncate':
      return `cut off behind ${action.afterBytes} bytes of the reply's body`
    case 'slow':
      return `answered at ${action.bytesPerSecond} bytes/s`
  }
}

/** `0.1` of them: `10 %`. */
export function shareText(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`
}
