/** The Location of a redirect (Istio HTTPRedirect; istio-observed 29): always absolute. */
import type { RedirectSpec } from '../../config/snapshot.ts'
import type { RequestHead } from '../http/head.ts'
import { wireText } from '../http/wire-text.ts'
import type { MatchedPath } from './rewrite.ts'

export class Redirect {
  readonly status: number
  private readonly spec: RedirectSpec
  private readonly matched: MatchedPath
  /** `` or `:8080`. */
  private readonly port: string

  /** `listenerPort`: the service port of the listener, for FROM_REQUEST_PORT. */
  constructor(spec: RedirectSpec, matched: MatchedPath, listenerPort: number) {
    this.status = spec.status
    this.spec = spec
    this.matched = matched
    const port = spec.port === 'FROM_REQUEST_PORT' ? listenerPort : spec.port
    this.port = typeof port === 'number' ? `:${port}` : ''
  }

  /** `scheme`: what the client used (routing/predicates.schemeOf); `head.target` canonical. */
  location(head: RequestHead, scheme: string): string {
    const final = this.spec.scheme ?? scheme
    const authority = this.spec.authority ?? this.requestHost(head.authority, scheme, final)
    const port = isDefaultPort(this.port, final) ? '' : this.port
    return `${final}://${wireText(authority)}${port}${this.target(head.target)}`
  }

  /** The request's own host, without a port that the redirect replaces or the scheme implies. */
  private requestHost(authority: string, scheme: string, final: string): string {
    const colon = authority.lastIndexOf(':')
    if (colon < 0 || colon < authority.lastIndexOf(']')) return authority
    const port = authority.slice(colon)
    const drop = this.port !== '' || isDefaultPort(port, scheme) || isDefaultPort(port, final)
    return drop ? authority.slice(0, colon) : authority
  }

  private target(target: string): string {
    const { uri, prefixRewrite } = this.spec
    if (uri !== undefined) {
      const query = target.indexOf('?')
      const text = wireText(uri)
      return uri.includes('?') || query < 0 ? text : text + target.slice(query)
    }
    if (prefixRewrite === undefined) return target
    return this.matched.replace(target, wireText(prefixRewrite))
  }
}

function isDefaultPort(port: string, scheme: string): boolean {
  return port === (scheme === 'https' ? ':443' : ':80')
}
