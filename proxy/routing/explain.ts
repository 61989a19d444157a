/**
 * Why a request follows the rule it follows: every rule in order with its verdict. The plain twin of
 * route-table.ts and host-index.ts, written without them and compared with them on random input.
 */
import type { Origin, RouteSpec, RouteTableSpec, VirtualHostSpec } from '../../config/snapshot.ts'
import type { RequestHead } from '../http/head.ts'
import { type FailedCondition, firstFailure } from './explain-condition.ts'

export interface HostVerdict {
  readonly virtualHost: VirtualHostSpec
  /** The domain that matched, as configured. */
  readonly domain: string
  readonly how: 'exact' | 'wildcard' | 'any'
}

export interface RuleVerdict {
  /** `http[0].match[1]`, or `default` for a service without VirtualService. */
  readonly rule: string
  readonly name: string
  readonly origin: Origin
  /** skipped: left out when the configuration was read; unreached: another rule won before. */
  readonly verdict: 'wins' | 'fails' | 'skipped' | 'unreached'
  /** One sentence without its end mark. */
  readonly reason: string
  /** Of a rule that fails. */
  readonly failed: FailedCondition | undefined
}

export interface RouteExplanation {
  /** Undefined: no virtual host of this table has the authority. */
  readonly host: HostVerdict | undefined
  readonly rules: readonly RuleVerdict[]
  readonly winner: RouteSpec | undefined
}

/** `head.target` must be canonical (http/path.ts). */
export function explainRoute(table: RouteTableSpec, head: RequestHead): RouteExplanation {
  const host = explainHost(table, head.authority)
  if (host === undefined) return { host, rules: [], winner: undefined }
  const { routes, skipped } = host.virtualHost
  const rules: RuleVerdict[] = []
  let winner: RouteSpec | undefined
  for (let position = 0; position <= routes.length; position++) {
    for (const rule of skipped.filter(({ before }) => before === position))
      rules.push({
        rule: rule.path,
        name: '',
        origin: rule.origin,
        verdict: 'skipped',
        reason: rule.reason,
        failed: undefined,
      })
    const route = routes[position]
    if (route === undefined) break
    const verdict = judge(route, head, winner)
    if (verdict.verdict === 'wins') winner = route
    rules.push(verdict)
  }
  return { host, rules, winner }
}

function judge(route: RouteSpec, head: RequestHead, winner: RouteSpec | undefined): RuleVerdict {
  const rule = ruleName(route)
  const { name, origin } = route
  if (winner !== undefined) {
    const reason = `${ruleName(winner)} has won before`
    return { rule, name, origin, verdict: 'unreached', reason, failed: undefined }
  }
  const failed = firstFailure(route, head)
  if (failed !== undefined)
    return { rule, name, origin, verdict: 'fails', reason: failureText(failed), failed }
  const reason = route.match === undefined ? 'it has no conditions' : 'all its conditions hold'
  return { rule, name, origin, verdict: 'wins', reason, failed: undefined }
}

export function ruleName(route: RouteSpec): string {
  return route.path === '' ? route.name || 'default' : route.path
}

/** `header end-user wants exactly "jason", the request has none`. */
function failureText({ subject, wanted, seen }: FailedCondition): string {
  return `${subject} wants ${wanted}, the request has ${seen === undefined ? 'none' : `"${seen}"`}`
}

/** The virtual host of an authority: exact name, the longest wildcard, then `*`. */
export function explainHost(table: RouteTableSpec, authority: string): HostVerdict | undefined {
  const name = authority.toLowerCase().replace(/:\d*$/, '')
  const all = table.virtualHosts.flatMap((virtualHost) =>
    virtualHost.domains.map((domain) => ({ virtualHost, domain })),
  )
  const exact = all.find(({ domain }) => domain === name && !domain.startsWith('*'))
  if (exact !== undefined) return { ...exact, how: 'exact' }
  const wildcards = all
    .filter(({ domain }) => domain.startsWith('*') && domain !== '*')
    .filter(({ domain }) => name.endsWith(domain.slice(1)) && name.length >= domain.length)
    .sort((a, b) => b.domain.length - a.domain.length)
  if (wildcards[0] !== undefined) return { ...wildcards[0], how: 'wildcard' }
  const any = all.find(({ domain }) => domain === '*')
  return any === undefined ? undefined : { ...any, how: 'any' }
}
