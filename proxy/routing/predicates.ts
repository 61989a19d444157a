/**
 * The conditions of one route on a request, compiled (Istio HTTPMatchRequest; istio-observed 16, 20,
 * 21). Hot: bench/micro/routing.bench.ts.
 */
import type { NamedMatchSpec, RouteMatchSpec } from '../../config/snapshot.ts'
import { forwardedScheme } from '../http/forwarded.ts'
import type { RequestHead } from '../http/head.ts'
import { wireText } from '../http/wire-text.ts'
import { TextTest } from './text-test.ts'

const noHeaders: readonly HeaderTest[] = []
const noParameters: readonly ParameterTest[] = []

/** All conditions of one match block; without any it accepts every path. */
export class RequestTest {
  private readonly uri: TextTest | undefined
  private readonly method: TextTest | undefined
  private readonly scheme: TextTest | undefined
  private readonly authority: TextTest | undefined
  private readonly headers: readonly HeaderTest[]
  private readonly parameters: readonly ParameterTest[]

  constructor(match: RouteMatchSpec | undefined) {
    this.uri =
      match?.uri === undefined || match.uri.kind === 'present' ? undefined : TextTest.of(match.uri)
    this.method = match?.method && TextTest.of(match.method)
    this.scheme = match?.scheme && TextTest.of(match.scheme)
    this.authority = match?.authority && TextTest.of(match.authority)
    this.headers =
      match === undefined
        ? noHeaders
        : [
            ...match.headers.map((each) => new HeaderTest(each, false)),
            ...match.withoutHeaders.map((each) => new HeaderTest(each, true)),
          ]
    this.parameters = match?.queryParams.map((each) => new ParameterTest(each)) ?? noParameters
  }

  /** `path`: the canonical target without its query. */
  test(head: RequestHead, path: string): boolean {
    if (this.uri === undefined) {
      // No condition means the prefix `/` (Envoy): `*` and CONNECT authorities match no route.
      if (path.charCodeAt(0) !== 47) return false
    } else if (!this.uri.test(path)) return false
    if (this.method !== undefined && !this.method.test(head.method)) return false
    for (let i = 0; i < this.headers.length; i++) if (!this.headers[i]!.test(head)) return false
    for (let i = 0; i < this.parameters.length; i++)
      if (!this.parameters[i]!.test(head.target)) return false
    if (this.authority !== undefined && !this.authority.test(head.authority)) return false
    return this.scheme === undefined || this.scheme.test(schemeOf(head))
  }
}

/** What a scheme condition sees: the client's x-forwarded-proto when it is one of the two, else the connection's. */
export function schemeOf(head: RequestHead): string {
  return forwardedScheme(head.headers) ?? head.scheme
}

class HeaderTest {
  private readonly name: string
  private readonly wanted: TextTest
  private readonly presence: boolean
  private readonly inverted: boolean
  /** `:method` and its like, and `host`, are no fields of the list. */
  private readonly pseudo: boolean

  constructor(spec: NamedMatchSpec, inverted: boolean) {
    this.name = spec.name
    this.wanted = TextTest.of(spec.match)
    this.presence = spec.match.kind === 'present'
    this.inverted = inverted
    this.pseudo = spec.name.startsWith(':') || spec.name === 'host'
  }

  test(head: RequestHead): boolean {
    return this.holds(head) !== this.inverted
  }

  private holds(head: RequestHead): boolean {
    if (this.pseudo) return this.wanted.test(pseudoField(head, this.name))
    const headers = head.headers
    let at = headers.indexOf(this.name)
    // A missing header counts as empty where its absence is asked for (TreatMissingHeaderAsEmpty).
    if (at < 0) return this.inverted && !this.presence && this.wanted.test('')
    for (; at >= 0; at = headers.indexOf(this.name, at + 1))
      if (this.wanted.test(headers.values[at]!)) return true
    return false
  }
}

function pseudoField(head: RequestHead, name: string): string {
  switch (name) {
    case ':method':
      return head.method
    case ':path':
      return head.target
    case ':scheme':
      return schemeOf(head)
    default:
      return head.authority
  }
}

class ParameterTest {
  private readonly name: string
  private readonly wanted: TextTest

  constructor(spec: NamedMatchSpec) {
    this.name = wireText(spec.name)
    this.wanted = TextTest.of(spec.match)
  }

  test(target: string): boolean {
    const value = firstParameter(target, this.name)
    return value !== undefined && this.wanted.test(value)
  }
}

/** Value of the first query parameter of that name, not decoded; `` for a bare name. */
export function firstParameter(target: string, name: string): string | undefined {
  let start = target.indexOf('?') + 1
  if (start === 0) return undefined
  while (start < target.length) {
    let end = target.indexOf('&', start)
    if (end < 0) end = target.length
    if (target.startsWith(name, start)) {
      const after = start + name.length
      if (after === end) return ''
      if (after < end && target.charCodeAt(after) === 61) return target.slice(after + 1, end)
    }
    start = end + 1
  }
  return undefined
}
