/** A rule that names a delegate, merged with one rule of it: matches multiply, the delegate's fields win. */
import type { HttpBlock, HttpRule } from './compile-rules.ts'
import type { HttpMatch, HttpRoute, StringMatch } from './kinds.ts'

/** The leaf's rule with what the root adds; broken when one of its blocks fits no block of the root. */
export function delegated(root: HttpRule, leaf: HttpRule): HttpRule {
  const merged = {
    ...leaf,
    route: mergeRoutes(root.route, leaf.route),
    filledBy: filling(root, leaf),
  }
  if (leaf.route.delegate !== undefined)
    return { ...merged, broken: 'a delegate cannot delegate again' }
  if (root.blocks.length === 0) return merged
  if (leaf.blocks.length === 0) return { ...merged, blocks: root.blocks }
  const blocks: HttpBlock[] = []
  for (const inner of leaf.blocks) {
    const pairs = root.blocks
      .filter((outer) => conflict(outer.match, inner.match) === undefined)
      .map((outer) => ({ ...inner, match: mergeMatches(outer.match, inner.match) }))
    if (pairs.length === 0) {
      const why = conflict(root.blocks[0]!.match, inner.match)!
      const { file } = root.source.origin
      const { line } = root.source.at(root.path)
      const broken = `${inner.label} contradicts ${root.label} of ${root.source.name} (${file}:${line}): ${why}`
      return { ...merged, broken }
    }
    blocks.push(...pairs)
  }
  return { ...merged, blocks }
}

/** The root's fields that the leaf does not write. */
function filling(root: HttpRule, leaf: HttpRule): NonNullable<HttpRule['filledBy']> {
  const written = leaf.route as unknown as Record<string, unknown>
  const fields = Object.keys(root.route).filter((field) => written[field] === undefined)
  return { source: root.source, path: root.path, fields: new Set(fields) }
}

/** Each field as a whole; names are joined. */
function mergeRoutes(root: HttpRoute, leaf: HttpRoute): HttpRoute {
  const { delegate: _delegate, match: _match, route: _route, ...outer } = root
  const written = Object.fromEntries(
    Object.entries(leaf).filter(([, value]) => value !== undefined),
  )
  const name = [root.name, leaf.name].filter((part) => part !== '').join('-')
  return { ...outer, ...(written as unknown as HttpRoute), name }
}

function mergeMatches(outer: HttpMatch, inner: HttpMatch): HttpMatch {
  const written = Object.fromEntries(
    Object.entries(inner).filter(([, value]) => value !== undefined),
  ) as unknown as HttpMatch
  return {
    ...outer,
    ...written,
    name: [outer.name, inner.name].filter((part) => part !== '').join('-'),
    headers: { ...outer.headers, ...inner.headers },
    withoutHeaders: { ...outer.withoutHeaders, ...inner.withoutHeaders },
    queryParams: { ...outer.queryParams, ...inner.queryParams },
    sourceLabels: { ...outer.sourceLabels, ...inner.sourceLabels },
    port: inner.port === 0 ? outer.port : inner.port,
    sourceNamespace: inner.sourceNamespace === '' ? outer.sourceNamespace : inner.sourceNamespace,
    gateways: inner.gateways.length === 0 ? outer.gateways : inner.gateways,
  }
}

/** Why two blocks cannot hold together in a delegation, as Istio judges it. */
export function conflict(outer: HttpMatch, inner: HttpMatch): string | undefined {
  if (outer.ignoreUriCase !== inner.ignoreUriCase) return 'ignoreUriCase differs'
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const)
    if (contradict(outer[field], inner[field])) return `${field} does not extend the root's`
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const)
    for (const name of Object.keys(inner[field]))
      if (contradict(outer[field][name], inner[field][name]))
        return `${field} "${name}" does not extend the root's`
  if (outer.port !== 0 && inner.port !== 0 && outer.port !== inner.port) return 'port differs'
  if (outer.sourceNamespace !== '' && inner.sourceNamespace !== outer.sourceNamespace)
    return 'sourceNamespace differs'
  for (const [label, value] of Object.entries(inner.sourceLabels))
    if ((outer.sourceLabels[label] ?? value) !== value) return `sourceLabels "${label}" differs`
  if (outer.gateways.length > 0 && !inner.gateways.every((name) => outer.gateways.includes(name)))
    return "gateways are not among the root's"
  return undefined
}

/** The inner condition must lie inside the outer one; regular expressions are never compared. */
function contradict(outer: StringMatch | undefined, inner: StringMatch | undefined): boolean {
  if (outer === undefined || inner === undefined) return false
  if ('present' in outer || 'present' in inner) return false
  if ('regex' in outer || 'regex' in inner) return true
  if ('exact' in outer) return !('exact' in inner) || inner.exact !== outer.exact
  const value = 'exact' in inner ? inner.exact : inner.prefix
  return !value.startsWith(outer.prefix)
}
