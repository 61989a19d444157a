/**
 * Rewriting of path and authority before a request goes on (Istio HTTPRewrite; istio-observed 28,
 * 30). The query always stays. What was before is told upstream in x-envoy-original-*.
 */
import type { RE2JS } from 're2js'
import type { RewriteSpec, StringMatchSpec } from '../../config/snapshot.ts'
import type { RequestHead } from '../http/head.ts'
import { wireText } from '../http/wire-text.ts'
import { compileRegex } from './regex.ts'

/** What the route's uri condition matched: decides how much of the path a new uri replaces. */
export class MatchedPath {
  /** Length of the prefix that is replaced, or -1: the whole path. */
  private readonly prefixLength: number

  constructor(uri: StringMatchSpec | undefined) {
    if (uri === undefined || uri.kind === 'present') this.prefixLength = 1
    else this.prefixLength = uri.kind === 'prefix' ? wireText(uri.value).length : -1
  }

  /** `target` with what was matched replaced by `text`; plain text, no care for slashes. */
  replace(target: string, text: string): string {
    if (this.prefixLength >= 0) return text + target.slice(this.prefixLength)
    const query = target.indexOf('?')
    return query < 0 ? text : text + target.slice(query)
  }
}

export class Rewrite {
  private readonly matched: MatchedPath
  private readonly uri: string | undefined
  private readonly pattern: PatternRewrite | undefined
  private readonly authority: string | undefined

  /** `authority`: what header operations ask for; the rewrite's own goes before. */
  constructor(spec: RewriteSpec | undefined, matched: MatchedPath, authority?: string) {
    this.matched = matched
    this.uri = spec?.uri === undefined ? undefined : wireText(spec.uri)
    this.pattern = spec?.uriRegex && new PatternRewrite(spec.uriRegex)
    const wanted = spec?.authority ?? authority
    this.authority = wanted === undefined ? undefined : wireText(wanted)
  }

  /** The target with which the request goes on. */
  target(target: string): string {
    if (this.pattern !== undefined) return this.pattern.apply(target)
    return this.uri === undefined ? target : this.matched.replace(target, this.uri)
  }

  apply(head: RequestHead): void {
    if (this.uri !== undefined || this.pattern !== undefined) {
      head.headers.set('x-envoy-original-path', head.target)
      head.target = this.target(head.target)
    }
    if (this.authority !== undefined) {
      head.headers.set('x-envoy-original-host', head.authority)
      head.setAuthority(this.authority)
    }
  }
}

/** RE2 GlobalReplace over the path: every hit, but no empty one right behind another. */
class PatternRewrite {
  private readonly pattern: RE2JS
  /** Texts, and numbers of groups. */
  private readonly parts: ReadonlyArray<string | number>

  constructor(spec: { readonly match: string; readonly rewrite: string }) {
    this.pattern = compileRegex(spec.match)
    this.parts = replacementParts(wireText(spec.rewrite))
  }

  apply(target: string): string {
    const question = target.indexOf('?')
    const path = question < 0 ? target : target.slice(0, question)
    const groups = this.pattern.groupCount()
    let lastEnd = -1
    const changed = this.pattern.matcher(path).replaceAll((...found: unknown[]) => {
      const hit = String(found[0])
      const at = Number(found[groups + 1])
      if (hit === '' && at === lastEnd) return ''
      lastEnd = at + hit.length
      return this.parts
        .map((part) => (typeof part === 'string' ? part : (found[part] ?? '')))
        .join('')
    })
    return question < 0 ? changed : changed + target.slice(question)
  }
}

/** `\0` to `\9` are groups, a doubled backslash is one. */
function replacementParts(rewrite: string): Array<string | number> {
  return rewrite
    .split(/\\([0-9\\])/)
    .map((part, index) => (index % 2 === 0 || part === '\\' ? part : Number(part)))
}
