/** Tells whether the rules in force are those of the plan, and in which way they are not. */
import {
  type Backend,
  chooseBackend,
  holdsOwnRules,
  installedBackends,
  RuleTools,
} from './backend.ts'
import { missingOnLoopback } from './loopback.ts'
import type { CapturePlan, FamilyPlan } from './plan.ts'
import { differencesOf } from './saved-rules.ts'
import { type Machine, ownMachine } from './tools.ts'

export interface CheckReport {
  readonly inSync: boolean
  readonly backend: string
  /** Each a sentence: what is missing, doubled, stale or of other options. */
  readonly differences: readonly string[]
  /** Not ours to mend, but worth knowing. */
  readonly notes: readonly string[]
}

/** Compares plan and kernel; changes nothing. */
export async function checkCapture(
  plan: CapturePlan,
  machine: Machine = ownMachine,
): Promise<CheckReport> {
  const tools = new RuleTools(machine)
  const backends = await installedBackends(tools)
  const backend = await chooseBackend(tools, backends, plan, { trial: false })
  return report(plan, backend, backends, machine)
}

/** The comparison, once the backend is chosen. */
export async function report(
  plan: CapturePlan,
  backend: Backend,
  backends: readonly Backend[],
  machine: Machine,
): Promise<CheckReport> {
  const differences: string[] = []
  for (const family of plannedFamilies(plan, backend)) {
    differences.push(...differencesOf(family, backend.rules[family.family]))
    for (const address of await missingOnLoopback(machine, family.loopbackAddresses))
      differences.push(`${family.family} address ${address} is missing on lo`)
  }
  for (const other of rivals(backend, backends))
    differences.push(`rules of ours stand in ${other.name} as well as in ${backend.name}`)
  return {
    inSync: differences.length === 0,
    backend: backend.name,
    differences,
    notes: notes(backend, backends),
  }
}

/** Families the backend has programs for: one that is not installed holds no rules of it. */
export function plannedFamilies(plan: CapturePlan, backend: Backend): readonly FamilyPlan[] {
  return plan.families.filter(({ family }) => backend.families.includes(family))
}

/** Backends of the other kind with rules of ours: the kernel would run both. */
export function rivals(backend: Backend, backends: readonly Backend[]): Backend[] {
  return backends.filter((other) => other.flavour !== backend.flavour && holdsOwnRules(other))
}

/** Other people's rules that may stand in the way. */
function notes(backend: Backend, backends: readonly Backend[]): string[] {
  const found: string[] = []
  const foreign = backends.flatMap(({ rules }) =>
    [...rules.ipv4.tables, ...rules.ipv6.tables].flatMap(({ foreignChains }) => foreignChains),
  )
  const mesh = new Set(foreign.filter((name) => /^(ISTIO|PROXY_INIT|MESH)_/.test(name)))
  if (mesh.size > 0)
    found.push(
      `another mesh has rules here (${[...mesh].join(', ')}): traffic may be captured twice`,
    )
  const other = backends.find(
    ({ flavour, rules }) => flavour !== backend.flavour && (rules.ipv4.inUse || rules.ipv6.inUse),
  )
  if (other !== undefined) found.push(`legacy and nft rules coexist: ${other.name} holds rules too`)
  return found
}
