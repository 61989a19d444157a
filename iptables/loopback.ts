/** Addresses `lo` gets for deliveries to the application: 127.0.0.6 is there always, ::6 must be added. */
import type { Machine } from './tools.ts'

/** Those of `addresses` (`::6/128`) that `lo` does not have. */
export async function missingOnLoopback(
  machine: Machine,
  addresses: readonly string[],
): Promise<string[]> {
  if (addresses.length === 0) return []
  const lines = ((await machine.readText('/proc/net/if_inet6')) ?? '').split('\n')
  const present = lines.filter((line) => line.endsWith(' lo')).map((line) => line.slice(0, 32))
  return addresses.filter((address) => !present.includes(hexOf(address)))
}

/** Adds an address; returns what stands against it, or undefined. */
export async function addToLoopback(
  machine: Machine,
  address: string,
): Promise<string | undefined> {
  const { status, stderr } = await machine.run([
    'ip',
    '-6',
    'addr',
    'replace',
    address,
    'dev',
    'lo',
  ])
  if (status === 0) return undefined
  const cause = machine.has('ip') ? stderr.trim() : 'ip not found: install the package iproute2'
  return `${address} could not be added to lo, IPv6 deliveries to the application will fail: ${cause}`
}

export async function removeFromLoopback(machine: Machine, address: string): Promise<void> {
  await machine.run(['ip', '-6', 'addr', 'del', address, 'dev', 'lo'])
}

/** `::6/128` as the kernel lists it; only addresses of the form `::N` are needed. */
function hexOf(address: string): string {
  return address.slice(2, address.indexOf('/')).padStart(32, '0')
}
