/** The programs that write rules: which are installed, what they hold now, which one is used. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CaptureError,
  capabilityError,
  ExitCode,
  explainToolFailure,
  missingCapabilities,
  noBackendError,
} from './failure.ts'
import type { BackendChoice } from './options.ts'
import type { CapturePlan, Family, FamilyPlan } from './plan.ts'
import { probeInputs } from './restore.ts'
import { hasOwnRules, noRules, readSavedRules, type SavedRules } from './saved-rules.ts'
import type { Machine, ToolRun } from './tools.ts'

export type BackendName = Exclude<BackendChoice, 'auto'>

/** One way to write rules, with what it holds. */
export interface Backend {
  readonly name: BackendName
  readonly flavour: 'nft' | 'legacy'
  /** Families whose programs are installed. */
  readonly families: readonly Family[]
  readonly rules: Readonly<Record<Family, SavedRules>>
  /** Why its rules cannot be read; it cannot be used then. */
  readonly broken: CaptureError | undefined
}

/** Seconds to wait for whoever else changes rules. */
export const lockWaitSeconds = 30

/** The usual place, /run/xtables.lock, may be read-only in a container. */
const otherLockFile = { XTABLES_LOCKFILE: join(tmpdir(), 'outrider-xtables.lock') }

export function programOf(backend: BackendName, family: Family, verb: 'save' | 'restore'): string {
  const name = family === 'ipv6' ? backend.replace('iptables', 'ip6tables') : backend
  return `${name}-${verb}`
}

/** Runs the firewall programs of one machine and explains what they refuse. */
export class RuleTools {
  readonly machine: Machine
  private capabilities: readonly string[] | undefined
  private readonly lockWait: number

  constructor(machine: Machine, lockWait: number = lockWaitSeconds) {
    this.machine = machine
    this.lockWait = lockWait
  }

  async missingCapabilities(): Promise<readonly string[]> {
    this.capabilities ??= missingCapabilities(await this.machine.readText('/proc/self/status'))
    return this.capabilities
  }

  /** Reads the rules of one family. */
  async save(backend: BackendName, family: Family): Promise<SavedRules> {
    const run = await this.machine.run([programOf(backend, family, 'save')])
    if (run.status === 0) return readSavedRules(run.stdout)
    throw await this.explain(run, backend)
  }

  /** Puts the input in force; an empty one is nothing to do. */
  async restore(backend: BackendName, family: Family, input: string): Promise<void> {
    if (input === '') return
    const argv = this.restoreCommand(backend, family)
    let run = await this.machine.run(argv, { input })
    if (run.status !== 0 && /can't open lock file/i.test(run.stderr))
      run = await this.machine.run(argv, { input, env: otherLockFile })
    if (run.status !== 0) throw await this.explain(run, backend)
  }

  restoreCommand(backend: BackendName, family: Family): string[] {
    return [programOf(backend, family, 'restore'), '--noflush', '--wait', String(this.lockWait)]
  }

  private async explain(run: ToolRun, backend: BackendName): Promise<CaptureError> {
    const missing = await this.missingCapabilities()
    return explainToolFailure(run, { backend, missingCapabilities: missing })
  }
}

/** The installed backends with what they hold. Reading changes nothing in the kernel. */
export async function installedBackends(tools: RuleTools): Promise<Backend[]> {
  const { machine } = tools
  const explicit = (['iptables-nft', 'iptables-legacy'] as const).filter((name) =>
    has(machine, name),
  )
  const names: BackendName[] = explicit.length > 0 ? [...explicit] : ['iptables']
  const backends: Backend[] = []
  for (const name of names)
    if (has(machine, name))
      backends.push(await inspect(tools, name, await flavourOf(machine, name)))
  return backends
}

function has(machine: Machine, name: BackendName): boolean {
  return machine.has(programOf(name, 'ipv4', 'restore'))
}

async function flavourOf(machine: Machine, name: BackendName): Promise<'nft' | 'legacy'> {
  if (name !== 'iptables') return name === 'iptables-nft' ? 'nft' : 'legacy'
  const { stdout } = await machine.run(['iptables', '--version'])
  return stdout.includes('nf_tables') ? 'nft' : 'legacy'
}

async function inspect(
  tools: RuleTools,
  name: BackendName,
  flavour: 'nft' | 'legacy',
): Promise<Backend> {
  const families = (['ipv4', 'ipv6'] as const).filter((family) =>
    tools.machine.has(programOf(name, family, 'restore')),
  )
  const rules: Record<Family, SavedRules> = { ipv4: noRules, ipv6: noRules }
  let broken: CaptureError | undefined
  for (const family of families)
    try {
      if (flavour === 'nft' || (await hasLegacyTables(tools.machine, family)))
        rules[family] = await tools.save(name, family)
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error
      if (family === 'ipv4') broken = error
    }
  return { name, flavour, families, rules, broken }
}

/** Asking the legacy programs about a table creates it; the kernel's list tells whether it exists. */
async function hasLegacyTables(machine: Machine, family: Family): Promise<boolean> {
  const list = family === 'ipv6' ? '/proc/net/ip6_tables_names' : '/proc/net/ip_tables_names'
  return ((await machine.readText(list)) ?? '').trim() !== ''
}

export function holdsOwnRules(backend: Backend): boolean {
  return hasOwnRules(backend.rules.ipv4) || hasOwnRules(backend.rules.ipv6)
}

export interface Choosing {
  /** Try the rules before a backend is taken; without, nothing in the kernel is touched. */
  readonly trial: boolean
}

/**
 * The one to use: as asked; else the one our rules are in; else legacy when others have rules there;
 * else the first that takes a trial of the rules.
 */
export async function chooseBackend(
  tools: RuleTools,
  backends: readonly Backend[],
  plan: CapturePlan,
  { trial }: Choosing,
): Promise<Backend> {
  const missing = await tools.missingCapabilities()
  const lacking = capabilityError(missing, false)
  if (lacking) throw lacking
  const choice = plan.options.backend
  if (choice !== 'auto') return insist(tools, backends, plan, trial)
  if (backends.length === 0) throw noBackendError(['iptables-nft', 'iptables-legacy', 'iptables'])
  const ours = backends.filter((backend) => !backend.broken && holdsOwnRules(backend))
  if (ours.length === 1) return ours[0]!
  const legacy = backends.find(
    ({ flavour, rules }) => flavour === 'legacy' && (rules.ipv4.inUse || rules.ipv6.inUse),
  )
  const candidates = legacy ? [legacy, ...backends.filter((b) => b !== legacy)] : backends
  const reasons: CaptureError[] = []
  for (const candidate of candidates) {
    const reason =
      candidate.broken ?? (trial ? await trialFailure(tools, candidate, plan) : undefined)
    if (reason === undefined) return candidate
    if (!reason.unsupported) throw reason
    reasons.push(reason)
  }
  throw new CaptureError(
    ExitCode.Environment,
    `no backend works here: ${reasons.map((reason) => reason.message).join('; ')}`,
  )
}

async function insist(
  tools: RuleTools,
  backends: readonly Backend[],
  plan: CapturePlan,
  trial: boolean,
): Promise<Backend> {
  const choice = plan.options.backend as BackendName
  const found =
    backends.find(({ name }) => name === choice) ??
    (has(tools.machine, choice)
      ? await inspect(tools, choice, await flavourOf(tools.machine, choice))
      : undefined)
  if (found === undefined) throw noBackendError([choice])
  const lacking = capabilityError(await tools.missingCapabilities(), found.flavour === 'legacy')
  if (lacking) throw lacking
  const reason = found.broken ?? (trial ? await trialFailure(tools, found, plan) : undefined)
  if (reason) throw reason
  return found
}

/** Loads every rule where nothing leads to them, and takes them away: does the kernel know them all? */
async function trialFailure(
  tools: RuleTools,
  backend: Backend,
  plan: CapturePlan,
): Promise<CaptureError | undefined> {
  const wanted = plan.families.filter(({ tables }) => tables.length > 0)
  for (const family of wanted)
    try {
      await tryRules(tools, backend, family)
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error
      if (family.family === 'ipv4' || plan.options.ipv6 === 'on' || !error.unsupported) return error
    }
  return undefined
}

async function tryRules(tools: RuleTools, backend: Backend, plan: FamilyPlan): Promise<void> {
  if (!backend.families.includes(plan.family))
    throw new CaptureError(
      ExitCode.Environment,
      `${programOf(backend.name, plan.family, 'restore')} not found in PATH: install the package iptables, or set --ipv6 off`,
      true,
    )
  const { load, unload } = probeInputs(plan)
  await tools.restore(backend.name, plan.family, load)
  await tools.restore(backend.name, plan.family, unload)
}
