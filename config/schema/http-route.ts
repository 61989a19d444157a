/** One rule of a VirtualService's `http` list. */
import type { HttpRedirect, HttpRetry, HttpRewrite, HttpRoute } from '../kinds.ts'
import { list } from './collections.ts'
import { corsPolicy } from './cors.ts'
import { fault } from './fault.ts'
import { dnsLabel, regex } from './formats.ts'
import { checkMirrors, mirrorPercentage, mirrors } from './mirror.ts'
import { named, need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { checkWeights, destination, httpDestination } from './route-destination.ts'
import {
  boolean,
  duration,
  enumeration,
  integer,
  portNumber,
  string,
  type Type,
  text,
} from './scalars.ts'
import { headerOperations, isAuthorityName } from './shared.ts'
import { httpMatch } from './string-match.ts'

const REDIRECTS = [301, 302, 303, 307, 308]

function redirectCode(code: number): Verdict {
  if (code < 300 || code > 399) return `${code} is not a redirect code (3xx)`
  if (REDIRECTS.includes(code)) return undefined
  return {
    warning: true,
    message: `${code} makes no redirect: requests that match get no answer from this rule`,
    hint: `Use one of ${REDIRECTS.join(', ')}.`,
  }
}

const redirect: Type = object<HttpRedirect>(
  {
    uri: text,
    prefixRewrite: text,
    authority: text,
    port: portNumber,
    derivePort: enumeration(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']),
    scheme: string((scheme) =>
      scheme === 'http' || scheme === 'https' ? undefined : `"${scheme}" is not http or https`,
    ),
    redirectCode: or(integer(0, 4_294_967_295, redirectCode), 301),
  },
  { oneOf: [['port', 'derivePort']], rules: [checkRedirect] },
)

function checkRedirect(_: HttpRedirect, place: Place): void {
  const targets = ['uri', 'prefixRewrite', 'authority', 'scheme', 'port', 'derivePort']
  if (!targets.some((name) => place.has(name)))
    place.error([], `a redirect must change something: ${targets.join(', ')}`)
  if (place.has('uri') && place.has('prefixRewrite'))
    place.error(['prefixRewrite'], 'cannot be combined with uri', 'Keep one of them.')
}

interface WrittenResponse {
  readonly status: number
  readonly body?: { readonly string?: string; readonly bytes?: string }
}
const LARGE_BODY = 100 * 1024
const MAX_BODY = 1024 * 1024

const directResponse: Type = object<WrittenResponse>(
  {
    status: need(integer(200, 599), 'the status is missing'),
    body: object<NonNullable<WrittenResponse['body']>>(
      {
        string: text,
        bytes: string((value) =>
          /^[A-Za-z0-9+/_-]*={0,2}$/.test(value) ? undefined : 'the value is not base64',
        ),
      },
      { oneOf: [['string', 'bytes']], rules: [checkBodySize] },
    ),
  },
  {
    into: ({ status, body }) => ({ status, ...body }),
  },
)

function checkBodySize(body: { string?: string; bytes?: string }, place: Place): void {
  const size = Math.max(
    Buffer.byteLength(body.string ?? ''),
    Math.floor(((body.bytes ?? '').length * 3) / 4),
  )
  if (size > MAX_BODY) place.error([], `the body has ${size} bytes, ${MAX_BODY} are allowed`)
  else if (size > LARGE_BODY)
    place.warn([], `the body has ${size} bytes and is kept in memory by every proxy`)
}

const rewrite: Type = object<HttpRewrite>(
  {
    uri: text,
    uriRegexRewrite: object({
      match: need(string(regex), 'the regular expression is missing'),
      rewrite: need(text, 'the replacement is missing'),
    }),
    authority: text,
  },
  { rules: [checkRewrite] },
)

function checkRewrite(value: HttpRewrite, place: Place): void {
  if (place.has('uri') && place.has('uriRegexRewrite'))
    place.error(['uriRegexRewrite'], 'cannot be combined with uri', 'Keep one of them.')
  const some = (value.uri ?? '') !== '' || (value.authority ?? '') !== ''
  if (!some && !place.has('uriRegexRewrite'))
    place.error([], 'a rewrite needs uri, uriRegexRewrite or authority')
}

const RETRY_ON = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]

function retryOn(value: string): Verdict {
  for (const token of value.split(',')) {
    if (token === '' || RETRY_ON.includes(token)) continue
    if (/^\d+$/.test(token) && Number(token) >= 100 && Number(token) <= 599) continue
    if (token !== token.trim())
      return { message: `"${token}" has a space`, hint: 'Separate the conditions by commas only.' }
    return {
      message: `"${token}" is not a retry condition`,
      hint: `Known: status codes and ${RETRY_ON.join(', ')}.`,
    }
  }
  return undefined
}

export const retries: Type = object<HttpRetry>(
  {
    attempts: or(
      integer(-2_147_483_648, 2_147_483_647, (count) =>
        count < 0 ? `${count} attempts are not possible` : undefined,
      ),
      0,
    ),
    perTryTimeout: named('perTryTimeoutMs', duration()),
    retryOn: string(retryOn),
    retryRemoteLocalities: or(boolean, false),
    retryIgnorePreviousHosts: boolean,
    backoff: named('backoffMs', duration()),
  },
  {
    rules: [
      (value, place) => {
        if (value.attempts !== 0) return
        for (const name of ['perTryTimeout', 'retryOn', 'retryRemoteLocalities'])
          if (place.has(name))
            place.error([name], 'has no meaning while attempts is 0', 'Set attempts to 1 or more.')
      },
    ],
  },
)

const delegate: Type = object({
  name: need(
    string((name) => dnsLabel(name)),
    'the name of the VirtualService is missing',
  ),
  namespace: string((name) => (name === '' ? undefined : dnsLabel(name))),
})

export const httpRoute: Type = object<HttpRoute>(
  {
    name: or(text, ''),
    match: or(list(httpMatch), []),
    route: or(list(httpDestination), []),
    redirect,
    directResponse,
    delegate,
    rewrite,
    timeout: named('timeoutMs', duration()),
    retries,
    headers: headerOperations,
    fault,
    mirror: destination,
    mirrors,
    mirrorPercentage,
    mirrorPercent: { type: integer(0, 100), deprecated: 'Use mirrorPercentage.value.' },
    corsPolicy,
  },
  { rules: [checkAction, checkAuthority, checkPrefixRewrite, checkTargets, checkMirrors] },
)

function checkTargets(route: HttpRoute, place: Place): void {
  checkWeights(route.route, place)
}

function checkAction(_: HttpRoute, place: Place): void {
  const hasRoute = place.count('route') > 0
  const rivals = (action: string, others: readonly string[]) => {
    if (!place.has(action)) return
    if (hasRoute) place.error([action], 'cannot be combined with route', 'Keep one of them.')
    for (const other of others)
      if (place.has(other)) place.error([other], `cannot be combined with ${action}`)
  }
  rivals('redirect', ['fault', 'rewrite', 'directResponse'])
  rivals('directResponse', ['fault', 'rewrite'])
  for (const action of ['redirect', 'directResponse'])
    for (const name of ['corsPolicy', 'mirror', 'mirrors', 'timeout', 'retries'])
      if (place.has(action) && place.has(name))
        place.warn([name], `has no effect on a ${action}, in Istio neither`, 'Remove it.')
}

function checkAuthority(route: HttpRoute, place: Place): void {
  const first = (route.rewrite?.authority ?? '') === '' ? undefined : 'rewrite.authority'
  let setBy = first
  for (const operation of ['set', 'add'] as const)
    for (const name of Object.keys(route.headers?.request?.[operation] ?? {})) {
      if (!isAuthorityName(name)) continue
      if (setBy !== undefined)
        place.error(
          ['headers', 'request', operation, name],
          `the authority is already set by ${setBy}`,
        )
      setBy = `headers.request.${operation}`
    }
}

function checkPrefixRewrite(route: HttpRoute, place: Place): void {
  if (route.redirect?.prefixRewrite === undefined) return
  for (const [index, match] of route.match.entries())
    if (match.uri !== undefined && !('prefix' in match.uri))
      place.error(['match', index, 'uri'], 'prefixRewrite needs every match to be a uri prefix')
}
