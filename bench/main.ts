/**
 * Measures Outrider beside Envoy, nginx, HAProxy and nothing at all, in one run and in alternating
 * rounds, each proxy on a core of its own.
 */
import { parseArgs } from 'node:util'
import { changes, readBaseline, saveBaseline } from './baseline.ts'
import { Lab } from './lab.ts'
import { describeMachine, type Machine } from './machine.ts'
import { type PeerName, peerNames } from './peers/peer.ts'
import { leaveProxyCore, preferProxies, stopAll } from './program.ts'
import { describe, leaveReport } from './report.ts'
import { type Outcome, tableOf } from './report-table.ts'
import { all } from './scenarios/all.ts'
import type { Scenario } from './scenarios/scenario.ts'
import { findTool } from './tools.ts'

const usage = `npm run bench -- [OPTIONS]
  --quick          a few scenarios, two short rounds, under three minutes
  --only NAME      this scenario (repeat it for several)
  --rounds N       alternating rounds, of which the median counts (default 5)
  --seconds N      length of a round (default 4)
  --peers A,B      whom to measure (default: ${peerNames.join(',')})
  --priority       proxies go before all else on their core (root): where others use the machine
  --save-baseline  keep this run's ratios in bench/baseline.json
  --list           the scenarios`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    peers: { type: 'string' },
    priority: { type: 'boolean', default: false },
    'save-baseline': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (flags.help) console.log(usage)
else if (flags.list) for (const { name, title } of all) console.log(`${name.padEnd(14)} ${title}`)
else if (canMeasure()) await bench(chosen())

function chosen(): Scenario[] {
  const names = new Set(flags.only)
  for (const name of names)
    if (!all.some((scenario) => scenario.name === name)) {
      console.error(`there is no scenario "${name}"; --list names them`)
      process.exit(2)
    }
  if (names.size > 0) return all.filter(({ name }) => names.has(name))
  return all.filter(({ quick = false }) => quick || !flags.quick)
}

/** CI goes on where nothing can be measured; who asked for more than the quick bench wants to know. */
function canMeasure(): boolean {
  const missing = ['nginx', 'wrk'].filter((name) => findTool(name) === undefined)
  if (missing.length === 0) return true
  console.log(`nothing measured: ${missing.join(' and ')} not on this machine`)
  process.exitCode = flags.quick ? 0 : 1
  return false
}

function peersAsked(): readonly PeerName[] {
  const names = flags.peers ?? (flags.quick ? 'outrider,envoy,nginx' : peerNames.join(','))
  return peerNames.filter((name) => names.split(',').includes(name))
}

async function bench(scenarios: readonly Scenario[]): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stopAll().then(() => process.exit(130)))
  leaveProxyCore()
  if (flags.priority) preferProxies()
  await using lab = await Lab.open({
    rounds: Number(flags.rounds ?? (flags.quick ? 2 : 5)),
    roundSeconds: Number(flags.seconds ?? (flags.quick ? 3 : 4)),
    peers: peersAsked(),
  })
  const machine = describeMachine(lab.versions)
  console.log(describe(machine))
  for (const name of lab.absent) console.log(`${name} is not on this machine: left out\n`)
  const outcomes: Outcome[] = []
  for (const scenario of scenarios) {
    const outcome = await attempt(scenario, lab)
    if (outcome === undefined) continue
    outcomes.push(outcome)
    console.log(tableOf(outcome))
  }
  if (outcomes.length > 0) conclude(outcomes, machine)
}

function conclude(outcomes: readonly Outcome[], machine: Machine): void {
  const changed = changes(outcomes, readBaseline())
  if (changed.length > 0) console.log(`Against bench/baseline.json:\n  ${changed.join('\n  ')}\n`)
  if (flags['save-baseline']) saveBaseline(outcomes)
  console.log(`left in ${leaveReport(machine, outcomes, flags.quick ? '-quick' : '')}`)
}

/** One scenario that fails does not take the others with it, but the run ends with its exit code. */
async function attempt(scenario: Scenario, lab: Lab): Promise<Outcome | undefined> {
  try {
    return { scenario, samples: await scenario.run(lab) }
  } catch (error) {
    console.error(`${scenario.name} failed: ${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
    return undefined
  }
}
