/** VirtualServices against each other (one host, two owners) and against themselves (dead rules). */
import { compareText } from './diagnostics.ts'
import type { HttpMatch, L4Match, StringMatch, VirtualServiceSpec } from './kinds.ts'
import { fullHost, type MeshIndex, type Of, originText } from './mesh-index.ts'

type VirtualService = Of<'VirtualService'>

export function lintRoutes(index: MeshIndex): void {
  const services = index.of('VirtualService')
  lintSharedHosts(services, index)
  for (const service of services) {
    const spec: VirtualServiceSpec = service.spec
    lintRules(service, 'http', spec.http, coversHttp, isCatchAll, index)
    lintRules(service, 'tls', spec.tls, coversL4, () => false, index)
    lintRules(service, 'tcp', spec.tcp, coversL4, isEmptyL4, index)
  }
}

// --- one host, two VirtualServices ------------------------------------------------------------------
function lintSharedHosts(services: readonly VirtualService[], index: MeshIndex): void {
  const byHost = new Map<string, VirtualService[]>()
  for (const service of services) {
    if (!service.spec.gateways.includes('mesh')) continue
    for (const host of new Set(
      service.spec.hosts.map((name) => fullHost(name, service.namespace)),
    )) {
      const owners = byHost.get(host)
      if (owners === undefined) byHost.set(host, [service])
      else owners.push(service)
    }
  }
  for (const [host, owners] of byHost) {
    if (owners.length < 2) continue
    owners.sort(
      (a, b) =>
        a.created - b.created ||
        compareText(a.name, b.name) ||
        compareText(a.namespace, b.namespace),
    )
    for (const [position, service] of owners.entries())
      reportSharedHost(service, host, owners, position, index)
  }
}

function reportSharedHost(
  service: VirtualService,
  host: string,
  owners: readonly VirtualService[],
  position: number,
  index: MeshIndex,
): void {
  const rival = owners.find((other) => other !== service && meet(service, other, index))
  if (rival === undefined) return
  const at = service.spec.hosts.findIndex((name) => fullHost(name, service.namespace) === host)
  const named = `${rival.namespace}/${rival.name} (${originText(rival)})`
  const wins = owners.indexOf(rival) > position
  const message = wins
    ? `${host} is also a host of ${named}, which has no effect for it: this one is older or first by name`
    : `${host} is also a host of ${named}, which wins: the rules here have no effect for it`
  index.add(
    'error',
    'IST0109',
    service,
    ['spec', 'hosts', at],
    message,
    'Merge the rules into one VirtualService.',
  )
}

/** True when some namespace sees both. */
function meet(a: VirtualService, b: VirtualService, index: MeshIndex): boolean {
  const seenBy = (service: VirtualService): readonly string[] => {
    const { exportTo } = service.spec
    const entries =
      exportTo.length > 0 ? exportTo : (index.mesh?.defaultVirtualServiceExportTo ?? ['*'])
    return entries.map((entry) => (entry === '.' ? service.namespace : entry))
  }
  const left = seenBy(a)
  const right = seenBy(b)
  return (
    left.includes('*') || right.includes('*') || left.some((namespace) => right.includes(namespace))
  )
}

// --- rules that can never be reached ----------------------------------------------------------------
interface Rule<Match> {
  readonly match: readonly Match[]
}
interface Seen<Match> {
  readonly match: Match
  readonly rule: number
}

/** Comparing every block with all before it: beyond this many only a catch-all is looked for. */
const MAX_BLOCKS = 2_000

function lintRules<Match>(
  service: VirtualService,
  kind: 'http' | 'tls' | 'tcp',
  rules: ReadonlyArray<Rule<Match>>,
  covers: (general: Match, special: Match) => boolean,
  isEmpty: (match: Match) => boolean,
  index: MeshIndex,
): void {
  const seen: Seen<Match>[] = []
  let catchAll: number | undefined
  for (const [rule, { match }] of rules.entries()) {
    const path = ['spec', kind, rule]
    if (catchAll !== undefined) {
      const line = service.at(['spec', kind, catchAll]).line
      index.add(
        'warning',
        'IST0130',
        service,
        path,
        `is never used: ${kind}[${catchAll}] (line ${line}) already takes everything`,
        'Move the more general rule to the end.',
      )
      continue
    }
    let dead = 0
    for (const [block, condition] of match.entries()) {
      const earlier =
        seen.length > MAX_BLOCKS
          ? undefined
          : seen.find((before) => covers(before.match, condition))
      seen.push({ match: condition, rule })
      if (earlier === undefined) continue
      dead++
      const line = service.at(['spec', kind, earlier.rule]).line
      index.add(
        'info',
        'IST0131',
        service,
        [...path, 'match', block],
        `is never used: ${kind}[${earlier.rule}] (line ${line}) already takes these`,
        'Remove it, or move it before the more general one.',
      )
    }
    if (match.length > 0 && dead === match.length)
      index.add(
        'warning',
        'IST0130',
        service,
        path,
        'is never used: earlier rules take everything that it matches',
      )
    if (match.length === 0 || match.some(isEmpty)) catchAll = rule
  }
}

function isCatchAll(match: HttpMatch): boolean {
  const { uri } = match
  const anyPath =
    uri === undefined || ('prefix' in uri && (uri.prefix === '/' || uri.prefix === ''))
  return anyPath && conditionsBesideUri(match) === 0
}

function conditionsBesideUri(match: HttpMatch): number {
  const { scheme, method, authority, headers, withoutHeaders, queryParams, sourceLabels } = match
  const single = [scheme, method, authority].filter((condition) => condition !== undefined).length
  const maps = [headers, withoutHeaders, queryParams, sourceLabels]
  const entries = maps.reduce((sum, map) => sum + Object.keys(map).length, 0)
  return (
    single +
    entries +
    match.gateways.length +
    (match.port > 0 ? 1 : 0) +
    (match.sourceNamespace === '' ? 0 : 1)
  )
}

function isEmptyL4(match: L4Match): boolean {
  return (
    match.port === 0 &&
    match.sourceNamespace === '' &&
    match.destinationSubnets.length +
      match.gateways.length +
      Object.keys(match.sourceLabels).length ===
      0
  )
}

function coversHttp(general: HttpMatch, special: HttpMatch): boolean {
  if (general.ignoreUriCase !== special.ignoreUriCase && general.uri !== undefined) return false
  return (
    coversText(general.uri, special.uri) &&
    coversText(general.method, special.method) &&
    coversText(general.scheme, special.scheme) &&
    coversText(general.authority, special.authority) &&
    coversAll(general.headers, special.headers) &&
    coversAll(general.queryParams, special.queryParams) &&
    sameEntries(general.withoutHeaders, special.withoutHeaders) &&
    coversClient(general, special)
  )
}

function coversL4(
  general: L4Match & { sniHosts?: readonly string[] },
  special: L4Match & { sniHosts?: readonly string[] },
): boolean {
  const subnets =
    general.destinationSubnets.length === 0 ||
    (special.destinationSubnets.length > 0 &&
      special.destinationSubnets.every((subnet) => general.destinationSubnets.includes(subnet)))
  const names = (special.sniHosts ?? []).every((host) => (general.sniHosts ?? []).includes(host))
  return subnets && names && coversClient(general, special)
}

interface Client {
  readonly port: number
  readonly sourceLabels: Readonly<Record<string, string>>
  readonly sourceNamespace: string
  readonly gateways: readonly string[]
}

function coversClient(general: Client, special: Client): boolean {
  if (general.port !== 0 && general.port !== special.port) return false
  if (general.sourceNamespace !== '' && general.sourceNamespace !== special.sourceNamespace)
    return false
  for (const [name, value] of Object.entries(general.sourceLabels))
    if (special.sourceLabels[name] !== value) return false
  const [left, right] = [general.gateways, special.gateways]
  return left.length === 0
    ? right.length === 0
    : right.length > 0 && right.every((name) => left.includes(name))
}

function coversAll(
  general: Readonly<Record<string, StringMatch>>,
  special: Readonly<Record<string, StringMatch>>,
): boolean {
  return Object.entries(general).every(([name, match]) => {
    const other = special[name]
    return other !== undefined && coversText(match, other)
  })
}

function sameEntries(
  general: Readonly<Record<string, StringMatch>>,
  special: Readonly<Record<string, StringMatch>>,
): boolean {
  return Object.entries(general).every(([name, match]) => {
    const other = special[name]
    return other !== undefined && JSON.stringify(match) === JSON.stringify(other)
  })
}

function coversText(general: StringMatch | undefined, special: StringMatch | undefined): boolean {
  if (general === undefined) return true
  if (special === undefined) return false
  if ('present' in general) return true
  if ('present' in special) return false
  if ('regex' in general) return 'regex' in special && special.regex === general.regex
  if ('exact' in general) return 'exact' in special && special.exact === general.exact
  if ('exact' in special) return special.exact.startsWith(general.prefix)
  return 'prefix' in special && special.prefix.startsWith(general.prefix)
}
