/**
 * Takes the capture away, in every backend installed. In two steps, since live connections need the
 * rules' tables: `detach` lets new connections go direct, the purge ends those that are still captured.
 */
import { deliverySource } from '../config/ports.ts'
import { removeOwn } from './apply.ts'
import { holdsOwnRules, installedBackends, RuleTools } from './backend.ts'
import { CaptureError, type ExitCode } from './failure.ts'
import { missingOnLoopback, removeFromLoopback } from './loopback.ts'
import { type Machine, ownMachine } from './tools.ts'

export interface UndoOptions {
  readonly machine?: Machine
  /** Leave the chains: connections captured before live on. Undo again to finish. */
  readonly detachOnly?: boolean
  readonly lockWaitSeconds?: number
}

export interface UndoResult {
  /** Backends that held rules of ours. */
  readonly removed: readonly string[]
  /** What could not be removed; the rest is gone all the same. */
  readonly problems: readonly CaptureError[]
}

/** Never throws for what is absent or refused; it always goes through to the end. */
export async function undoCapture(options: UndoOptions = {}): Promise<UndoResult> {
  const { machine = ownMachine, detachOnly = false } = options
  const tools = new RuleTools(machine, options.lockWaitSeconds)
  const removed: string[] = []
  const problems: CaptureError[] = []
  for (const backend of await installedBackends(tools)) {
    // one the kernel knows nothing of cannot hold rules
    if (backend.broken && !backend.broken.unsupported) problems.push(backend.broken)
    if (!holdsOwnRules(backend)) continue
    try {
      await removeOwn(tools, backend, { purge: !detachOnly })
      removed.push(backend.name)
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error
      problems.push(error)
    }
  }
  const address = `${deliverySource.ipv6}/128`
  if (!detachOnly && removed.length > 0)
    if ((await missingOnLoopback(machine, [address])).length === 0)
      await removeFromLoopback(machine, address)
  return { removed, problems }
}

/** The gravest of the problems, as an exit status. */
export function exitCodeOf({ problems }: UndoResult): ExitCode | 0 {
  return problems[0]?.exitCode ?? 0
}
