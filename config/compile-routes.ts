/** Rules of a VirtualService to routes for one port: in order, cut off after the first that takes all. */
import type { Client } from './compile-client.ts'
import { corsSpec } from './compile-cors.ts'
import type { Destinations } from './compile-destinations.ts'
import { faultsSpec } from './compile-faults.ts'
import { authorityOf, headerEdits, noEdits } from './compile-headers.ts'
import { isCatchAll, requestMatch, staticMiss } from './compile-matches.ts'
import { mirrorSpecs } from './compile-mirrors.ts'
import { forSeveralDestinations, retrySpec } from './compile-retries.ts'
import { type HttpRule, placeOfField } from './compile-rules.ts'
import { stickySpec } from './compile-sticky.ts'
import type { MeshRoutes } from './compile-virtual-services.ts'
import type { HttpRouteDestination } from './kinds.ts'
import type {
  DestinationSpec,
  ForwardSpec,
  RetrySpec,
  RewriteSpec,
  RouteActionSpec,
  RouteMatchSpec,
  RouteSpec,
  SkippedRuleSpec,
} from './snapshot.ts'

export interface CompiledRules {
  /** Empty: this VirtualService has no effect on the port. */
  readonly routes: readonly RouteSpec[]
  readonly skipped: readonly SkippedRuleSpec[]
}

const REDIRECT_CODES = [301, 302, 303, 307, 308]

export class RuleCompiler {
  private readonly client: Client
  private readonly destinations: Destinations
  private readonly defaults: RetrySpec
  private readonly severalDefaults: RetrySpec
  private readonly done = new Map<MeshRoutes, Map<number, CompiledRules>>()

  constructor(client: Client, destinations: Destinations, defaults: RetrySpec) {
    this.client = client
    this.destinations = destinations
    this.defaults = defaults
    this.severalDefaults = forSeveralDestinations(defaults)
  }

  /** The same object for the same question: all hosts of a VirtualService share their routes. */
  compile(virtualService: MeshRoutes, port: number): CompiledRules {
    const byPort = this.done.get(virtualService) ?? new Map<number, CompiledRules>()
    this.done.set(virtualService, byPort)
    const rules = byPort.get(port) ?? this.compileAll(virtualService.http, port)
    byPort.set(port, rules)
    return rules
  }

  /** What a service without VirtualService gets. */
  forwardTo(destination: DestinationSpec): ForwardSpec {
    return {
      kind: 'forward',
      destinations: [destination],
      rewrite: undefined,
      timeoutMs: undefined,
      retries: this.defaults,
      headers: noEdits,
    }
  }

  private compileAll(rules: readonly HttpRule[], port: number): CompiledRules {
    const routes: RouteSpec[] = []
    const skipped: SkippedRuleSpec[] = []
    let ending: string | undefined
    for (const rule of rules) {
      const origin = rule.source.originAt(rule.path)
      const skip = (path: string, reason: string, at = origin) =>
        skipped.push({ path, origin: at, reason, before: routes.length })
      const broken = rule.broken ?? unusable(rule)
      if (broken !== undefined) skip(rule.label, broken)
      else if (ending !== undefined)
        skip(rule.label, `never reached: ${ending} takes every request`)
      else ending = this.compileRule(rule, port, routes, skip)
    }
    return { routes, skipped }
  }

  /** Returns the label of the block after which nothing is reached. */
  private compileRule(
    rule: HttpRule,
    port: number,
    routes: RouteSpec[],
    skip: (path: string, reason: string, at?: RouteSpec['origin']) => void,
  ): string | undefined {
    let action: RouteActionSpec | undefined
    const add = (
      label: string,
      name: string,
      match: RouteMatchSpec | undefined,
      origin: RouteSpec['origin'],
      statPrefix = '',
    ) => {
      action ??= this.action(rule, port)
      const counted = statPrefix === '' ? {} : { statPrefix }
      routes.push({ name, path: label, origin, match, ...counted, action })
      return isCatchAll(match) ? label : undefined
    }
    const { name } = rule.route
    if (rule.blocks.length === 0)
      return add(rule.label, name, undefined, rule.source.originAt(rule.path))
    let ending: string | undefined
    for (const block of rule.blocks) {
      const origin = block.source.originAt(block.path)
      const miss = staticMiss(block.match, port, this.client, 'http')
      if (miss !== undefined) skip(block.label, miss, origin)
      else if (ending !== undefined)
        skip(block.label, `never reached: ${ending} takes every request`, origin)
      else {
        const joined = name === '' || block.match.name === '' ? name : `${name}.${block.match.name}`
        ending = add(block.label, joined, requestMatch(block), origin, block.match.statPrefix)
      }
    }
    return ending
  }

  private action(rule: HttpRule, port: number): RouteActionSpec {
    const { redirect, directResponse, headers } = rule.route
    if (redirect !== undefined)
      return {
        kind: 'redirect',
        status: redirect.redirectCode,
        uri: redirect.uri || undefined,
        prefixRewrite: redirect.prefixRewrite,
        authority: redirect.authority || undefined,
        scheme: redirect.scheme,
        port: redirect.port ?? redirect.derivePort,
        headers: headerEdits(headers),
      }
    if (directResponse !== undefined && rule.route.route.length === 0)
      return {
        kind: 'direct',
        status: directResponse.status,
        body: directResponse.string ?? directResponse.bytes ?? '',
        base64: directResponse.bytes !== undefined,
        headers: headerEdits(headers),
      }
    return this.forward(rule, port)
  }

  private forward(rule: HttpRule, port: number): ForwardSpec {
    const { route, timeoutMs, headers } = rule.route
    const single = route.length === 1
    const authority = authorityOf(headers) ?? (single ? authorityOf(route[0]!.headers) : undefined)
    const faults = faultsSpec(rule)
    const cors = corsSpec(rule)
    const sticky = single ? undefined : stickySpec(rule.source)
    const mirrors = mirrorSpecs(rule, port, this.destinations)
    return {
      kind: 'forward',
      destinations: this.legs(rule, port, authority !== undefined),
      rewrite: rewriteOf(rule, authority),
      timeoutMs,
      retries: this.retries(rule, single),
      headers: single ? headerEdits(headers, route[0]!.headers) : headerEdits(headers),
      ...(faults === undefined ? {} : { faults }),
      ...(cors === undefined ? {} : { cors }),
      ...(sticky === undefined ? {} : { sticky }),
      ...(mirrors.length === 0 ? {} : { mirrors }),
    }
  }

  private retries(rule: HttpRule, single: boolean): RetrySpec {
    const { retries } = rule.route
    if (retries === undefined) return single ? this.defaults : this.severalDefaults
    const { path, source } = placeOfField(rule, 'retries')
    const spec = retrySpec(retries, source.originAt(path))
    return single ? spec : forSeveralDestinations(spec)
  }

  /** A leg whose cluster does not exist stays, with its weight: its requests are answered 503 (NC). */
  private legs(rule: HttpRule, port: number, hasAuthority: boolean): DestinationSpec[] {
    const { route } = rule.route
    const single = route.length === 1
    return route.flatMap((leg, index) => {
      if (leg.weight === 0 && !single) return []
      const path = [...rule.path, 'route', index]
      return {
        cluster: this.destinations.forHttp(leg.destination, rule.source, path, port),
        weight: leg.weight === 0 ? 1 : leg.weight,
        headers: single
          ? noEdits
          : legEdits(leg, hasAuthority || rule.route.rewrite?.authority !== undefined),
        origin: rule.source.originAt(path),
      }
    })
  }
}

/** An authority set by one of several legs is an edit of `host`, unless the route sets one for all. */
function legEdits(leg: HttpRouteDestination, overruled: boolean): DestinationSpec['headers'] {
  const edits = headerEdits(leg.headers)
  const authority = authorityOf(leg.headers)
  if (authority === undefined || overruled) return edits
  const { request, response } = edits
  return { request: { ...request, set: [['host', authority], ...request.set] }, response }
}

function rewriteOf(rule: HttpRule, authority: string | undefined): RewriteSpec | undefined {
  const { rewrite } = rule.route
  const regex = rewrite?.uriRegexRewrite
  const uri = rewrite?.uri
  const spec: RewriteSpec = {
    uri: regex !== undefined || uri === '' ? undefined : uri,
    uriRegex: regex,
    authority: rewrite?.authority || authority,
  }
  const changes = spec.uri !== undefined || regex !== undefined || spec.authority !== undefined
  return changes ? spec : undefined
}

function unusable(rule: HttpRule): string | undefined {
  const { redirect, directResponse, route } = rule.route
  if (redirect !== undefined && !REDIRECT_CODES.includes(redirect.redirectCode))
    return `${redirect.redirectCode} makes no redirect`
  if (redirect === undefined && directResponse === undefined && route.length === 0)
    return 'it has no route, redirect or directResponse'
  return undefined
}
