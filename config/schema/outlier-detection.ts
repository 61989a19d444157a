/** When endpoints that fail are left out for a while: DestinationRule and MeshConfig share it. */
import type { OutlierDetection } from '../kinds.ts'
import { list } from './collections.ts'
import { ignored, named, object } from './object.ts'
import type { Place } from './reading.ts'
import { boolean, duration, integer, type Type, uint32 } from './scalars.ts'

const percentage = integer(0, 100)

function checkLocalOrigin(value: OutlierDetection, place: Place): void {
  const { consecutiveLocalOriginFailures = 0, splitExternalLocalOriginErrors } = value
  if (consecutiveLocalOriginFailures > 0 && splitExternalLocalOriginErrors !== true)
    place.error(['consecutiveLocalOriginFailures'], 'needs splitExternalLocalOriginErrors: true')
}

export const outlierDetection: Type = object<OutlierDetection>(
  {
    consecutive5xxErrors: uint32,
    consecutiveGatewayErrors: uint32,
    consecutiveErrors: {
      ...ignored(integer()),
      deprecated: 'It has no effect: use consecutive5xxErrors or consecutiveGatewayErrors.',
    },
    splitExternalLocalOriginErrors: boolean,
    consecutiveLocalOriginFailures: uint32,
    interval: named('intervalMs', duration()),
    baseEjectionTime: named('baseEjectionMs', duration()),
    maxEjectionPercent: percentage,
    minHealthPercent: percentage,
    outlierDetectionHttpErrorCodes: list(integer(100, 599)),
  },
  { rules: [checkLocalOrigin] },
)
