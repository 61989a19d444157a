/** Reads what `iptables-save` prints, as far as chains of ours and jumps to them are concerned. */
import { type Chain, chainPrefix, type FamilyPlan, fingerprintWord, type Jump } from './plan.ts'

export interface SavedTable {
  readonly name: string
  /** Chains of ours with their rules. */
  readonly chains: readonly Chain[]
  /** Rules in other chains that lead to one of ours, in their order. */
  readonly jumps: readonly Jump[]
  /** Names of the chains that are neither built in nor ours. */
  readonly foreignChains: readonly string[]
}

/** One family's rules as they are now. */
export interface SavedRules {
  readonly tables: readonly SavedTable[]
  /** Somebody has rules there, we or others. */
  readonly inUse: boolean
}

export const noRules: SavedRules = { tables: [], inUse: false }

interface Growing {
  name: string
  chains: Map<string, string[]>
  jumps: Jump[]
  foreignChains: string[]
}

export function readSavedRules(text: string): SavedRules {
  const tables: Growing[] = []
  let inUse = false
  for (const line of text.split('\n')) {
    const table = tables.at(-1)
    if (line.startsWith('*'))
      tables.push({ name: line.slice(1).trim(), chains: new Map(), jumps: [], foreignChains: [] })
    else if (line.startsWith(':') && table) declare(table, line.slice(1))
    else if (line.startsWith('-A ') && table) {
      inUse = true
      append(table, line.slice(3).trimEnd())
    }
  }
  return { inUse, tables: tables.map(settle) }
}

function declare(table: Growing, line: string): void {
  const [name = '', policy] = line.split(' ')
  if (name.startsWith(chainPrefix)) table.chains.set(name, [])
  else if (policy === '-') table.foreignChains.push(name)
}

function append(table: Growing, line: string): void {
  const space = line.indexOf(' ')
  const from = space < 0 ? line : line.slice(0, space)
  const rule = space < 0 ? '' : line.slice(space + 1)
  if (from.startsWith(chainPrefix)) table.chains.get(from)?.push(rule)
  else if (targetOf(rule)?.startsWith(chainPrefix)) table.jumps.push({ from, rule })
}

function settle({ name, chains, jumps, foreignChains }: Growing): SavedTable {
  const own = [...chains].map(([chain, rules]) => ({ name: chain, rules }))
  return { name, chains: own, jumps, foreignChains }
}

/** The chain a rule jumps or goes to, or its target. */
function targetOf(rule: string): string | undefined {
  return /(?:^| )-[jg] (\S+)/.exec(rule)?.[1]
}

export function hasOwnRules(saved: SavedRules): boolean {
  return saved.tables.some(({ chains, jumps }) => chains.length > 0 || jumps.length > 0)
}

/** The fingerprint the rules carry; '' when there is none. */
export function savedFingerprint(saved: SavedRules): string {
  const rules = saved.tables.flatMap(({ chains }) => chains.flatMap((chain) => chain.rules))
  const words = rules.flatMap((rule) => rule.split(/[\s"]+/))
  return words.find((word) => word.startsWith(fingerprintWord))?.slice(fingerprintWord.length) ?? ''
}

/** Differences between the plan and what is in force, in words; rule texts come back changed, so they are counted. */
export function differencesOf(plan: FamilyPlan, saved: SavedRules): string[] {
  if (plan.tables.length > 0 && !hasOwnRules(saved)) return [`${plan.family} has no capture rules`]
  const fingerprint = savedFingerprint(saved)
  if (plan.fingerprint !== '' && fingerprint !== '' && fingerprint !== plan.fingerprint)
    return [`${plan.family} rules are of other options (${fingerprint}, not ${plan.fingerprint})`]
  const found: string[] = []
  const names = new Set([...plan.tables, ...saved.tables].map(({ name }) => name as string))
  for (const name of names) {
    const wanted = plan.tables.find((table) => table.name === name)
    const present = saved.tables.find((table) => table.name === name)
    found.push(...chainDifferences(name, wanted?.chains ?? [], present?.chains ?? []))
    found.push(...jumpDifferences(name, wanted?.jumps ?? [], present?.jumps ?? []))
  }
  return found.map((difference) => `${plan.family} ${difference}`)
}

function chainDifferences(
  table: string,
  wanted: readonly Chain[],
  present: readonly Chain[],
): string[] {
  const found: string[] = []
  for (const { name, rules } of wanted) {
    const there = present.find((chain) => chain.name === name)
    if (there === undefined) found.push(`${table}: chain ${name} is missing`)
    else if (there.rules.length !== rules.length)
      found.push(`${table}: chain ${name} has ${there.rules.length} rules, not ${rules.length}`)
  }
  for (const { name } of present)
    if (!wanted.some((chain) => chain.name === name)) found.push(`${table}: chain ${name} is stale`)
  return found
}

function jumpDifferences(
  table: string,
  wanted: readonly Jump[],
  present: readonly Jump[],
): string[] {
  const found: string[] = []
  for (const jump of wanted) {
    const count = present.filter((there) => sameJump(there, jump)).length
    if (count === 1) continue
    const how = count === 0 ? 'is missing' : `stands ${count} times`
    found.push(`${table}: jump '${jump.from} ${jump.rule}' ${how}`)
  }
  for (const jump of present)
    if (!wanted.some((other) => sameJump(other, jump)))
      found.push(`${table}: jump '${jump.from} ${jump.rule}' is stale`)
  return found
}

export function sameJump(a: Jump, b: Jump): boolean {
  return a.from === b.from && a.rule === b.rule
}
