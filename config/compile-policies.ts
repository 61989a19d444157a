/** Which DestinationRule governs a service for this client, and what its blocks come to per port and subset. */
import type { Client } from './compile-client.ts'
import { bySpecificity, hasLabels, isExported, isWildcard, resolveHost } from './compile-names.ts'
import type { MeshService, Of } from './compile-registry.ts'
import type { ConnectionPool, PolicyBlocks, TrafficPolicy } from './kinds.ts'
import { hostCovers } from './schema/hosts.ts'
import type { ConnectionPoolSpec, Origin } from './snapshot.ts'

type Rule = Of<'DestinationRule'>
type Subset = Rule['spec']['subsets'][number]

/** Rules of one namespace for one host that hold together: the oldest one's policy, all their subsets. */
export interface MergedRule {
  readonly namespace: string
  readonly host: string
  readonly exportTo: readonly string[]
  readonly selector: Readonly<Record<string, string>> | undefined
  /** The rule whose trafficPolicy holds. */
  source: Rule
  policy: TrafficPolicy | undefined
  readonly subsets: Map<
    string,
    { readonly subset: Subset; readonly source: Rule; readonly index: number }
  >
}

export class PolicyIndex {
  private readonly client: Client
  private readonly exact = new Map<string, MergedRule[]>()
  private readonly wildcards = new Map<string, MergedRule[]>()

  /** Given oldest first. */
  constructor(rules: readonly Rule[], client: Client) {
    this.client = client
    const merged = new Map<string, MergedRule>()
    for (const rule of rules) {
      const host = resolveHost(rule.spec.host, rule.namespace, client.domain)
      const exportTo = exportsOf(rule, client)
      const selector = rule.spec.workloadSelector
      const selective = selector !== undefined && Object.keys(selector).length > 0
      const key = JSON.stringify([
        rule.namespace,
        host,
        [...exportTo].sort(),
        selective ? selector : null,
      ])
      const known = merged.get(key)
      if (known !== undefined) mergeInto(known, rule)
      else merged.set(key, begin(rule, host, exportTo, selective ? selector : undefined))
    }
    for (const rule of merged.values()) this.file(rule)
  }

  /** The client's namespace, else the service's, else the root's; nothing is merged across them. */
  ruleFor(service: MeshService): MergedRule | undefined {
    const { namespace, mesh } = this.client
    const { hostname } = service
    const own = (rule: MergedRule) => this.isOwn(rule)
    const exported = (rule: MergedRule) =>
      rule.selector === undefined && isExported(rule.exportTo, rule.namespace, namespace)
    return (
      this.within(namespace, hostname, own) ??
      this.within(service.namespace, hostname, exported) ??
      this.within(mesh.rootNamespace, hostname, exported)
    )
  }

  /** Of the client's namespace all count; for clients in the root namespace only private ones at first. */
  private isOwn({ selector, exportTo, namespace }: MergedRule): boolean {
    if (selector !== undefined) return hasLabels(this.client.labels, selector)
    if (namespace !== this.client.mesh.rootNamespace) return true
    return exportTo.every((entry) => entry === '.' || entry === namespace)
  }

  private within(
    namespace: string,
    hostname: string,
    counts: (rule: MergedRule) => boolean,
  ): MergedRule | undefined {
    const exact = this.exact.get(`${namespace}/${hostname}`) ?? []
    const wildcards = this.wildcards.get(namespace) ?? []
    return (
      ordered(exact.filter(counts))[0] ??
      ordered(wildcards.filter((rule) => hostCovers(rule.host, hostname) && counts(rule)))[0]
    )
  }

  private file(rule: MergedRule): void {
    const wild = isWildcard(rule.host)
    const map = wild ? this.wildcards : this.exact
    const key = wild ? rule.namespace : `${rule.namespace}/${rule.host}`
    const list = map.get(key) ?? []
    map.set(key, list)
    list.push(rule)
    if (wild) list.sort((a, b) => bySpecificity(a.host, b.host))
  }
}

/** Of the most specific host: selecting rules first, else by age. */
function ordered(rules: readonly MergedRule[]): MergedRule[] {
  const same = rules.filter(({ host }) => host === rules[0]!.host)
  return [...same.filter(({ selector }) => selector !== undefined), ...same]
}

function exportsOf(rule: Rule, client: Client): readonly string[] {
  const { exportTo } = rule.spec
  return exportTo.length === 0 ? client.mesh.defaultDestinationRuleExportTo : exportTo
}

function begin(
  rule: Rule,
  host: string,
  exportTo: readonly string[],
  selector: MergedRule['selector'],
): MergedRule {
  const { namespace, spec } = rule
  const merged = {
    namespace,
    host,
    exportTo,
    selector,
    source: rule,
    policy: spec.trafficPolicy,
    subsets: new Map(),
  }
  addSubsets(merged, rule)
  return merged
}

function mergeInto(merged: MergedRule, rule: Rule): void {
  if (merged.policy === undefined && rule.spec.trafficPolicy !== undefined) {
    merged.policy = rule.spec.trafficPolicy
    merged.source = rule
  }
  addSubsets(merged, rule)
}

function addSubsets(merged: MergedRule, source: Rule): void {
  for (const [index, subset] of source.spec.subsets.entries())
    if (!merged.subsets.has(subset.name)) merged.subsets.set(subset.name, { subset, source, index })
}

// --- what holds for one port (and subset) -------------------------------------------------------------
/** Port-level settings replace all blocks; a subset's replace those that it writes. */
export function blocksFor(
  rule: MergedRule | undefined,
  port: number,
  subset: Subset | undefined,
): PolicyBlocks {
  const base = atPort(rule?.policy, port)
  const own = subset?.trafficPolicy
  if (own === undefined) return base
  const exact = own.portLevelSettings.find((settings) => settings.port === port)
  if (exact !== undefined) return exact
  return { ...base, ...own }
}

function atPort(policy: TrafficPolicy | undefined, port: number): PolicyBlocks {
  return policy?.portLevelSettings.find((settings) => settings.port === port) ?? policy ?? {}
}

export function subsetOrigin(rule: MergedRule, name: string): Origin {
  const { source, index } = rule.subsets.get(name)!
  return source.originAt(['spec', 'subsets', index])
}

// --- connection pools -----------------------------------------------------------------------------------
const UNLIMITED = 4_294_967_295
const HOUR_MS = 3_600_000

/** Equal settings become one object. */
export class PoolSettings {
  private readonly client: Client
  private readonly known = new Map<string, ConnectionPoolSpec>()
  private readonly byBlock = new Map<ConnectionPool | undefined, ConnectionPoolSpec>()

  constructor(client: Client) {
    this.client = client
  }

  for(blocks: PolicyBlocks): ConnectionPoolSpec {
    const written = blocks.connectionPool ?? this.client.mesh.defaultTrafficPolicy?.connectionPool
    const made = this.byBlock.get(written)
    if (made !== undefined) return made
    const spec = this.make(written ?? {})
    const text = JSON.stringify(spec)
    const shared = this.known.get(text) ?? spec
    this.known.set(text, shared)
    this.byBlock.set(written, shared)
    return shared
  }

  private make({ tcp = {}, http = {} }: ConnectionPool): ConnectionPoolSpec {
    const { mesh } = this.client
    return {
      maxConnections: tcp.maxConnections || UNLIMITED,
      connectTimeoutMs: tcp.connectTimeoutMs ?? mesh.connectTimeoutMs,
      tcpIdleTimeoutMs: tcp.idleTimeoutMs ?? HOUR_MS,
      maxConnectionDurationMs: tcp.maxConnectionDurationMs,
      keepalive: keepalive(tcp.tcpKeepalive, mesh.tcpKeepalive),
      maxPendingRequests: http.http1MaxPendingRequests || UNLIMITED,
      maxRequests: http.http2MaxRequests || UNLIMITED,
      maxRequestsPerConnection: http.maxRequestsPerConnection ?? 0,
      maxRetries: http.maxRetries || UNLIMITED,
      httpIdleTimeoutMs: http.idleTimeoutMs ?? tcp.idleTimeoutMs ?? HOUR_MS,
    }
  }
}

type Keepalive = NonNullable<NonNullable<ConnectionPool['tcp']>['tcpKeepalive']>

/** What is not written is the system's: Linux sends 9 probes, 75 s apart, after 2 h. */
function keepalive(
  own: Keepalive | undefined,
  mesh: Keepalive | undefined,
): ConnectionPoolSpec['keepalive'] {
  if (own === undefined && mesh === undefined) return undefined
  return {
    probes: own?.probes ?? mesh?.probes ?? 9,
    timeMs: own?.timeMs ?? mesh?.timeMs ?? 7_200_000,
    intervalMs: own?.intervalMs ?? mesh?.intervalMs ?? 75_000,
  }
}
