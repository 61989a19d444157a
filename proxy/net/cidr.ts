/** Address prefixes (CIDRs), IPv4 and IPv6. */
import { BlockList, isIP } from 'node:net'

/** A set of prefixes and addresses; an empty set contains nothing. */
export class CidrSet {
  private readonly list = new BlockList()
  readonly size: number

  /** `prefixes`: `10.0.0.0/8`, `fd00::/8`, or plain addresses; checked before by the configuration. */
  constructor(prefixes: readonly string[]) {
    this.size = prefixes.length
    for (const prefix of prefixes) {
      const [address = '', bits] = prefix.split('/')
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (bits === undefined) this.list.addAddress(address, family)
      else this.list.addSubnet(address, Number(bits), family)
    }
  }

  contains(address: string): boolean {
    if (this.size === 0) return false
    return this.list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  }
}

/** Prefix length; a plain address counts as all of its bits. */
export function prefixLength(prefix: string): number {
  const slash = prefix.indexOf('/')
  if (slash >= 0) return Number(prefix.slice(slash + 1))
  return prefix.includes(':') ? 128 : 32
}
