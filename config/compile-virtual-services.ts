/** The VirtualServices a sidecar follows, in the order in which they win, delegates put in place. */
import type { Client } from './compile-client.ts'
import { delegated } from './compile-delegates.ts'
import { isExported, resolveHost } from './compile-names.ts'
import type { HttpRule, VirtualService } from './compile-rules.ts'
import type { HttpRoute } from './kinds.ts'

export interface MeshRoutes {
  readonly source: VirtualService
  /** Resolved. */
  readonly hosts: readonly string[]
  readonly http: readonly HttpRule[]
}

/** Given oldest first. Private ones come first, then those exported to the client, then public ones. */
export function meshRoutes(all: readonly VirtualService[], client: Client): MeshRoutes[] {
  const byName = new Map(all.map((one) => [`${one.namespace}/${one.name}`, one]))
  const groups: [MeshRoutes[], MeshRoutes[], MeshRoutes[]] = [[], [], []]
  for (const source of all) {
    const { hosts, gateways } = source.spec
    if (hosts.length === 0 || !gateways.includes('mesh')) continue
    const exports = exportsOf(source, client)
    if (!isExported(exports, source.namespace, client.namespace)) continue
    groups[rank(exports, source, client)].push({
      source,
      hosts: hosts.map((host) => resolveHost(host, source.namespace, client.domain)),
      http: source.spec.http.flatMap((route, index) => rules(source, route, index, byName, client)),
    })
  }
  return groups.flat()
}

function exportsOf(source: VirtualService, client: Client): readonly string[] {
  const { exportTo } = source.spec
  return exportTo.length === 0 ? client.mesh.defaultVirtualServiceExportTo : exportTo
}

function rank(exports: readonly string[], source: VirtualService, client: Client): 0 | 1 | 2 {
  if (exports.includes('*')) return 2
  return source.namespace === client.namespace ? 0 : 1
}

function rules(
  source: VirtualService,
  route: HttpRoute,
  index: number,
  byName: ReadonlyMap<string, VirtualService>,
  client: Client,
): HttpRule[] {
  const rule = ruleOf(source, route, index)
  if (route.delegate === undefined) return [rule]
  const { name } = route.delegate
  const namespace = route.delegate.namespace || source.namespace
  const leaf = byName.get(`${namespace}/${name}`)
  const missing = `its delegate, VirtualService ${namespace}/${name},`
  if (leaf === undefined || leaf.spec.hosts.length > 0)
    return [{ ...rule, broken: `${missing} does not exist (or has hosts of its own)` }]
  if (!isExported(exportsOf(leaf, client), leaf.namespace, source.namespace))
    return [{ ...rule, broken: `${missing} is not exported to namespace ${source.namespace}` }]
  return leaf.spec.http.map((inner, at) => delegated(rule, ruleOf(leaf, inner, at)))
}

function ruleOf(source: VirtualService, route: HttpRoute, index: number): HttpRule {
  const label = `http[${index}]`
  const path = ['spec', 'http', index]
  const blocks = route.match.map((match, at) => ({
    match,
    source,
    path: [...path, 'match', at],
    label: `${label}.match[${at}]`,
  }))
  return { source, path, label, route, blocks, broken: undefined }
}
