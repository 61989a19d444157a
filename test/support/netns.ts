/** Network namespaces for tests: gates that skip with a reason, and a network cleaned up in every case. */
import type { Test } from 'tap'
import { Network, namespacesUnavailable } from '../../iptables/netns.ts'
import { findTool } from '../../iptables/tools.ts'

export type { Identity, Namespace, RunResult, WorkloadSettings } from '../../iptables/netns.ts'
export { Network } from '../../iptables/netns.ts'

const requireAll = process.env['OUTRIDER_REQUIRE_ALL'] === '1'

/** True when the test may go on; else it is skipped (or failed, with OUTRIDER_REQUIRE_ALL=1). */
function unlessMissing(t: Test, missing: string | undefined): boolean {
  if (missing === undefined) return true
  if (requireAll) {
    t.fail(`${missing}, and OUTRIDER_REQUIRE_ALL=1 allows no skip`)
    t.end()
  } else t.plan(0, missing)
  return false
}

/** `if (!requireRoot(t)) return`: root and working network namespaces. */
export function requireRoot(t: Test): boolean {
  return unlessMissing(t, namespacesUnavailable())
}

/** `if (!requireTools(t, 'iptables-nft', 'conntrack')) return`: programs in PATH. */
export function requireTools(t: Test, ...tools: readonly string[]): boolean {
  const missing = tools.filter((tool) => findTool(tool) === undefined)
  return unlessMissing(t, missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined)
}

const open = new Set<Network>()

/** Namespaces outlive a program that is told to end: they are taken away first. */
function disposeOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      for (const network of open) network[Symbol.dispose]()
      process.exit(1)
    })
}

/**
 * A network for this test program, disposed by `using`, at exit, and when the program is told to end.
 * Addresses may repeat between programs: every network is a world of its own.
 */
export function openNetwork(nodeAddresses?: readonly string[]): Network {
  if (open.size === 0) disposeOnSignals()
  const prefix = 'outrider-test'
  const network = Network.open(nodeAddresses ? { prefix, nodeAddresses } : { prefix })
  open.add(network)
  return network
}
