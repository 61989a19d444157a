/** corsPolicy of an HTTP route: which origins browsers may call it from. */
import type { CorsPolicy, StringMatch } from '../kinds.ts'
import { list } from './collections.ts'
import { headerName } from './formats.ts'
import { named, object, or } from './object.ts'
import { boolean, duration, enumeration, string, type Type, text } from './scalars.ts'
import { stringMatch } from './string-match.ts'

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  '*',
]
const corsHeaders = list(string((name) => (name === '*' ? undefined : headerName(name))))

const allowedOrigin: Type = {
  read(raw, reading) {
    if (raw.kind === 'map' && raw.entries.length === 0) {
      reading.error(raw.at, 'needs exact, prefix or regex')
      return undefined
    }
    return stringMatch().read(raw, reading)
  },
}

interface Written extends Omit<CorsPolicy, 'unmatchedPreflights' | 'allowOrigins'> {
  readonly allowOrigins?: readonly StringMatch[]
  /** Deprecated; counts where there are no allowOrigins. */
  readonly allowOrigin?: readonly string[]
  readonly unmatchedPreflights: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE'
}

export const corsPolicy: Type = object<Written>(
  {
    allowOrigins: list(allowedOrigin),
    allowOrigin: { type: list(text), deprecated: 'Use allowOrigins.' },
    allowMethods: or(
      list(
        string((method) =>
          METHODS.includes(method) ? undefined : `"${method}" is not an HTTP method`,
        ),
      ),
      [],
    ),
    allowHeaders: or(corsHeaders, []),
    exposeHeaders: or(corsHeaders, []),
    maxAge: named('maxAgeMs', duration({ seconds: true })),
    allowCredentials: or(boolean, false),
    unmatchedPreflights: or(enumeration(['UNSPECIFIED', 'FORWARD', 'IGNORE']), 'UNSPECIFIED'),
  },
  {
    rules: [
      (_, place) => {
        if (place.count('allowOrigins') + place.count('allowOrigin') > 0) return
        place.warn([], 'allows no origin: it changes nothing for browsers', 'Add allowOrigins.')
      },
      (_, place) => {
        if (place.has('allowOrigins') && place.has('allowOrigin'))
          place.warn(['allowOrigin'], 'has no effect beside allowOrigins', 'Remove it.')
      },
    ],
    into: ({ allowOrigin = [], allowOrigins, unmatchedPreflights, ...policy }): CorsPolicy => ({
      ...policy,
      allowOrigins: allowOrigins ?? allowOrigin.map((exact) => ({ exact })),
      unmatchedPreflights: unmatchedPreflights === 'IGNORE' ? 'IGNORE' : 'FORWARD',
    }),
  },
)
