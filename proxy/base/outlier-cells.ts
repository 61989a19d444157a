/**
 * What all threads count together about one endpoint's failures: the layout of the shared memory,
 * known to those who count (upstream/outlier-counts.ts) and to who ejects (control/).
 */

/** Cells of one endpoint. */
export const OutlierCell = {
  /** In a row. */
  FiveHundreds: 0,
  GatewayErrors: 1,
  LocalOrigin: 2,
  /** Since the last interval: all replies, and those that were no errors. */
  Replies: 3,
  Successes: 4,
  /** How many failures were written into the ring that begins at Ring. */
  Written: 5,
  Ring: 6,
} as const
export type Consecutive =
  | typeof OutlierCell.FiveHundreds
  | typeof OutlierCell.GatewayErrors
  | typeof OutlierCell.LocalOrigin

/** The last failures of an endpoint: a status, or one of these where there was no reply. */
export const LocalFailure = {
  ConnectFailure: 1,
  ConnectTimeout: 2,
  Reset: 3,
  Timeout: 4,
} as const
export type LocalFailure = (typeof LocalFailure)[keyof typeof LocalFailure]
export const localFailureNames: Readonly<Record<LocalFailure, string>> = {
  [LocalFailure.ConnectFailure]: 'not connected',
  [LocalFailure.ConnectTimeout]: 'connect timeout',
  [LocalFailure.Reset]: 'reset',
  [LocalFailure.Timeout]: 'timeout',
}

const ringLength = 10
export const outlierCells = OutlierCell.Ring + ringLength

export type OutlierMemory = Int32Array<SharedArrayBuffer>

export function outlierMemory(endpoints: number): OutlierMemory {
  return new Int32Array(new SharedArrayBuffer(endpoints * outlierCells * 4))
}

/** `at`: the endpoint's first cell, also below. */
export function noteFailure(cells: Int32Array, at: number, failure: number): void {
  const written = Atomics.add(cells, at + OutlierCell.Written, 1)
  Atomics.store(cells, at + OutlierCell.Ring + ((written >>> 0) % ringLength), failure)
}

/** The last `count` failures as far as they are kept, oldest first. */
export function lastFailures(cells: Int32Array, at: number, count: number): number[] {
  const written = Atomics.load(cells, at + OutlierCell.Written) >>> 0
  const kept = Math.min(count, written, ringLength)
  return Array.from({ length: kept }, (_, i) =>
    Atomics.load(cells, at + OutlierCell.Ring + ((written - kept + i) % ringLength)),
  )
}

/** An endpoint that is new, or has served its time, starts afresh. */
export function clearConsecutive(cells: Int32Array, at: number): void {
  for (const cell of [OutlierCell.FiveHundreds, OutlierCell.GatewayErrors, OutlierCell.LocalOrigin])
    Atomics.store(cells, at + cell, 0)
}

export function clearAll(cells: Int32Array, at: number): void {
  for (let cell = 0; cell < outlierCells; cell++) Atomics.store(cells, at + cell, 0)
}

/** Identity of an endpoint within its cluster. */
export function endpointKey(spec: { readonly address: string; readonly port: number }): string {
  return `${spec.address}\n${spec.port}`
}
