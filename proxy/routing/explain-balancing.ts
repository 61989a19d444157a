/** How a cluster's endpoint is chosen, in words: policy, warmup, nearness. */
import type { HashKeySpec, LoadBalancerSpec, LocalitySpec } from '../../config/snapshot.ts'

/** `RING_HASH by cookie user (made where it is missing)`. */
export function balancingText({ kind, hash, warmup }: LoadBalancerSpec): string {
  if (hash !== undefined) return `${kind} by ${keyText(hash.key)}`
  if (warmup === undefined) return kind
  return `${kind}, new ones warming up for ${warmup.durationMs / 1000} s`
}

function keyText(key: HashKeySpec): string {
  switch (key.kind) {
    case 'header':
      return `header ${key.name}`
    case 'cookie':
      return `cookie ${key.name}${key.made === undefined ? '' : ' (made where it is missing)'}`
    case 'source-ip':
      return "the client's address"
    case 'query':
      return `query parameter ${key.name}`
  }
}

/** `` where all endpoints are equally near. */
export function nearnessText(locality: LocalitySpec | undefined): string {
  if (locality === undefined) return ''
  const { balance, distribute, labels, own, regions } = locality
  if (distribute !== undefined)
    return `shared out from ${own || 'an unknown locality'}: ${distribute.map(([place, percent]) => `${percent} % to ${place}`).join(', ')}, nothing elsewhere`
  const ways: string[] = []
  if (labels !== undefined)
    ways.push(`those with ${labels.map(([label, value]) => `${label}=${value}`).join(', then ')}`)
  if (regions !== undefined)
    ways.push(`those in the subzone, zone, region of ${own === '' ? '(unknown)' : own}`)
  const next = regions?.next ? `, then region ${regions.next}` : ''
  const first = ways.length === 0 ? '' : `nearest first: ${ways.join('; within these ')}${next}`
  if (balance === undefined) return first
  const stay = `as many as possible stay in ${own}, from ${balance.minClusterSize} endpoints on`
  return first === '' ? stay : `${first}; ${stay}`
}
