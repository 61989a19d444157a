/** What the plan must know of the machine: does it speak IPv6, whom does it ask for names. */
import { isIP } from 'node:net'
import { CaptureError, ExitCode } from './failure.ts'
import type { CaptureOptions } from './options.ts'
import { type CapturePlan, planCapture, type Surroundings } from './plan.ts'
import { type Machine, ownMachine } from './tools.ts'

/** An interface besides lo has an IPv6 address; the resolvers of resolv.conf in their order. */
export async function readSurroundings(machine: Machine = ownMachine): Promise<Surroundings> {
  const interfaces = (await machine.readText('/proc/net/if_inet6')) ?? ''
  const resolvers = (await machine.readText('/etc/resolv.conf')) ?? ''
  const ipv6 = interfaces.split('\n').some((line) => line !== '' && !line.endsWith(' lo'))
  const servers = [...resolvers.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address]) => address!)
  return { ipv6, dnsServers: [...new Set(servers.filter((address) => isIP(address) !== 0))] }
}

/** The plan for this machine. Throws CaptureError when DNS is to be captured and no resolver is known. */
export async function planHere(
  options: CaptureOptions,
  machine: Machine = ownMachine,
): Promise<CapturePlan> {
  const surroundings = await readSurroundings(machine)
  const known = options.dnsServers.length + surroundings.dnsServers.length
  if (options.dnsCapture === 'servers' && known === 0)
    throw new CaptureError(
      ExitCode.Options,
      'DNS capture of servers: /etc/resolv.conf names none, give --dns-servers',
    )
  return planCapture(options, surroundings)
}
