/** The admin pages' texts: the same facts as their JSON, for reading in a terminal. */
import type { Problem } from '../../config/resource.ts'
import type {
  ClusterSpec,
  DestinationSpec,
  Origin,
  RouteMatchSpec,
  RouteSpec,
  Snapshot,
  VirtualHostSpec,
} from '../../config/snapshot.ts'
import type { ClusterStatus } from '../worker/messages.ts'
import type { Outliers } from './outliers.ts'
import type { PublisherStatus } from './publisher.ts'
import type { NameStatus } from './resolver.ts'

/** Maps become objects; everything else is as it is in the snapshot. */
export function configJson(status: PublisherStatus): string {
  const { snapshot, generation, publishedAt, quarantined } = status
  const value = { generation, publishedAt: iso(publishedAt), quarantined, snapshot }
  return `${JSON.stringify(value, (_, part) => (part instanceof Map ? Object.fromEntries(part) : part), 2)}\n`
}

export function problemsJson(status: PublisherStatus): {
  failure: string
  quarantined: readonly string[]
  problems: readonly Problem[]
} {
  const { failure, quarantined, problems } = status
  return { failure, quarantined, problems }
}

export function configText(snapshot: Snapshot): string {
  const { workload, outbound, inbound, clusters } = snapshot
  const labels = Object.entries(workload.labels).map(([name, value]) => `${name}=${value}`)
  const lines = [
    `version ${snapshot.version}`,
    `workload ${workload.namespace}/${workload.name} (${labels.join(',') || 'no labels'}) ${workload.addresses.join(' ')}`,
    `unknown destinations: ${outbound.policy.mode}${from(outbound.policy.origin)}`,
    '',
  ]
  for (const port of inbound.ports) {
    const service = port.service === '' ? '' : ` for ${port.service}`
    lines.push(`inbound ${port.port} ${port.protocol}${service}${from(port.origin)}`)
  }
  for (const listener of outbound.listeners) {
    const where = listener.addresses.join(' ') || '*'
    lines.push(
      '',
      `outbound ${where}:${listener.port} ${listener.protocol}${from(listener.origin)}`,
    )
    for (const host of listener.http?.virtualHosts ?? []) lines.push(...hostLines(host))
    for (const route of listener.tls)
      lines.push(
        `  tls ${route.sniHosts.join(' ') || '*'} -> ${split(route.destinations)}${from(route.origin)}`,
      )
    for (const route of listener.tcp)
      lines.push(`  tcp -> ${split(route.destinations)}${from(route.origin)}`)
  }
  lines.push('')
  for (const cluster of clusters.values()) lines.push(clusterLine(cluster))
  return `${lines.join('\n')}\n`
}

function hostLines(host: VirtualHostSpec): string[] {
  const lines = [`  host ${host.name}${from(host.origin)}`]
  for (const route of host.routes) lines.push(`    ${routeLine(route)}`)
  return lines
}

function routeLine(route: RouteSpec): string {
  const { action } = route
  const conditions = route.match === undefined ? 'any' : describeMatch(route.match)
  switch (action.kind) {
    case 'forward':
      return `${conditions} -> ${split(action.destinations)}${from(route.origin)}`
    case 'redirect':
      return `${conditions} -> redirect ${action.status}${from(route.origin)}`
    case 'direct':
      return `${conditions} -> answer ${action.status}${from(route.origin)}`
  }
}

function describeMatch(match: RouteMatchSpec): string {
  const parts: string[] = []
  for (const name of ['method', 'scheme', 'authority', 'uri'] as const) {
    const condition = match[name]
    if (condition !== undefined) parts.push(`${name} ${condition.kind} ${condition.value}`)
  }
  for (const { name, match: value } of match.headers)
    parts.push(`header ${name} ${value.kind} ${value.value}`)
  for (const { name, match: value } of match.withoutHeaders)
    parts.push(`no header ${name} ${value.kind} ${value.value}`)
  for (const { name, match: value } of match.queryParams)
    parts.push(`query ${name} ${value.kind} ${value.value}`)
  return parts.length === 0 ? 'any' : parts.map((part) => part.trimEnd()).join(', ')
}

function split(destinations: readonly DestinationSpec[]): string {
  if (destinations.length === 1) return destinations[0]?.cluster ?? ''
  return destinations.map(({ cluster, weight }) => `${weight} ${cluster}`).join(' | ')
}

function clusterLine(cluster: ClusterSpec): string {
  const { name, discovery, loadBalancer, origin, policyOrigin } = cluster
  return `cluster ${name} ${discovery} ${loadBalancer.kind}${from(origin)}${from(policyOrigin)}`
}

function from(origin: Origin | undefined): string {
  return origin === undefined ? '' : `  [${origin.kind} ${origin.file}:${origin.line}]`
}

export function clustersText(clusters: readonly ClusterStatus[]): string {
  if (clusters.length === 0)
    return 'no cluster has been called since the last change of the files\n'
  const lines: string[] = []
  for (const cluster of clusters) {
    lines.push(`${cluster.name} ${cluster.loadBalancer}`)
    lines.push(
      `  from ${cluster.origin}${cluster.policyOrigin && `, policy ${cluster.policyOrigin}`}`,
    )
    if (cluster.endpoints.length === 0) lines.push('  no endpoints')
    for (const endpoint of cluster.endpoints) {
      const { address, ejected, healthy, weight } = endpoint
      const { activeRequests, connections, idleConnections } = endpoint
      const state = !healthy ? 'unhealthy' : ejected === '' ? 'healthy' : 'ejected'
      lines.push(
        `  ${address} ${state} weight ${weight}${placeText(endpoint)} requests ${endpoint.requests} failures ${endpoint.failures} active ${activeRequests} connections ${connections} idle ${idleConnections}`,
      )
      if (ejected !== '') lines.push(`    ${ejected}`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** Who is out of service now, and what happened lately, newest first. */
export function outliersText(outliers: Outliers): string {
  const { entries } = outliers.journal
  const now = outliers
    .status()
    .map(({ cluster, endpoint, why }) => `${cluster} ${endpoint}: ${why}`)
  const lines = now.length === 0 ? ['no endpoint is ejected'] : ['ejected now:', ...now]
  if (entries.length > 0) lines.push('', 'newest first:')
  for (const { at, cluster, text, rule } of [...entries].reverse())
    lines.push(`${iso(at)} ${cluster}: ${text} [${rule}]`)
  return `${lines.join('\n')}\n`
}

function placeText({ locality, priority }: ClusterStatus['endpoints'][number]): string {
  const level = priority > 0 ? ` priority ${priority}` : ''
  return locality === '' ? level : ` in ${locality}${level}`
}

export function dnsText(names: readonly NameStatus[]): string {
  if (names.length === 0) return 'no names are being resolved\n'
  return `${names.map(nameLine).join('\n')}\n`
}

function nameLine(name: NameStatus): string {
  const addresses = name.addresses.join(' ') || 'no address'
  const age = name.answeredAt === 0 ? 'never answered' : `answered ${iso(name.answeredAt)}`
  const error = name.error === '' ? '' : `, last error: ${name.error}`
  return `${name.name} ${addresses} (${age}, next in ${Math.round(name.nextInMs / 1000)} s${error})`
}

function iso(at: number): string {
  return at === 0 ? '' : new Date(at).toISOString()
}
