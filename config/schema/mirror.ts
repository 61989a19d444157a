/** Mirroring of an HTTP route: copies of requests to other destinations. */
import type { Percent } from '../kinds.ts'
import { list } from './collections.ts'
import { need, object } from './object.ts'
import type { Place } from './reading.ts'
import { destination } from './route-destination.ts'
import { number, type Type } from './scalars.ts'

export const mirrorPercentage: Type = object<Percent>({ value: number(0, 100) })

export const mirrors: Type<unknown[]> = list(
  object({
    destination: need(destination, 'the destination is missing'),
    percentage: mirrorPercentage,
  }),
)

/** Rules between the mirror fields of a route. */
export function checkMirrors(_: object, place: Place): void {
  if (place.has('mirror') && place.has('mirrors'))
    place.error(['mirrors'], 'cannot be combined with mirror', 'Keep mirrors.')
  const without = place.has('mirror') ? '' : 'has no effect without mirror'
  for (const name of ['mirrorPercentage', 'mirrorPercent'])
    if (without !== '' && place.has(name))
      place.warn([name], without, 'An entry of mirrors has a percentage of its own.')
  if (place.has('mirrorPercentage') && place.has('mirrorPercent'))
    place.warn(['mirrorPercent'], 'has no effect beside mirrorPercentage', 'Remove it.')
}
