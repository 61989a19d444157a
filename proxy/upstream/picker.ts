/** Choosing an endpoint: the words. A picker is a frozen view of one set of endpoints, replaced when the set changes. */
import type { ProxyError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Address } from '../net/address.ts'
import type { Endpoint, PickedEndpoint } from './endpoint.ts'

export type Pick = PickedEndpoint | { readonly kind: 'refuse'; readonly error: ProxyError }

/** What a pick may depend on; an exchange implements it itself. */
export interface PickRequest {
  readonly originalDestination: Address | undefined
  /** Endpoints that failed this request already: avoided while there is another. Oldest first. */
  readonly tried: readonly Endpoint[]
}

export interface Picker {
  /** Never called for an empty set. */
  next(): Endpoint
}

export type MakePicker = (endpoints: readonly Endpoint[], random: Random) => Picker

export function allWeighTheSame(endpoints: readonly Endpoint[]): boolean {
  const first = endpoints[0]?.weight
  return endpoints.every((endpoint) => endpoint.weight === first)
}
