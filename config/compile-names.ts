/** Names as Istio compares them: short hosts, wildcards by specificity, exportTo, other spellings of a service. */
import { isIP } from 'node:net'
import { compareText } from './diagnostics.ts'

/** A host without a dot belongs to the namespace of the object that says it; others are final. */
export function resolveHost(host: string, namespace: string, domain: string): string {
  if (host.includes('.') || host.startsWith('*') || isIP(host) !== 0) return host
  return `${host}.${namespace}.svc.${domain}`
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*')
}

/** Orders hosts by specificity: exact ones, then the longer wildcards, then by name. */
export function bySpecificity(a: string, b: string): number {
  const wild = Number(isWildcard(a)) - Number(isWildcard(b))
  return wild || b.length - a.length || compareText(a, b)
}

/**
 * Other names by which a client reaches a host: with a trailing dot, and for names of this mesh's
 * domain without what is shared (`reviews` only in the service's own namespace).
 */
export function otherNames(hostname: string, clientNamespace: string, domain: string): string[] {
  const names = [`${hostname}.`]
  const suffix = `.svc.${domain}`
  if (!hostname.endsWith(suffix)) return names
  const rest = hostname.slice(0, -suffix.length)
  const dot = rest.lastIndexOf('.')
  if (dot <= 0) return names
  if (rest.slice(dot + 1) === clientNamespace) names.push(rest.slice(0, dot))
  names.push(rest, `${rest}.svc`)
  return names
}

/** True when an object of `owner` with this exportTo is seen from `client`. */
export function isExported(exportTo: readonly string[], owner: string, client: string): boolean {
  return exportTo.some(
    (entry) => entry === '*' || entry === client || (entry === '.' && owner === client),
  )
}

export type Labels = Readonly<Record<string, string>>

/** True when `labels` has every pair of `wanted`. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  for (const key in wanted) if (labels[key] !== wanted[key]) return false
  return true
}

/** One spelling per address, so that texts compare: IPv4-mapped IPv6 becomes IPv4, IPv6 is compressed. */
export function canonicalAddress(address: string): string {
  if (!address.includes(':') || isIP(address) !== 6) return address
  const bare = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(bare)
  if (mapped === null) return bare
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/** An address or CIDR; a CIDR of one address is that address. */
export function canonicalPrefix(text: string): string {
  const [address, bits] = text.split('/') as [string, string | undefined]
  const canonical = canonicalAddress(address)
  if (bits === undefined || Number(bits) === (isIP(canonical) === 6 ? 128 : 32)) return canonical
  return `${canonical}/${bits}`
}
