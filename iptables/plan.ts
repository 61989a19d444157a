/**
 * Options to firewall rules: pure, the same options always give the same text. Every rule of ours lies
 * in a chain of ours; the built-in chains get jumps only, so what others put there still runs.
 */
import { createHash } from 'node:crypto'
import { deliverySource, ports } from '../config/ports.ts'
import type { CaptureOptions } from './options.ts'
import { type Everything, isIpv6, type PortRange } from './values.ts'

export type Family = 'ipv4' | 'ipv6'
export type TableName = 'raw' | 'mangle' | 'nat'

export interface Chain {
  readonly name: string
  /** Without `-A CHAIN`. */
  readonly rules: readonly string[]
}

/** A line in a built-in chain that leads to one of ours, as `iptables-save` prints it. */
export interface Jump {
  readonly from: string
  readonly rule: string
}

export interface TablePlan {
  readonly name: TableName
  readonly chains: readonly Chain[]
  readonly jumps: readonly Jump[]
}

export interface FamilyPlan {
  readonly family: Family
  /** In the order they are put in force; nat, which starts the capture, comes last. */
  readonly tables: readonly TablePlan[]
  /** Stands in a comment in the rules; '' when there are none. */
  readonly fingerprint: string
  /** Addresses `lo` needs besides its own, with prefix length. */
  readonly loopbackAddresses: readonly string[]
}

export interface CapturePlan {
  readonly options: CaptureOptions
  readonly families: readonly FamilyPlan[]
}

/** What the machine adds to the options. */
export interface Surroundings {
  readonly ipv6: boolean
  /** The resolvers of /etc/resolv.conf, used when none are given. */
  readonly dnsServers: readonly string[]
}

/** Chains of ours are known by this. */
export const chainPrefix = 'OUTRIDER_'
export const fingerprintWord = 'outrider-cfg:'

const chain = {
  inbound: `${chainPrefix}INBOUND`,
  inboundFilter: `${chainPrefix}IN_FILTER`,
  inboundRedirect: `${chainPrefix}IN_REDIRECT`,
  output: `${chainPrefix}OUTPUT`,
  proxyOutput: `${chainPrefix}PROXY_OUT`,
  outboundFilter: `${chainPrefix}OUT_FILTER`,
  outboundRedirect: `${chainPrefix}OUT_REDIRECT`,
  dnsZone: `${chainPrefix}DNS_ZONE`,
  dnsZoneReplies: `${chainPrefix}DNS_ZONE_IN`,
  invalid: `${chainPrefix}INVALID`,
} as const

/** Ports the proxy itself serves to others: never captured inbound. */
export function ownInboundPorts(options: CaptureOptions): number[] {
  return [options.tunnelPort, ports.mergedMetrics, ports.health, ports.metrics]
}

/** The rules of both families; one that is not wanted has no tables, so that what is there is removed. */
export function planCapture(options: CaptureOptions, surroundings: Surroundings): CapturePlan {
  const ipv6 = options.ipv6 === 'on' || (options.ipv6 === 'auto' && surroundings.ipv6)
  const servers = options.dnsServers.length > 0 ? options.dnsServers : surroundings.dnsServers
  const off = options.interceptionMode === 'none'
  const families = (['ipv4', 'ipv6'] as const).map((family) =>
    off || (family === 'ipv6' && !ipv6)
      ? { family, tables: [], fingerprint: '', loopbackAddresses: [] }
      : new FamilyPlanner(family, options, servers).plan(),
  )
  return { options, families }
}

/** Builds the rules of one family. */
class FamilyPlanner {
  private readonly family: Family
  private readonly options: CaptureOptions
  private readonly dnsServers: readonly string[]
  private readonly inbound: boolean
  private readonly outbound: boolean

  constructor(family: Family, options: CaptureOptions, dnsServers: readonly string[]) {
    this.family = family
    this.options = options
    this.dnsServers = this.ofFamily(dnsServers)
    this.inbound = options.includeInboundPorts === '*' || options.includeInboundPorts.length > 0
    const ranges = options.includeOutboundIpRanges
    this.outbound =
      ranges === '*' || this.ofFamily(ranges).length > 0 || options.includeOutboundPorts.length > 0
  }

  plan(): FamilyPlan {
    const tables = [this.raw(), this.mangle(), this.nat('')].filter((t) => t.chains.length > 0)
    const fingerprint = fingerprintOf(this.family, tables)
    const loopbackAddresses =
      this.inbound && this.family === 'ipv6' ? [`${deliverySource.ipv6}/128`] : []
    return {
      family: this.family,
      tables: tables.map((table) => (table.name === 'nat' ? this.nat(fingerprint) : table)),
      fingerprint,
      loopbackAddresses,
    }
  }

  private ofFamily(addresses: readonly string[]): string[] {
    return addresses.filter((address) => isIpv6(address) === (this.family === 'ipv6'))
  }

  /** Connection tracking zones keep queries of the application and of the proxy apart. */
  private raw(): TablePlan {
    const { dnsPort } = this.options
    const servers = this.dnsTargets()
    if (servers.length === 0) return { name: 'raw', chains: [], jumps: [] }
    const owners = this.proxyOwners()
    const zone = owners.flatMap((owner) => [
      `-p udp --dport 53 ${owner} -j CT --zone 1`,
      `-p udp --sport ${dnsPort} ${owner} -j CT --zone 2`,
    ])
    zone.push(...owners.map((owner) => `${owner} -j RETURN`))
    zone.push(...servers.map((at) => line(at && `-d ${at}`, '-p udp --dport 53 -j CT --zone 2')))
    const replies = servers.map((at) => line(at && `-s ${at}`, '-p udp --sport 53 -j CT --zone 1'))
    return {
      name: 'raw',
      chains: [
        { name: chain.dnsZone, rules: zone },
        { name: chain.dnsZoneReplies, rules: replies },
      ],
      jumps: [
        { from: 'OUTPUT', rule: `-p udp -j ${chain.dnsZone}` },
        { from: 'PREROUTING', rule: `-p udp -j ${chain.dnsZoneReplies}` },
      ],
    }
  }

  private mangle(): TablePlan {
    if (!this.options.dropInvalid) return { name: 'mangle', chains: [], jumps: [] }
    return {
      name: 'mangle',
      chains: [{ name: chain.invalid, rules: ['-m conntrack --ctstate INVALID -j DROP'] }],
      jumps: [{ from: 'PREROUTING', rule: `-p tcp -j ${chain.invalid}` }],
    }
  }

  private nat(fingerprint: string): TablePlan {
    const chains: Chain[] = []
    const jumps: Jump[] = []
    const arriving = this.arriving()
    if (arriving.length > 0) {
      chains.push({ name: chain.inbound, rules: arriving })
      jumps.push({ from: 'PREROUTING', rule: `-p tcp -j ${chain.inbound}` })
    }
    if (this.inbound) {
      chains.push({ name: chain.inboundFilter, rules: this.inboundFilter() })
      chains.push(this.redirect(chain.inboundRedirect, this.options.inboundPort))
    }
    chains.push({ name: chain.output, rules: this.leaving(fingerprint) })
    chains.push({ name: chain.proxyOutput, rules: this.proxyOutput() })
    if (this.outbound) {
      chains.push({ name: chain.outboundFilter, rules: this.outboundFilter() })
      chains.push(this.redirect(chain.outboundRedirect, this.options.outboundPort))
    }
    jumps.push({ from: 'OUTPUT', rule: `-j ${chain.output}` })
    return { name: 'nat', chains, jumps }
  }

  /** What comes in from outside; empty when none of it is captured. */
  private arriving(): string[] {
    const { options } = this
    if (!this.inbound && (options.rerouteVirtualInterfaces.length === 0 || !this.outbound))
      return []
    const rules = options.excludeInterfaces.map((name) => `-i ${name} -j RETURN`)
    for (const name of options.rerouteVirtualInterfaces)
      rules.push(
        this.outbound ? `-i ${name} -p tcp -g ${chain.outboundFilter}` : `-i ${name} -j RETURN`,
      )
    if (!this.inbound) return rules
    if (options.inboundLocalOnly) rules.push('-m addrtype ! --dst-type LOCAL -j RETURN')
    if (this.family === 'ipv6') rules.push('-d fe80::/10 -j RETURN')
    for (const source of this.ofFamily(options.excludeInboundSources))
      rules.push(`-s ${source} -j RETURN`)
    rules.push(`-p tcp -g ${chain.inboundFilter}`)
    return rules
  }

  private inboundFilter(): string[] {
    const { options } = this
    const own = ownInboundPorts(options).map((port) => ({ first: port, last: port }))
    const skipped = portMatches([...own, ...options.excludeInboundPorts])
    return [
      ...skipped.map((match) => `${match} -j RETURN`),
      ...wanted(options.includeInboundPorts, portMatches, '-p tcp').map(
        (match) => `${match} -j ${chain.inboundRedirect}`,
      ),
    ]
  }

  /** What a process of this network namespace sends. Owners of the proxy before every user option. */
  private leaving(fingerprint: string): string[] {
    const { options } = this
    const rules = [`-m comment --comment "${fingerprintWord}${fingerprint}"`]
    rules.push(...options.excludeInterfaces.map((name) => `-o ${name} -j RETURN`))
    rules.push(...this.proxyOwners().map((owner) => `${owner} -g ${chain.proxyOutput}`))
    for (const uid of options.excludeOutboundUids) rules.push(`${ownerUid(uid)} -j RETURN`)
    for (const gid of options.excludeOutboundGids) rules.push(`${ownerGid(gid)} -j RETURN`)
    for (const at of this.dnsTargets())
      for (const protocol of ['udp', 'tcp'])
        rules.push(
          line(
            at && `-d ${at}`,
            `-p ${protocol} --dport 53 -j REDIRECT --to-ports ${options.dnsPort}`,
          ),
        )
    rules.push('-o lo -j RETURN')
    if (this.outbound) rules.push(`-p tcp -g ${chain.outboundFilter}`)
    return rules
  }

  /**
   * The proxy's own traffic goes free, but for one kind: a call whose endpoint is this very workload
   * crosses the inbound side. Only the source address tells it from the delivery to the application.
   */
  private proxyOutput(): string[] {
    if (!this.inbound) return []
    const v6 = this.family === 'ipv6'
    const source = v6 ? `${deliverySource.ipv6}/128` : `${deliverySource.ipv4}/32`
    return [
      `-s ${source} -o lo -j RETURN`,
      `! -d ${v6 ? '::1/128' : '127.0.0.0/8'} -o lo -p tcp -g ${chain.inboundFilter}`,
    ]
  }

  private outboundFilter(): string[] {
    const { options } = this
    const rules = portMatches(options.excludeOutboundPorts).map((match) => `${match} -j RETURN`)
    if (this.family === 'ipv6') rules.push('-d fe80::/10 -j RETURN')
    for (const range of this.ofFamily(options.excludeOutboundIpRanges))
      rules.push(`-d ${range} -j RETURN`)
    const ranges = options.includeOutboundIpRanges
    const matches = [
      ...portMatches(options.includeOutboundPorts),
      ...wanted(ranges === '*' ? ranges : this.ofFamily(ranges), destinationMatches, '-p tcp'),
    ]
    return [...rules, ...matches.map((match) => `${match} -j ${chain.outboundRedirect}`)]
  }

  private redirect(name: string, port: number): Chain {
    const syn = this.options.preserveExisting ? ' --syn' : ''
    return { name, rules: [`-p tcp${syn} -j REDIRECT --to-ports ${port}`] }
  }

  private proxyOwners(): string[] {
    return [...this.options.proxyUids.map(ownerUid), ...this.options.proxyGids.map(ownerGid)]
  }

  /** Resolvers whose queries are captured; '' stands for any. */
  private dnsTargets(): readonly string[] {
    if (this.options.dnsCapture === 'off') return []
    return this.options.dnsCapture === 'all' ? [''] : this.dnsServers
  }
}

function line(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ')
}

function ownerUid(uid: number): string {
  return `-m owner --uid-owner ${uid}`
}

function ownerGid(gid: number): string {
  return `-m owner --gid-owner ${gid}`
}

function wanted<T>(
  choice: Everything | readonly T[],
  matches: (list: readonly T[]) => string[],
  all: string,
): string[] {
  return choice === '*' ? [all] : matches(choice)
}

function destinationMatches(ranges: readonly string[]): string[] {
  return ranges.map((range) => `-d ${range} -p tcp`)
}

/** A multiport match has 15 slots, and a range takes two. */
const multiportSlots = 15

function portMatches(ranges: readonly PortRange[]): string[] {
  const texts = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`))
  const groups: string[][] = []
  let free = 0
  for (const text of new Set(texts)) {
    const slots = text.includes(':') ? 2 : 1
    if (slots > free) {
      groups.push([])
      free = multiportSlots
    }
    groups.at(-1)!.push(text)
    free -= slots
  }
  return groups.map((group) => `-p tcp -m multiport --dports ${group.join(',')}`)
}

/** The rules' own text decides; so a rule that changes its meaning in a release is replaced. */
function fingerprintOf(family: Family, tables: readonly TablePlan[]): string {
  const text = JSON.stringify([family, tables])
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
