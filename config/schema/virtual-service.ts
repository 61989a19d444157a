/** VirtualService: which requests and connections go where. */
import type { HttpRoute, L4Match, TlsRoute, VirtualServiceSpec } from '../kinds.ts'
import type { Path } from '../resource.ts'
import { list } from './collections.ts'
import { addressOrCidr, isAddress, wildcardDomain } from './formats.ts'
import { hostCovers } from './hosts.ts'
import { httpRoute } from './http-route.ts'
import { ignored, need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { checkWeights, l4Destination } from './route-destination.ts'
import { string, type Type, text } from './scalars.ts'
import { checkExportTo, exportTo } from './shared.ts'
import { anyPort, gatewayNames, isClaimKey, namespaceName, sourceLabels } from './string-match.ts'

const l4Match = {
  destinationSubnets: or(list(string(addressOrCidr)), []),
  port: or(anyPort, 0),
  sourceLabels: or(sourceLabels, {}),
  gateways: or(gatewayNames, []),
  sourceNamespace: or(namespaceName, ''),
}

function sniHost(host: string): Verdict {
  if (!isAddress(host)) return hostName(host)
  return {
    warning: true,
    message: `"${host}" is an address: clients send host names as SNI`,
    hint: 'Match by destinationSubnets instead.',
  }
}

const tlsRoute: Type = object<TlsRoute>(
  {
    match: need(
      list(
        object({
          ...l4Match,
          sniHosts: need(list(string(sniHost)), 'at least one SNI host is needed'),
        }),
      ),
      'at least one match is needed',
    ),
    route: or(list(l4Destination), []),
  },
  {
    rules: [
      (value, place) => {
        if (place.has('match') && place.count('match') === 0)
          place.error(['match'], 'at least one match is needed')
        checkL4Route(value, place)
      },
    ],
  },
)

const tcpRoute: Type = object<{ match: readonly L4Match[]; route: TlsRoute['route'] }>(
  {
    match: or(list(object({ ...l4Match, sourceSubnet: ignored(text) })), []),
    route: or(list(l4Destination), []),
  },
  { rules: [checkL4Route] },
)

function checkL4Route(value: { route: TlsRoute['route'] }, place: Place): void {
  if (place.count('route') === 0) place.error(['route'], 'a route with a destination is needed')
  checkWeights(value.route, place)
}

/** Gateways between clusters route by names such as `outbound_.80_.v1_.reviews.prod.svc.cluster.local`. */
const BETWEEN_CLUSTERS = /^outbound_\.\d{1,5}_\.[-a-zA-Z0-9]*_\./

function hostName(host: string): Verdict {
  if (BETWEEN_CLUSTERS.test(host)) return wildcardDomain(host.replace(BETWEEN_CLUSTERS, ''))
  return isAddress(host) ? undefined : wildcardDomain(host)
}

/** `namespace`: that of the object, which exportTo can name by `.`. */
export function virtualService(namespace: string): Type {
  return object<VirtualServiceSpec>(fields, {
    rules: [
      ...rules,
      (spec, place) => checkExportTo(spec.exportTo, namespace, place, { none: false }),
    ],
    into: (spec) => (spec.gateways.length === 0 ? { ...spec, gateways: ['mesh'] } : spec),
  })
}

const fields = {
  hosts: or(list(string(hostName)), []),
  gateways: or(gatewayNames, []),
  exportTo: or(exportTo, []),
  http: or(list(httpRoute), []),
  tls: or(list(tlsRoute), []),
  tcp: or(list(tcpRoute), []),
}

const rules = [checkParts, checkHosts, checkDelegation, checkSni, checkClaims]

function checkParts(_: VirtualServiceSpec, place: Place): void {
  if (!['http', 'tls', 'tcp'].some((name) => place.has(name)))
    place.error([], 'at least one of http, tls and tcp is needed')
}

function isForMesh(spec: VirtualServiceSpec): boolean {
  return spec.gateways.length === 0 || spec.gateways.includes('mesh')
}

/** Equal, covered by an earlier wildcard, or two wildcards with common names. */
function repeats(earlier: string, host: string): boolean {
  return hostCovers(earlier, host) || (earlier.startsWith('*') && hostCovers(host, earlier))
}

function checkHosts(spec: VirtualServiceSpec, place: Place): void {
  spec.hosts.forEach((host, index) => {
    if (host === '*' && isForMesh(spec))
      place.error(
        ['hosts', index],
        'the host * is not possible for sidecars',
        'Name the services, or bind the object to a gateway only.',
      )
    const first = spec.hosts.findIndex((other, at) => at < index && repeats(other, host))
    if (first !== -1)
      place.error(
        ['hosts', index],
        `"${host}" is already covered by "${spec.hosts[first]}" in this list`,
        'Remove one of them.',
      )
  })
}

/** An object without hosts is a part that other VirtualServices delegate to. */
function checkDelegation(spec: VirtualServiceSpec, place: Place): void {
  const isDelegate = place.count('hosts') === 0
  if (isDelegate)
    for (const name of ['gateways', 'tls', 'tcp'])
      if (place.has(name))
        place.error(
          [name],
          'is not possible in a VirtualService without hosts, which is a delegate',
          'Add hosts, or remove the field.',
        )
  spec.http.forEach((route, index) => {
    checkRouteRole(route, isDelegate, ['http', index], place)
  })
}

const ACTIONS = ['route', 'redirect', 'directResponse'] as const

function checkRouteRole(route: HttpRoute, isDelegate: boolean, at: Path, place: Place): void {
  const written = (name: string) => place.hasAt([...at, name])
  if (!written('delegate')) {
    const acts = ACTIONS.some((name) => written(name) && !place.emptyAt([...at, name]))
    if (!acts) place.error(at, 'one of route, redirect and directResponse is needed')
    return
  }
  if (isDelegate)
    place.error(
      [...at, 'delegate'],
      'a delegate cannot delegate again',
      'Move the rules up by one level.',
    )
  if (route.route.length > 0) place.error([...at, 'route'], 'cannot be combined with delegate')
  if (route.redirect !== undefined)
    place.error([...at, 'redirect'], 'cannot be combined with delegate')
}

function checkSni(spec: VirtualServiceSpec, place: Place): void {
  spec.tls.forEach((route, index) => {
    route.match?.forEach((match, block) => {
      const at = ['tls', index, 'match', block, 'sniHosts']
      if (match.sniHosts !== undefined && place.emptyAt(at))
        place.error(at, 'at least one SNI host is needed')
      match.sniHosts?.forEach((host, position) => {
        if (!isAddress(host) && !spec.hosts.some((known) => hostCovers(known, host)))
          place.error(
            [...at, position],
            `"${host}" is not covered by the hosts of this VirtualService`,
            'Add it to hosts.',
          )
      })
    })
  })
}

function checkClaims(spec: VirtualServiceSpec, place: Place): void {
  if (!isForMesh(spec)) return
  spec.http.forEach((route, index) => {
    route.match.forEach((match, block) => {
      for (const part of ['headers', 'withoutHeaders'] as const)
        for (const name of Object.keys(match[part]))
          if (isClaimKey(name))
            place.error(
              ['http', index, 'match', block, part, name],
              'claims can be matched at gateways only, and this object applies to sidecars',
            )
    })
  })
}
