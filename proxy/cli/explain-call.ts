/** The whole explanation of one call from one workload, as data: what text and JSON are made of. */
import { nearest } from '../../config/diagnostics.ts'
import type { Origin, RouteSpec, Snapshot } from '../../config/snapshot.ts'
import { canonicalTarget } from '../http/path.ts'
import { explainHost, explainRoute, type RuleVerdict } from '../routing/explain.ts'
import {
  type DestinationOutcome,
  explainDestinations,
  explainOutcome,
  type Outcome,
} from '../routing/explain-outcome.ts'
import { explainOpaque, findListener } from './explain-listener.ts'
import type { AskedRequest } from './explain-request.ts'

export interface CallExplanation {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly authority: string
    readonly sent: string
    /** Canonical: what rules see; `` when the proxy refuses the path. */
    readonly target: string
    readonly layer: 'http' | 'tls' | 'tcp'
  }
  readonly listener: {
    readonly how: string
    readonly protocol: string | undefined
    readonly origin: Origin | undefined
  }
  /** Undefined: no virtual host, or not HTTP. */
  readonly host:
    | {
        readonly name: string
        readonly domain: string
        readonly how: 'exact' | 'wildcard' | 'any'
        readonly origin: Origin
      }
    | undefined
  readonly rules: readonly RuleVerdict[]
  readonly winner:
    | { readonly rule: string; readonly name: string; readonly origin: Origin }
    | undefined
  readonly outcome: Outcome | PlainOutcome
}

export type PlainOutcome =
  | { readonly kind: 'tcp'; readonly destinations: readonly DestinationOutcome[] }
  /** To the address that was called, as if there were no proxy. */
  | {
      readonly kind: 'passthrough'
      readonly why: string
      /** What may have been meant, or ``. */
      readonly hint: string
      readonly origin: Origin | undefined
    }
  /** `status` 0: the connection is closed. */
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly reason: string
      readonly why: string
      readonly hint: string
      readonly origin: Origin | undefined
    }

type Conclusion = Omit<CallExplanation, 'request' | 'listener'>

export function explainCall(snapshot: Snapshot, asked: AskedRequest): CallExplanation {
  const { head, scheme, host, port } = asked
  const found = findListener(snapshot, host, port)
  const { listener } = found
  const isHttp = scheme === 'http' && (listener === undefined || listener.http !== undefined)
  const sent = head.target
  const url = `${scheme}://${host}:${port}${scheme === 'tcp' ? '' : sent}`
  const target = canonicalTarget(sent, snapshot.mesh.pathNormalization)
  const call: Call = { snapshot, asked, found }
  return {
    request: {
      method: head.method,
      url,
      authority: head.authority,
      sent,
      target,
      layer: isHttp ? 'http' : scheme === 'https' ? 'tls' : 'tcp',
    },
    listener: {
      how: found.how,
      protocol: listener?.protocol,
      // A listener for every address belongs to all services of its port.
      origin: listener?.addresses.length === 0 ? undefined : listener?.origin,
    },
    ...(isHttp ? concludeHttp(call, target) : concludeOpaque(call)),
  }
}

interface Call {
  readonly snapshot: Snapshot
  readonly asked: AskedRequest
  readonly found: ReturnType<typeof findListener>
}

const nothing = { host: undefined, rules: [], winner: undefined }

function concludeHttp(call: Call, target: string): Conclusion {
  const { snapshot, asked, found } = call
  const { head, port } = asked
  if (target === '') return { ...nothing, outcome: refusedPath() }
  head.target = target
  const table = found.listener?.http
  const explained = table && explainRoute(table, head)
  if (explained?.host === undefined) return { ...nothing, outcome: unknownDestination(call, 502) }
  const { rules, winner, host: verdict } = explained
  const { name, origin } = verdict.virtualHost
  const host = { name, domain: verdict.domain, how: verdict.how, origin }
  if (winner === undefined) return { host, rules, winner, outcome: noRule(origin) }
  const outcome = explainOutcome(winner, head, port, snapshot)
  return { host, rules, winner: winnerOf(winner, rules), outcome }
}

function winnerOf(route: RouteSpec, rules: readonly RuleVerdict[]): CallExplanation['winner'] {
  const rule = rules.find(({ verdict }) => verdict === 'wins')?.rule ?? route.path
  return { rule, name: route.name, origin: route.origin }
}

function concludeOpaque(call: Call): Conclusion {
  const { snapshot, asked, found } = call
  if (found.listener === undefined) return { ...nothing, outcome: unknownDestination(call, 0) }
  const address = found.address || (found.listener.addresses[0] ?? '')
  const serverName = asked.scheme === 'https' ? asked.host.toLowerCase() : undefined
  const verdicts = explainOpaque(found.listener, address, serverName)
  const rules = verdicts.map(
    ({ rule, route, verdict, reason }): RuleVerdict => ({
      rule,
      name: '',
      origin: route.origin,
      verdict,
      reason,
      failed: undefined,
    }),
  )
  const won = verdicts.find(({ verdict }) => verdict === 'wins')
  if (won === undefined) return { ...nothing, rules, outcome: unknownDestination(call, 0) }
  return {
    host: undefined,
    rules,
    winner: { rule: won.rule, name: '', origin: won.route.origin },
    outcome: { kind: 'tcp', destinations: explainDestinations(won.route.destinations, snapshot) },
  }
}

function refusedPath(): PlainOutcome {
  const why = 'the path holds %00'
  return { kind: 'refused', status: 400, reason: 'bad_request', why, hint: '', origin: undefined }
}

function noRule(origin: Origin): PlainOutcome {
  const why = 'the host is known, but no rule matches the request'
  return { kind: 'refused', status: 404, reason: 'route_not_found', why, hint: '', origin }
}

/** What the outbound policy makes of a destination that no configuration knows. */
function unknownDestination(call: Call, status: number): PlainOutcome {
  const { asked, found } = call
  const { mode, origin } = call.snapshot.outbound.policy
  if (found.endpoint) {
    const why = `${found.address} is the address of a known Pod`
    return { kind: 'passthrough', why, hint: '', origin: undefined }
  }
  const what = status === 0 ? `${asked.host}:${asked.port}` : asked.head.authority
  const policy = `the outbound policy is ${mode}${origin === undefined ? ', the default' : ''}`
  const why = `${what} is unknown, and ${policy}`
  const hint = meantInstead(call)
  if (mode === 'ALLOW_ANY') return { kind: 'passthrough', why, hint, origin }
  const more = `${why}: a ServiceEntry would allow it`
  return { kind: 'refused', status, reason: 'unknown_destination', why: more, hint, origin }
}

/** The same host on another port, or a host of this port whose name is close. */
function meantInstead({ snapshot, asked, found }: Call): string {
  const ports = new Set<number>()
  for (const { addresses, http, port } of snapshot.outbound.listeners)
    if (http !== undefined && addresses.length === 0)
      if (explainHost(http, asked.host)?.how === 'exact') ports.add(port)
  if (ports.size > 0) {
    const [first] = ports
    const known = `${asked.host} is known on port ${[...ports].join(', ')}`
    return `${known}: did you mean http://${asked.host}:${first}?`
  }
  const names = found.listener?.http?.virtualHosts.flatMap(({ domains }) => domains) ?? []
  const guess = nearest(asked.host.toLowerCase(), names)
  return guess === undefined ? '' : `Did you mean ${guess}?`
}
