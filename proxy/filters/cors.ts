/**
 * Cross-origin requests of browsers (Istio CorsPolicy, as Envoy's filter does it): preflights are
 * answered here, replies to allowed origins say so. Whether a page may read a reply is the browser's to judge.
 */
import type { CorsSpec } from '../../config/snapshot.ts'
import { ResponseHead } from '../http/head.ts'
import type { Headers } from '../http/headers.ts'
import { wireText } from '../http/wire-text.ts'
import { Answered, Continue, type Filter, type FilterContext, type Verdict } from './filter.ts'

/** Whether a text is one that the rule means (routing/text-test.ts). */
export interface OriginTest {
  test(origin: string): boolean
}

export class CorsFilter implements Filter {
  private readonly spec: CorsSpec
  private readonly origins: readonly OriginTest[]
  private readonly anyOrigin: boolean
  private readonly exposed: string

  constructor(spec: CorsSpec, origins: readonly OriginTest[]) {
    this.spec = spec
    this.origins = origins
    // A condition that accepts the text `*` means every origin (Envoy).
    this.anyOrigin = origins.some((origin) => origin.test('*'))
    this.exposed = wireText(spec.exposeHeaders)
  }

  onRequest(context: FilterContext): Verdict {
    const { headers, method } = context.stream.head
    const origin = headers.get('origin')
    if (origin === undefined || origin === '') return Continue
    if (this.allows(origin)) context.allowedOrigin = origin
    if (method !== 'OPTIONS') return Continue
    const wanted = headers.get('access-control-request-method')
    if (wanted === undefined || wanted === '') return Continue
    if (context.allowedOrigin === '' && this.spec.unmatchedPreflights === 'FORWARD') return Continue
    context.answerAsIs(this.preflight(context, headers, wanted), 'cors_response')
    return Answered
  }

  onReply({ allowedOrigin }: FilterContext, { headers }: ResponseHead): void {
    if (allowedOrigin === '') return
    headers.set('access-control-allow-origin', allowedOrigin)
    if (this.spec.allowCredentials) headers.set('access-control-allow-credentials', 'true')
    if (this.exposed !== '') headers.set('access-control-expose-headers', this.exposed)
  }

  private allows(origin: string): boolean {
    if (this.anyOrigin) return true
    for (const each of this.origins) if (each.test(origin)) return true
    return false
  }

  /** Other origins hear what is possible, but not that they may: browsers refuse then. */
  private preflight(context: FilterContext, asked: Headers, method: string): ResponseHead {
    const { allowCredentials, allowHeaders, allowMethods, maxAge } = this.spec
    const head = new ResponseHead(200)
    const { headers } = head
    const { allowedOrigin } = context
    if (allowedOrigin !== '') headers.append('access-control-allow-origin', allowedOrigin)
    if (allowCredentials) headers.append('access-control-allow-credentials', 'true')
    if (allowMethods !== '')
      headers.append('access-control-allow-methods', allowMethods === '*' ? method : allowMethods)
    const named = allowHeaders === '*' ? asked.get('access-control-request-headers') : allowHeaders
    if (named !== undefined && named !== '')
      headers.append('access-control-allow-headers', allowHeaders === '*' ? named : wireText(named))
    if (maxAge !== '') headers.append('access-control-max-age', maxAge)
    if (allowedOrigin !== '' && this.exposed !== '')
      headers.append('access-control-expose-headers', this.exposed)
    headers.append('date', new Date().toUTCString())
    return head
  }
}
