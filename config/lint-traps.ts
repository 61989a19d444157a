/** What is right by the letter and surprises people: each trap is told where it is laid. */
import { conflict } from './compile-delegates.ts'
import { isExported } from './compile-names.ts'
import type { HttpRoute } from './kinds.ts'
import { fullHost, type MeshIndex, type Of, originText } from './mesh-index.ts'
import { isAddress } from './schema/formats.ts'

type VirtualService = Of<'VirtualService'>

export function lintTraps(index: MeshIndex): void {
  const byName = new Map(
    index.of('VirtualService').map((service) => [`${service.namespace}/${service.name}`, service]),
  )
  for (const service of index.of('VirtualService')) {
    if (service.spec.gateways.includes('mesh') && service.spec.hosts.length > 0)
      lintHosts(service, index)
    for (const [rule, route] of service.spec.http.entries()) {
      lintAuthority(service, rule, route, index)
      lintRetries(service, rule, route, index)
      lintDelegate(service, rule, route, byName, index)
    }
  }
  lintRivalRules(index)
}

/** A host without a service is known by its own name only, and on one port only. */
function lintHosts(service: VirtualService, index: MeshIndex): void {
  const { hosts } = service.spec
  const full = hosts.map((host) => fullHost(host, service.namespace))
  if (full.some((host) => host.includes('*') || index.targets(host).length > 0)) return
  if (index.hasRefused('Service') || index.hasRefused('ServiceEntry')) return
  for (const [position, host] of full.entries()) {
    if (isAddress(host)) continue
    const name = hosts[position] === host ? '' : `, as ${host} but not as ${hosts[position]}`
    const message = `there is no service "${host}" in these files: the rules answer on port 80 only${name}`
    const hint = 'Add a Service or ServiceEntry for it.'
    index.add('info', 'OUT-NOSERVICE', service, ['spec', 'hosts', position], message, hint)
  }
}

function lintAuthority(
  service: VirtualService,
  rule: number,
  route: HttpRoute,
  index: MeshIndex,
): void {
  for (const [block, { authority }] of route.match.entries()) {
    if (authority === undefined || !('exact' in authority)) continue
    if (/:\d+$/.test(authority.exact)) continue
    const path = ['spec', 'http', rule, 'match', block, 'authority']
    const message = `"${authority.exact}" is compared with the whole Host header: a request to ${authority.exact}:8080 does not match, nor one in other case`
    index.add(
      'info',
      'OUT-AUTHORITY',
      service,
      path,
      message,
      'Match hosts by `hosts`, or use a regex for both forms.',
    )
  }
}

/** Conditions that are allowed and cannot be met, with the reason. */
function neverMet(written: readonly string[]): Array<readonly [token: string, why: string]> {
  const found: Array<readonly [string, string]> = []
  for (const token of written)
    if (token === 'retriable-headers')
      found.push([
        token,
        'there is no field for the list of headers that it needs, in Istio neither',
      ])
    else if (token === 'http3-post-connect-failure') found.push([token, 'HTTP/3 is not spoken'])
    else if (token === 'retriable-status-codes' && !written.some((other) => /^\d+$/.test(other)))
      found.push([token, 'no status codes stand beside it'])
  return found
}

/** Conditions under which the request may already have been acted upon. */
const REPEATING = /^(5xx|gateway-error|reset|retriable-4xx|deadline-exceeded|internal|\d{3})$/
const UNSAFE = ['POST', 'PATCH']

function lintRetries(
  service: VirtualService,
  rule: number,
  route: HttpRoute,
  index: MeshIndex,
): void {
  const { retries } = route
  if (retries === undefined || retries.attempts <= 0) return
  const written = (retries.retryOn ?? '').split(',')
  for (const [token, why] of neverMet(written)) {
    const path = ['spec', 'http', rule, 'retries', 'retryOn']
    index.add('info', 'OUT-RETRYNEVER', service, path, `${token} never applies: ${why}`)
  }
  const repeating = written.filter((token) => REPEATING.test(token))
  if (repeating.length === 0 || onlySafeMethods(route)) return
  const message = `${repeating.join(', ')} also repeats POST requests, which may have been acted upon`
  const hint = 'Give POST a rule of its own without retries, if it must not happen twice.'
  index.add(
    'info',
    'OUT-RETRYPOST',
    service,
    ['spec', 'http', rule, 'retries', 'retryOn'],
    message,
    hint,
  )
}

function onlySafeMethods({ match }: HttpRoute): boolean {
  return (
    match.length > 0 &&
    match.every(
      ({ method }) => method !== undefined && 'exact' in method && !UNSAFE.includes(method.exact),
    )
  )
}

function lintDelegate(
  service: VirtualService,
  rule: number,
  route: HttpRoute,
  byName: ReadonlyMap<string, VirtualService>,
  index: MeshIndex,
): void {
  if (route.delegate === undefined) return
  const path = ['spec', 'http', rule, 'delegate']
  const name = `${route.delegate.namespace || service.namespace}/${route.delegate.name}`
  const delegate = byName.get(name)
  if (delegate === undefined) {
    if (index.hasRefused('VirtualService')) return
    const message = `there is no VirtualService ${name} in these files: the rule does not exist`
    index.add('warning', 'IST0101', service, path, message)
    return
  }
  if (delegate.spec.hosts.length > 0) {
    const message = `${name} (${originText(delegate)}) has hosts of its own: it cannot be delegated to`
    index.add('warning', 'IST0101', service, path, message, 'Remove its hosts.')
  } else if (!isExported(exportsOf(delegate, index), delegate.namespace, service.namespace)) {
    const message = `${name} (${originText(delegate)}) is not exported to namespace ${service.namespace}: the rule does not exist`
    index.add('warning', 'IST0101', service, path, message, 'Add the namespace to its exportTo.')
  } else lintDelegated(service, rule, route, delegate, index)
  const own = delegate.spec.http.findIndex(({ headers }) => headers !== undefined)
  if (route.headers === undefined || own === -1) return
  const { line } = delegate.at(['spec', 'http', own, 'headers'])
  const message = `are dropped where ${name} has its own (${delegate.origin.file}:${line})`
  index.add(
    'info',
    'OUT-DELEGATE',
    service,
    ['spec', 'http', rule, 'headers'],
    message,
    'Repeat them there.',
  )
}

function exportsOf({ spec }: VirtualService, index: MeshIndex): readonly string[] {
  return spec.exportTo.length > 0
    ? spec.exportTo
    : (index.mesh?.defaultVirtualServiceExportTo ?? ['*'])
}

/** A delegate's rule with a block that fits no block of the root's rule does not exist, as Istio merges. */
function lintDelegated(
  root: VirtualService,
  rule: number,
  { match: outer }: HttpRoute,
  delegate: VirtualService,
  index: MeshIndex,
): void {
  if (outer.length === 0) return
  const at = `http[${rule}] of ${root.namespace}/${root.name}`
  const place = `${root.origin.file}:${root.at(['spec', 'http', rule]).line}`
  for (const [leaf, { match }] of delegate.spec.http.entries()) {
    const block = match.findIndex((inner) =>
      outer.every((one) => conflict(one, inner) !== undefined),
    )
    if (block === -1) continue
    const message = `contradicts ${at} (${place}), which delegates to it: ${conflict(outer[0]!, match[block]!)}; the whole rule is never used there`
    const hint = 'Match inside of what the root matches, or leave the match out.'
    const path = ['spec', 'http', leaf, 'match', block]
    index.add('warning', 'IST0130', delegate, path, message, hint)
  }
}

/** Clients use the rule of their own namespace and then see nothing of that beside the service. */
function lintRivalRules(index: MeshIndex): void {
  const byHost = Map.groupBy(index.of('DestinationRule'), ({ spec, namespace }) =>
    fullHost(spec.host, namespace),
  )
  for (const [host, rules] of byHost) {
    const [target] = index.targets(host)
    if (rules.length < 2 || target === undefined) continue
    const home = target.resource.namespace
    const beside = rules.find((rule) => rule.namespace === home && rule.spec.subsets.length > 0)
    if (beside === undefined) continue
    for (const rule of rules) {
      if (rule.namespace === home) continue
      const has = new Set(rule.spec.subsets.map(({ name }) => name))
      const lost = beside.spec.subsets.map(({ name }) => name).filter((name) => !has.has(name))
      if (lost.length === 0) continue
      const message = `clients in ${rule.namespace} see this rule only: the subsets ${lost.join(', ')} of ${home}/${beside.name} (${originText(beside)}) do not exist for them`
      index.add(
        'info',
        'OUT-RULEHIDES',
        rule,
        ['spec', 'host'],
        message,
        'Repeat the subsets here.',
      )
    }
  }
}
