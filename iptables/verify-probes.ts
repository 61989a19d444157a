/** Which connections prove a plan: who calls what, and where it must arrive. Pure. */
import { BlockList } from 'node:net'
import type { CaptureOptions } from './options.ts'
import { type CapturePlan, type Family, ownInboundPorts } from './plan.ts'
import { isIpv6, type PortRange } from './values.ts'

export interface Caller {
  readonly uid: number
  readonly gid: number
}

export interface Expectation {
  /** The claim: `application to 192.0.2.1:15002 reaches the outbound listener`. */
  readonly what: string
  readonly address: string
  readonly port: number
  readonly arrives: 'outbound' | 'inbound' | 'nowhere'
}

export interface Probes {
  readonly probes: readonly (readonly [Caller, readonly Expectation[]])[]
  /** Mutable: what could not be tried is added by the caller as well. */
  readonly notes: string[]
}

/** Addresses nobody has (RFC 5737, RFC 3849). */
const nobody: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['192.0.2.1', '198.51.100.1', '203.0.113.1'],
  ipv6: ['2001:db8::1', '2001:db8:1::1'],
}

export function probesFor(
  plan: CapturePlan,
  own: Readonly<Partial<Record<Family, string>>>,
): Probes {
  const { options } = plan
  const asApplication: Expectation[] = []
  const asProxy: Expectation[] = []
  const notes: string[] = []
  for (const { family, tables } of plan.families) {
    if (tables.length === 0) continue
    const outside = outboundTarget(options, family)
    if (outside === undefined)
      notes.push(`${family} outbound: no destination of nobody is captured`)
    else {
      asApplication.push(claim('application', outside, 'outbound'))
      asProxy.push(claim('proxy', outside, 'nowhere'))
    }
    const port = inboundPort(options)
    const address = own[family]
    if (port === undefined || address === undefined)
      notes.push(
        `${family} inbound: ${port === undefined ? 'no port is captured' : 'no address of its own'}`,
      )
    else asProxy.push(claim('proxy calling its own workload', { address, port }, 'inbound'))
  }
  const stranger = application(options)
  const callers: [Caller, Expectation[]][] = [
    [stranger, asApplication],
    [{ uid: options.proxyUids[0]!, gid: stranger.gid }, asProxy],
    [{ uid: stranger.uid, gid: options.proxyGids[0]! }, asProxy],
  ]
  return { probes: callers.filter(([, expectations]) => expectations.length > 0), notes }
}

function claim(
  who: string,
  target: { address: string; port: number },
  arrives: Expectation['arrives'],
): Expectation {
  const at = isIpv6(target.address) ? `[${target.address}]` : target.address
  const where = arrives === 'nowhere' ? 'goes direct' : `reaches the ${arrives} listener`
  return { ...target, arrives, what: `${who} to ${at}:${target.port} ${where}` }
}

/** An id that no option names. */
function application(options: CaptureOptions): Caller {
  const taken = (ids: readonly number[], more: readonly number[]) => {
    let id = 65534
    while (ids.includes(id) || more.includes(id)) id--
    return id
  }
  return {
    uid: taken(options.proxyUids, options.excludeOutboundUids),
    gid: taken(options.proxyGids, options.excludeOutboundGids),
  }
}

const within = (port: number, ranges: readonly PortRange[]) =>
  ranges.some(({ first, last }) => first <= port && port <= last)

/** First of some ports that is not skipped; 53 may be captured for DNS instead. */
function freePort(
  candidates: readonly number[],
  skipped: readonly PortRange[],
): number | undefined {
  return candidates.find((port) => port !== 53 && !within(port, skipped))
}

const anyPort = Array.from({ length: 64 }, (_, index) => 15100 + index)

/** Every port of these ranges, up to a number that is enough. */
function portsIn(ranges: readonly PortRange[]): number[] {
  const found: number[] = []
  for (const { first, last } of ranges)
    for (let port = first; port <= last && found.length < 1000; port++) found.push(port)
  return found
}

function outboundTarget(
  options: CaptureOptions,
  family: Family,
): { address: string; port: number } | undefined {
  const ofFamily = (list: readonly string[]) =>
    list.filter((a) => isIpv6(a) === (family === 'ipv6'))
  const address = nobody[family].find(
    (candidate) => !contains(ofFamily(options.excludeOutboundIpRanges), candidate, family),
  )
  if (address === undefined) return undefined
  const ranges = options.includeOutboundIpRanges
  const anyAddress = ranges === '*' || contains(ofFamily(ranges), address, family)
  const ports = anyAddress ? anyPort : portsIn(options.includeOutboundPorts)
  const port = freePort(ports, options.excludeOutboundPorts)
  return port === undefined ? undefined : { address, port }
}

function inboundPort(options: CaptureOptions): number | undefined {
  const wanted = options.includeInboundPorts
  const own = ownInboundPorts(options).map((port) => ({ first: port, last: port }))
  return freePort(wanted === '*' ? anyPort : portsIn(wanted), [
    ...own,
    ...options.excludeInboundPorts,
  ])
}

function contains(ranges: readonly string[], address: string, family: Family): boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [base = '', bits = ''] = range.split('/')
    list.addSubnet(base, Number(bits), family)
  }
  return list.check(address, family)
}
