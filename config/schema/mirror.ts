/** Mirroring of an HTTP route: copies of requests to other destinations. */
import { list } from './collections.ts'
import { need, object } from './object.ts'
import { destination } from './route-destination.ts'
import { number, type Type } from './scalars.ts'

export interface Percent {
  readonly value?: number
}

export const mirrorPercentage: Type = object<Percent>({ value: number(0, 100) })

export const mirrors: Type<unknown[]> = list(
  object({
    destination: need(destination, 'the destination is missing'),
    percentage: mirrorPercentage,
  }),
)
