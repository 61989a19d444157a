/** corsPolicy of a rule as the proxy answers browsers by it. */
import { stringMatchSpec } from './compile-matches.ts'
import { type HttpRule, placeOfField } from './compile-rules.ts'
import type { CorsSpec } from './snapshot.ts'

export function corsSpec(rule: HttpRule): CorsSpec | undefined {
  const policy = rule.route.corsPolicy
  if (policy === undefined) return undefined
  const { path: at, source } = placeOfField(rule, 'corsPolicy')
  const { allowHeaders, allowMethods, exposeHeaders, maxAgeMs } = policy
  return {
    allowOrigins: policy.allowOrigins.map((origin, index) =>
      stringMatchSpec(origin, false, source.at([...at, 'allowOrigins', index]).line),
    ),
    allowMethods: allowMethods.join(','),
    allowHeaders: allowHeaders.join(','),
    exposeHeaders: exposeHeaders.join(','),
    maxAge: maxAgeMs === undefined ? '' : String(maxAgeMs / 1000),
    allowCredentials: policy.allowCredentials,
    unmatchedPreflights: policy.unmatchedPreflights,
    origin: source.originAt(at),
  }
}
