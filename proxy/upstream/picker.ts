/** Choosing an endpoint: the words. Pickers and views are frozen: replaced when the set changes. */
import type { HashKeySpec } from '../../config/snapshot.ts'
import type { ProxyError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Address } from '../net/address.ts'
import type { Endpoint, PickedEndpoint } from './endpoint.ts'

export type Pick = PickedEndpoint | { readonly kind: 'refuse'; readonly error: ProxyError }

/** What a pick may depend on; an exchange's delivery implements it itself. */
export interface PickRequest {
  readonly originalDestination: Address | undefined
  /** Host of the request or server name, without port; for names that are resolved on demand. */
  readonly hostName?: string
  /** Endpoints that failed this request already: avoided while there is another. Oldest first. */
  readonly tried: readonly Endpoint[]
  /** Levels of nearness that a retry shall leave, while there is another. */
  readonly triedLevels?: readonly number[] | undefined
  /** The text that consistent hashing goes by, the same for each try; undefined: it has none. */
  hashText?(key: HashKeySpec): string | undefined
}

/** A policy over one set of equally near endpoints. */
export interface Picker {
  /** Never called for an empty set. */
  next(): Endpoint
}

export type MakePicker = (endpoints: readonly Endpoint[], random: Random) => Picker

/** A cluster's endpoints that may be picked now, at least one, and how they share the requests. */
export interface View {
  pick(request: PickRequest): Endpoint
}

export function allWeighTheSame(endpoints: readonly Endpoint[]): boolean {
  const first = endpoints[0]?.weight
  return endpoints.every((endpoint) => endpoint.weight === first)
}
