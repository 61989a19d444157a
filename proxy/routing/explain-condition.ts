/**
 * Which condition of a rule a request fails, told for people: the plain twin of predicates.ts, written
 * without it and compared with it on random input.
 */
import type { NamedMatchSpec, RouteSpec, StringMatchSpec } from '../../config/snapshot.ts'
import { compileRegex } from '../filters/regex.ts'
import type { RequestHead } from '../http/head.ts'
import { pathOf } from '../http/path.ts'
import { readableText } from '../http/wire-text.ts'

export interface FailedCondition {
  /** `uri`, `header end-user`, `without header x`, `query parameter q`, ... */
  readonly subject: string
  /** `exactly "jason"`, `a value that starts with "/api"`, `to be present`, ... */
  readonly wanted: string
  /** What the request has; undefined: nothing of the kind. */
  readonly seen: string | undefined
  readonly file: string
  readonly line: number
}

interface Condition {
  readonly subject: string
  readonly match: StringMatchSpec
  /** The request's values of the kind; the condition holds when one of them satisfies it. */
  readonly values: readonly string[]
  readonly inverted: boolean
}

/** The first condition that does not hold; undefined: the rule matches. */
export function firstFailure(route: RouteSpec, head: RequestHead): FailedCondition | undefined {
  const { file, line } = route.origin
  const path = readableText(pathOf(head.target))
  if (hasNoUriCondition(route) && !path.startsWith('/'))
    return { subject: 'uri', wanted: 'a value that starts with "/"', seen: path, file, line }
  for (const condition of conditionsOf(route, head, path)) {
    const { subject, match, values, inverted } = condition
    if (holds(condition)) continue
    const wanted = inverted ? unwantedText(match) : wantedText(match)
    const seen = values.length === 0 ? undefined : values.join(', ')
    return { subject, wanted, seen, file, line: match.line }
  }
  return undefined
}

function hasNoUriCondition({ match }: RouteSpec): boolean {
  return match?.uri === undefined || match.uri.kind === 'present'
}

function conditionsOf({ match }: RouteSpec, head: RequestHead, path: string): Condition[] {
  if (match === undefined) return []
  const { uri, method, headers, withoutHeaders, queryParams, authority, scheme } = match
  const found: Condition[] = []
  const one = (subject: string, wanted: StringMatchSpec | undefined, value: string): void => {
    if (wanted !== undefined)
      found.push({ subject, match: wanted, values: [value], inverted: false })
  }
  const each = (
    kind: string,
    specs: readonly NamedMatchSpec[],
    read: (name: string) => string[],
    inverted = false,
  ): void => {
    for (const { name, match: wanted } of specs)
      found.push({ subject: `${kind} ${name}`, match: wanted, values: read(name), inverted })
  }
  one('uri', uri, path)
  one('method', method, head.method)
  each('header', headers, (name) => linesOf(head, name))
  each('without header', withoutHeaders, (name) => linesOf(head, name), true)
  each('query parameter', queryParams, (name) => parameterOf(head.target, name))
  one('authority', authority, readableText(head.authority))
  one('scheme', scheme, schemeSeen(head))
  return found
}

function holds({ match, values, inverted }: Condition): boolean {
  if (!inverted) return values.some((value) => satisfies(match, value))
  if (match.kind === 'present') return values.length === 0
  // A header that is not there counts as an empty one.
  const seen = values.length === 0 ? [''] : values
  return !seen.some((value) => satisfies(match, value))
}

function satisfies({ kind, value: wanted, ignoreCase }: StringMatchSpec, value: string): boolean {
  const fold = (text: string): string =>
    ignoreCase ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text
  if (kind === 'present') return true
  if (kind === 'exact') return fold(value) === fold(wanted)
  if (kind === 'prefix') return fold(value).startsWith(fold(wanted))
  return compileRegex(wanted).matches(value)
}

function linesOf(head: RequestHead, name: string): string[] {
  if (name === 'host' || name === ':authority') return [readableText(head.authority)]
  if (name === ':method') return [head.method]
  if (name === ':path') return [readableText(head.target)]
  if (name === ':scheme') return [schemeSeen(head)]
  if (name.startsWith(':')) return [readableText(head.authority)]
  return head.headers.all(name).map(readableText)
}

function parameterOf(target: string, name: string): string[] {
  const [, ...rest] = target.split('?')
  for (const pair of rest.join('?').split('&')) {
    const [key, ...value] = pair.split('=')
    if (rest.length > 0 && pair !== '' && readableText(key!) === name)
      return [readableText(value.join('='))]
  }
  return []
}

function schemeSeen(head: RequestHead): string {
  const [forwarded = ''] = head.headers.all('x-forwarded-proto')
  return /^https?$/i.test(forwarded) ? forwarded.toLowerCase() : head.scheme
}

function wantedText({ kind, value, ignoreCase }: StringMatchSpec): string {
  const text = `"${value}"${ignoreCase ? ' in any case' : ''}`
  if (kind === 'present') return 'to be present'
  if (kind === 'exact') return `exactly ${text}`
  return kind === 'prefix' ? `a value that starts with ${text}` : `a match of the regex ${text}`
}

function unwantedText(match: StringMatchSpec): string {
  return match.kind === 'present' ? 'to be absent' : `anything but ${wantedText(match)}`
}
