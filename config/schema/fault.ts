/** fault of an HTTP rule. */
import { GRPC_CODES } from '../grpc-codes.ts'
import type { HttpFault, Percent } from '../kinds.ts'
import { named, object } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { duration, integer, number, string, type Type, text } from './scalars.ts'

const faultPercent: Type = object<Percent>(
  { value: number(0, 100) },
  {
    rules: [
      ({ value }, place) => {
        if (value !== undefined && value > 0 && value < 0.0001)
          place.error(['value'], `${value} is neither 0 nor at least 0.0001`)
      },
    ],
  },
)

function warnNeverFires(_: object, place: Place): void {
  if (!place.has('percentage') && !place.has('percent'))
    place.warn(
      [],
      'without percentage this applies to 0 % of the requests',
      'Add percentage: {value: 100}.',
    )
}

const abort: Type = object<{ http2Error?: string }>(
  {
    httpStatus: integer(200, 599),
    grpcStatus: string(
      (name): Verdict =>
        GRPC_CODES.includes(name)
          ? undefined
          : {
              message: `"${name}" is not a gRPC status`,
              hint: 'For example UNAVAILABLE or NOT_FOUND.',
            },
    ),
    http2Error: text,
    percentage: faultPercent,
  },
  {
    oneOf: [['httpStatus', 'grpcStatus', 'http2Error']],
    rules: [
      (value, place) => {
        if (value.http2Error !== undefined)
          place.error(['http2Error'], 'HTTP/2 errors cannot be injected', 'Use httpStatus.')
        else if (!place.has('httpStatus') && !place.has('grpcStatus'))
          place.warn([], 'names no error: nothing is aborted', 'Add httpStatus.')
      },
      warnNeverFires,
    ],
  },
)

const delay: Type = object<{ exponentialDelay?: number }>(
  {
    fixedDelay: named('fixedDelayMs', duration()),
    exponentialDelay: duration(),
    percentage: faultPercent,
    percent: { type: integer(0, 100), deprecated: 'Use percentage.value.' },
  },
  {
    oneOf: [['fixedDelay', 'exponentialDelay']],
    rules: [
      (_, place) => {
        if (place.has('exponentialDelay'))
          place.error(['exponentialDelay'], 'exponential delays do not exist', 'Use fixedDelay.')
        else if (!place.has('fixedDelay')) place.error([], 'fixedDelay is missing')
      },
      warnNeverFires,
    ],
  },
)

export const fault: Type = object<HttpFault>(
  { abort, delay },
  {
    rules: [
      (value, place) => {
        if (!place.has('abort') && !place.has('delay') && value.abort === undefined)
          place.error([], 'a fault needs an abort or a delay')
      },
    ],
  },
)
