/** The end of a worker's work: nothing new, what runs may finish, the rest is cut at the deadline. */
import type { Doors } from './doors.ts'
import type { Runtime } from './runtime.ts'

const lookEveryMs = 20
/** How long kept connections may have a last request that is told to be the last. */
const retireMs = 500

export interface Ledger {
  readonly finished: number
  readonly cut: number
}

/** Resolves when everything of the direction is over, at the latest after `graceMs`. */
export async function drain(
  runtime: Runtime,
  doors: Doors,
  direction: 'inbound' | 'all',
  graceMs: number,
): Promise<Ledger> {
  doors.closeInbound()
  if (direction === 'all') doors.closeOutbound()
  if (runtime.snapshot === undefined) return { finished: 0, cut: 0 }
  const { codecs, exchanges, forwards } = runtime.services
  const before = exchanges.size + forwards.size
  const start = performance.now()
  codecs.retire()
  const gentle = Math.min(codecs.retiredSince! + retireMs, start + graceMs)
  while (codecs.size > 0 && performance.now() < gentle) await pause(gentle)
  codecs.drain()
  const deadline = start + graceMs
  while (exchanges.size + forwards.size > 0 && performance.now() < deadline) await pause(deadline)
  const cut = exchanges.size + forwards.size
  if (direction === 'all') for (const one of [...exchanges, ...forwards]) one.cut()
  return { finished: Math.max(0, before - cut), cut }
}

async function pause(until: number): Promise<void> {
  const left = Math.min(lookEveryMs, until - performance.now())
  await new Promise((done) => setTimeout(done, left))
}
