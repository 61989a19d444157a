/**
 * Rewriting of path and authority before a request goes on (Istio HTTPRewrite; istio-observed 28,
 * 30). The query always stays. What was before is told upstream in x-envoy-original-*.
 */
import type { RewriteSpec, StringMatchSpec } from '../../config/snapshot.ts'
import type { RequestHead } from '../http/head.ts'
import { wireText } from '../http/wire-text.ts'
import { RegexReplacer } from './regex-replacer.ts'

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
    if (this.pattern !== undefined) return this.pattern.apply(target) ?? target
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

/** RE2 GlobalReplace over the path. */
class PatternRewrite {
  private readonly replacer: RegexReplacer

  constructor(spec: { readonly match: string; readonly rewrite: string }) {
    this.replacer = new RegexReplacer(spec.match, replacementParts(wireText(spec.rewrite)))
  }

  /** Undefined when the request's work is used up (filters/regex.ts): it must be refused. */
  apply(target: string): string | undefined {
    const question = target.indexOf('?')
    const path = question < 0 ? target : target.slice(0, question)
    const changed = this.replacer.replaceAll(path)
    if (changed === undefined || question < 0) return changed
    return changed + target.slice(question)
  }
}

/** `\0` to `\9` are groups, a doubled backslash is one. */
function replacementParts(rewrite: string): Array<string | number> {
  return rewrite
    .split(/\\([0-9\\])/)
    .map((part, index) => (index % 2 === 0 || part === '\\' ? part : Number(part)))
}
