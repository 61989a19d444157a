/** Where a route leads: destinations with weights, for HTTP and for opaque connections. */
import type { Destination } from '../kinds.ts'
import { dnsLabel, fqdn, isAddress } from './formats.ts'
import { need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { integer, string, type Type } from './scalars.ts'
import { headerOperations, portSelector } from './shared.ts'

function destinationHost(host: string): Verdict {
  if (host.includes('*'))
    return { message: `"${host}" has a wildcard`, hint: 'A destination must be one service.' }
  return isAddress(host) ? undefined : fqdn(host)
}

export const destination: Type = object<Destination>({
  host: need(string(destinationHost), 'the host is missing'),
  subset: or(
    string((name) => (name === '' ? undefined : dnsLabel(name))),
    '',
  ),
  port: portSelector,
})

const weight = integer(-2_147_483_648, 2_147_483_647, (value) =>
  value < 0 ? `the weight ${value} is negative` : undefined,
)

export const httpDestination: Type = object({
  destination: need(destination, 'the destination is missing'),
  weight: or(weight, 0),
  headers: headerOperations,
})

export const l4Destination: Type = object({
  destination: need(destination, 'the destination is missing'),
  weight: or(weight, 0),
})

interface Weighted {
  readonly weight: number
}

/** Several destinations need weights; with one the weight does not count. */
export function checkWeights(routes: readonly Weighted[], place: Place): void {
  if (routes.length < 2) return
  const total = routes.reduce((sum, { weight }) => sum + weight, 0)
  const unread = routes.some((_, position) => place.noNumberAt(['route', position, 'weight']))
  if (total === 0 && !unread)
    place.error(
      ['route'],
      'the weights of several destinations add up to 0',
      'Give each one a weight.',
    )
}
