/**
 * Puts a plan in force: one atomic restore per family, nothing when all is in place already. What fails
 * is taken back in both families, to what stood there before.
 */
import { type Backend, chooseBackend, installedBackends, RuleTools } from './backend.ts'
import { plannedFamilies, report, rivals } from './check.ts'
import { CaptureError, ExitCode } from './failure.ts'
import { addToLoopback, missingOnLoopback } from './loopback.ts'
import type { CapturePlan, Family, FamilyPlan } from './plan.ts'
import { detachInput, restoreInput } from './restore.ts'
import { differencesOf, noRules, type SavedRules } from './saved-rules.ts'
import { type Machine, ownMachine } from './tools.ts'

export interface ApplyOptions {
  readonly machine?: Machine
  readonly lockWaitSeconds?: number
  /** Proves the capture once the rules stand; what it throws takes them back. */
  readonly verify?: () => Promise<void>
}

export interface ApplyResult {
  readonly outcome: 'in-sync' | 'applied'
  readonly backend: string
  readonly warnings: readonly string[]
}

/** Throws CaptureError; then everything is as it was before. */
export async function applyCapture(
  plan: CapturePlan,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const { machine = ownMachine, verify } = options
  const tools = new RuleTools(machine, options.lockWaitSeconds)
  const backends = await installedBackends(tools)
  const backend = await chooseBackend(tools, backends, plan, { trial: true })
  const before = await report(plan, backend, backends, machine)
  const warnings = [...before.notes, ...unservedFamilies(plan, backend)]
  if (before.inSync) return { outcome: 'in-sync', backend: backend.name, warnings }
  const stale = rivals(backend, backends)
  try {
    warnings.push(...(await installPlan(tools, backend, plan)))
    for (const rival of stale) await removeOwn(tools, rival)
    await verify?.()
  } catch (error) {
    for (const touched of [backend, ...stale]) await rollBack(tools, touched)
    throw error
  }
  return { outcome: 'applied', backend: backend.name, warnings }
}

export interface DryRun {
  readonly backend: string
  /** Per family: the command and the exact input; nothing when all is in place. */
  readonly commands: readonly { readonly argv: readonly string[]; readonly input: string }[]
}

/** What `applyCapture` would run. */
export async function dryRunCapture(
  plan: CapturePlan,
  machine: Machine = ownMachine,
): Promise<DryRun> {
  const tools = new RuleTools(machine)
  const backends = await installedBackends(tools)
  const backend = await chooseBackend(tools, backends, plan, { trial: false })
  const commands: { argv: string[]; input: string }[] = []
  if ((await report(plan, backend, backends, machine)).inSync)
    return { backend: backend.name, commands }
  for (const { family, tables, loopbackAddresses } of plannedFamilies(plan, backend)) {
    const input = restoreInput(tables, backend.rules[family])
    if (input !== '') commands.push({ argv: tools.restoreCommand(backend.name, family), input })
    for (const address of await missingOnLoopback(machine, loopbackAddresses))
      commands.push({ argv: ['ip', '-6', 'addr', 'replace', address, 'dev', 'lo'], input: '' })
  }
  return { backend: backend.name, commands }
}

function unservedFamilies(plan: CapturePlan, backend: Backend): string[] {
  return plan.families
    .filter(({ family, tables }) => tables.length > 0 && !backend.families.includes(family))
    .map(({ family }) => `${family} is not captured: ${backend.name} has no program for it here`)
}

async function installPlan(
  tools: RuleTools,
  backend: Backend,
  plan: CapturePlan,
): Promise<string[]> {
  const warnings: string[] = []
  for (const family of plannedFamilies(plan, backend))
    try {
      await installFamily(tools, backend, family)
      for (const address of await missingOnLoopback(tools.machine, family.loopbackAddresses)) {
        const obstacle = await addToLoopback(tools.machine, address)
        if (obstacle !== undefined) warnings.push(obstacle)
      }
    } catch (error) {
      const bearable =
        error instanceof CaptureError && error.unsupported && family.family === 'ipv6'
      if (!bearable || plan.options.ipv6 === 'on') throw error
      warnings.push(`IPv6 is not captured: ${error.message}`)
    }
  return warnings
}

/** An input made for rules that changed meanwhile fails as a whole: it is made anew, once. */
async function installFamily(tools: RuleTools, backend: Backend, plan: FamilyPlan): Promise<void> {
  const { name } = backend
  try {
    await tools.restore(name, plan.family, restoreInput(plan.tables, backend.rules[plan.family]))
  } catch (error) {
    const lost = error instanceof CaptureError && error.exitCode === ExitCode.Busy
    if (lost || !(error instanceof CaptureError)) throw error
    const now = await tools.save(name, plan.family)
    await tools.restore(name, plan.family, restoreInput(plan.tables, now))
  }
  const differences = differencesOf(plan, await tools.save(name, plan.family))
  if (differences.length === 0) return
  throw new CaptureError(
    ExitCode.Busy,
    `another program changes the rules at the same time, try again: ${differences.join('; ')}`,
  )
}

/** Best effort in both families: the error that led here is the one to report. */
async function rollBack(tools: RuleTools, backend: Backend): Promise<void> {
  for (const family of backend.families)
    try {
      const now = await tools.save(backend.name, family)
      await tools.restore(backend.name, family, restoreInput(backend.rules[family].tables, now))
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error
    }
}

/** Takes our rules out of a backend: first what leads to them, then they themselves. */
export async function removeOwn(
  tools: RuleTools,
  backend: Backend,
  phases: { readonly purge: boolean } = { purge: true },
): Promise<void> {
  for (const family of backend.families)
    await tools.restore(backend.name, family, detachInput(backend.rules[family]))
  if (!phases.purge) return
  for (const family of backend.families) await purge(tools, backend, family)
}

async function purge(tools: RuleTools, backend: Backend, family: Family): Promise<void> {
  const before: SavedRules = backend.rules[family]
  if (before.tables.every(({ chains }) => chains.length === 0)) return
  const detached: SavedRules = {
    ...noRules,
    tables: before.tables.map((table) => ({ ...table, jumps: [] })),
  }
  await tools.restore(backend.name, family, restoreInput([], detached))
}
