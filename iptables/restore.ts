/**
 * Writes the input of `iptables-restore --noflush`: from what is in force to what is wanted, each table
 * in one step. A chain that is declared is created or emptied, even while something leads to it.
 */
import { type Chain, chainPrefix, type FamilyPlan, type Jump } from './plan.ts'
import { noRules, type SavedRules, sameJump } from './saved-rules.ts'

interface WantedTable {
  readonly name: string
  readonly chains: readonly Chain[]
  readonly jumps: readonly Jump[]
}

/** Tables that are wanted or hold something of ours; '' when there is nothing to do at all. */
export function restoreInput(wanted: readonly WantedTable[], saved: SavedRules = noRules): string {
  const order = ['raw', 'mangle', 'nat']
  const names = [...wanted, ...saved.tables].map(({ name }) => name)
  const known = [...new Set([...order, ...names])]
  return known.map((name) => tableInput(name, wanted, saved)).join('')
}

function tableInput(name: string, wanted: readonly WantedTable[], saved: SavedRules): string {
  const { chains, jumps } = wanted.find((t) => t.name === name) ?? { chains: [], jumps: [] }
  const present = saved.tables.find((t) => t.name === name) ?? { chains: [], jumps: [] }
  const stale = present.chains.filter((c) => !chains.some((other) => other.name === c.name))
  const { removed, missing } = compareJumps(jumps, present.jumps)
  const lines = [
    ...[...chains, ...stale].map((chain) => `:${chain.name} - [0:0]`),
    ...removed.map(({ from, rule }) => `-D ${from} ${rule}`),
    ...chains.flatMap((chain) => chain.rules.map((rule) => `-A ${chain.name} ${rule}`)),
    ...missing.map(({ from, rule }) => `-A ${from} ${rule}`),
    ...stale.map((chain) => `-X ${chain.name}`),
  ]
  return lines.length === 0 ? '' : `*${name}\n${lines.join('\n')}\nCOMMIT\n`
}

/** Each wanted jump stays once; what else leads to chains of ours goes. */
function compareJumps(wanted: readonly Jump[], present: readonly Jump[]) {
  const kept: Jump[] = []
  const removed: Jump[] = []
  for (const jump of present) {
    const once = wanted.some((w) => sameJump(w, jump)) && !kept.some((k) => sameJump(k, jump))
    if (once) kept.push(jump)
    else removed.push(jump)
  }
  return { removed, missing: wanted.filter((jump) => !kept.some((k) => sameJump(k, jump))) }
}

/** Takes the jumps away: new connections go direct, those that are captured live on. */
export function detachInput(saved: SavedRules): string {
  return saved.tables
    .filter(({ jumps }) => jumps.length > 0)
    .map(({ name, jumps }) => {
      const lines = jumps.map(({ from, rule }) => `-D ${from} ${rule}\n`).join('')
      return `*${name}\n${lines}COMMIT\n`
    })
    .join('')
}

const probeChain = `${chainPrefix}PROBE`

/** Every rule of the plan in a chain nothing leads to: shows whether the kernel knows all they need. */
export function probeInputs(plan: FamilyPlan): { load: string; unload: string } {
  const ownTarget = new RegExp(`-[jg] ${chainPrefix}\\w+$`)
  const rules = (chain: Chain) =>
    chain.rules.map((rule) => `-A ${probeChain} ${rule.replace(ownTarget, '-j RETURN')}\n`)
  const tables = (body: (chains: readonly Chain[]) => string) =>
    plan.tables
      .map(({ name, chains }) => `*${name}\n:${probeChain} - [0:0]\n${body(chains)}COMMIT\n`)
      .join('')
  return {
    load: tables((chains) => chains.flatMap(rules).join('')),
    unload: tables(() => `-X ${probeChain}\n`),
  }
}
