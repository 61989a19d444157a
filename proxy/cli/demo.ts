/** `outrider demo`: the Bookinfo mesh on this machine, watched live or measured once. */
import type { Command } from 'commander'
import { Interruption } from '../../examples/bookinfo/interruption.ts'
import { Loopback } from '../../examples/bookinfo/loopback.ts'
import { Namespaces } from '../../examples/bookinfo/namespaces.ts'
import { runScenario } from '../../examples/bookinfo/scenario.ts'
import { watchMesh } from '../../examples/bookinfo/watch.ts'
import { namespacesUnavailable } from '../../iptables/netns.ts'
import { findTool } from '../../iptables/tools.ts'

interface Options {
  readonly once?: boolean
  readonly explicit?: boolean
}

export function register(program: Command): void {
  program
    .command('demo')
    .description('Start a small mesh on this machine and watch a canary shift as you edit YAML.')
    .option('--once', 'run the scenario, print what was measured, exit 0 or 1')
    .option('--explicit', 'loopback addresses and no capture, even as root')
    .action(run)
}

async function run({ once = false, explicit = false }: Options): Promise<void> {
  const say = (line: string): void => console.log(line)
  // Before anything is said, or made that must be taken away again.
  const interruption = new Interruption()
  const missing = explicit ? '--explicit was given' : captureUnavailable()
  if (missing !== undefined) say(`No namespaces and no capture (${missing}).`)
  const ground = missing === undefined ? await Namespaces.open(interruption) : await Loopback.open()
  if (!once) {
    await watchMesh(ground, say, interruption)
    return
  }
  const begun = performance.now()
  const passed = await runScenario(ground, say, interruption)
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
  say(passed ? `All as written, in ${seconds} s.` : `Not as written, after ${seconds} s.`)
  process.exitCode = passed ? 0 : 1
}

/** Why the mesh cannot run captured here, or undefined. */
function captureUnavailable(): string | undefined {
  const missing = namespacesUnavailable()
  if (missing !== undefined) return missing
  const tools = ['iptables-nft', 'iptables-legacy', 'iptables']
  if (tools.every((tool) => findTool(tool) === undefined)) return 'iptables is not installed'
  return findTool('setpriv') === undefined ? 'setpriv is not installed' : undefined
}
