/** Conditions of a match block: those decided now, for this workload and port, and those left to requests. */
import type { Client } from './compile-client.ts'
import type { Labels } from './compile-names.ts'
import type { HttpBlock } from './compile-rules.ts'
import type { StringMatch } from './kinds.ts'
import type { NamedMatchSpec, RouteMatchSpec, StringMatchSpec } from './snapshot.ts'

interface StaticConditions {
  readonly port: number
  readonly gateways: readonly string[]
  readonly sourceLabels: Labels
  readonly sourceNamespace: string
}

/**
 * Why a block can never apply to this client on this port; undefined: it can. In HTTP blocks
 * `gateways` switches the source conditions off, for TLS and TCP all hold together.
 */
export function staticMiss(
  match: StaticConditions,
  port: number,
  client: Client,
  layer: 'http' | 'l4',
): string | undefined {
  const { gateways, sourceNamespace, sourceLabels } = match
  if (match.port !== 0 && match.port !== port)
    return `it is for port ${match.port}, this is port ${port}`
  if (gateways.length > 0) {
    if (!gateways.includes('mesh')) return `it is for ${gatewayText(gateways)}, not for the mesh`
    if (layer === 'http') return undefined
  }
  if (sourceNamespace !== '' && sourceNamespace !== client.namespace)
    return `it is for callers in namespace ${sourceNamespace}, this workload is in ${client.namespace}`
  for (const [label, value] of Object.entries(sourceLabels)) {
    const own = client.labels[label]
    if (own === value) continue
    const has = own === undefined ? `has no label ${label}` : `has ${label}=${own}`
    return `it is for callers with ${label}=${value}, this workload ${has}`
  }
  return undefined
}

function gatewayText(gateways: readonly string[]): string {
  return `gateway${gateways.length > 1 ? 's' : ''} ${gateways.join(', ')}`
}

/** Undefined: the block matches every request. */
export function requestMatch({ match, source, path }: HttpBlock): RouteMatchSpec | undefined {
  const line = (field: string, ...more: string[]) => source.at([...path, field, ...more]).line
  const one = (field: 'uri' | 'scheme' | 'method' | 'authority') => {
    const written = match[field]
    if (written === undefined || 'present' in written) return undefined
    return stringMatchSpec(written, field === 'uri' && match.ignoreUriCase, line(field))
  }
  const many = (field: 'headers' | 'withoutHeaders' | 'queryParams'): NamedMatchSpec[] =>
    Object.entries(match[field]).map(([name, written]) => ({
      name: field === 'queryParams' ? name : name.toLowerCase(),
      match: stringMatchSpec(written, false, line(field, name)),
    }))
  const spec: RouteMatchSpec = {
    uri: one('uri'),
    scheme: one('scheme'),
    method: one('method'),
    authority: one('authority'),
    headers: many('headers'),
    withoutHeaders: many('withoutHeaders'),
    queryParams: many('queryParams'),
  }
  return isEmpty(spec) ? undefined : spec
}

export function stringMatchSpec(
  written: StringMatch,
  ignoreCase: boolean,
  line: number,
): StringMatchSpec {
  if ('exact' in written) return { kind: 'exact', value: written.exact, ignoreCase, line }
  if ('prefix' in written) return { kind: 'prefix', value: written.prefix, ignoreCase, line }
  if ('regex' in written && written.regex !== '*')
    return { kind: 'regex', value: written.regex, ignoreCase: false, line }
  return { kind: 'present', value: '', ignoreCase: false, line }
}

function isEmpty(spec: RouteMatchSpec): boolean {
  return spec.uri === undefined && hasOnlyUri(spec)
}

function hasOnlyUri(spec: RouteMatchSpec): boolean {
  const { scheme, method, authority, headers, withoutHeaders, queryParams } = spec
  const single = scheme === undefined && method === undefined && authority === undefined
  return single && headers.length + withoutHeaders.length + queryParams.length === 0
}

/** True when nothing after it can be reached. */
export function isCatchAll(spec: RouteMatchSpec | undefined): boolean {
  if (spec === undefined) return true
  if (spec.uri === undefined || !hasOnlyUri(spec)) return false
  const { kind, value } = spec.uri
  return kind === 'prefix' ? value === '/' || value === '' : kind === 'regex' && value === '.*'
}
