/** Names that must resolve: hosts, ports, subsets and gateways of VirtualServices. */
import { lintAnnotations } from './annotations.ts'
import { didYouMean } from './diagnostics.ts'
import type { Destination, KnownResource, VirtualServiceSpec } from './kinds.ts'
import { lintBalancing } from './lint-balancing.ts'
import { lintOutliers } from './lint-outliers.ts'
import { lintResilience } from './lint-resilience.ts'
import { lintRoutes } from './lint-routes.ts'
import { lintServices } from './lint-services.ts'
import { lintTraps } from './lint-traps.ts'
import { lintWorkloads } from './lint-workloads.ts'
import {
  type Bystander,
  fullHost,
  isVisible,
  MeshIndex,
  type Of,
  originText,
  type Target,
} from './mesh-index.ts'
import type { Path, Problem } from './resource.ts'

export type { Bystander } from './mesh-index.ts'

/** Istio's analyzers, as far as they concern what a sidecar reads. */
export function checkReferences(
  resources: readonly KnownResource[],
  bystanders: readonly Bystander[],
  refused: ReadonlySet<string>,
): Problem[] {
  const index = new MeshIndex(resources, bystanders, refused)
  const subsets = new Subsets(index)
  for (const service of index.of('VirtualService')) {
    checkGateways(service, index)
    for (const [path, destination] of destinationsOf(service))
      checkDestination(service, path, destination, index, subsets)
  }
  lintRoutes(index)
  lintServices(index)
  lintWorkloads(index)
  lintTraps(index)
  lintAnnotations(index)
  lintResilience(index)
  lintOutliers(index)
  lintBalancing(index)
  return index.problems
}

function checkGateways(service: Of<'VirtualService'>, index: MeshIndex): void {
  for (const [position, gateway] of service.spec.gateways.entries()) {
    if (gateway === 'mesh') continue
    const full = fullGateway(gateway, service.namespace)
    if (index.gateways.has(full)) continue
    index.add(
      'warning',
      'IST0101',
      service,
      ['spec', 'gateways', position],
      `there is no Gateway ${full} in these files`,
      'Sidecars do not need it: only gateways follow the rules bound to it.',
    )
  }
}

function fullGateway(gateway: string, namespace: string): string {
  if (gateway.startsWith('./')) return `${namespace}/${gateway.slice(2)}`
  if (gateway.includes('/')) return gateway
  const [name, other] = gateway.split('.')
  return other === undefined ? `${namespace}/${gateway}` : `${other}/${name}`
}

function* destinationsOf(service: Of<'VirtualService'>): Generator<readonly [Path, Destination]> {
  const spec: VirtualServiceSpec = service.spec
  for (const [rule, { mirror, mirrors = [] }] of spec.http.entries()) {
    if (mirror !== undefined) yield [['spec', 'http', rule, 'mirror'], mirror]
    for (const [index, { destination }] of mirrors.entries())
      yield [['spec', 'http', rule, 'mirrors', index, 'destination'], destination]
  }
  for (const kind of ['http', 'tls', 'tcp'] as const)
    for (const [rule, route] of spec[kind].entries())
      for (const [leg, { destination }] of route.route.entries())
        yield [['spec', kind, rule, 'route', leg, 'destination'], destination]
}

function checkDestination(
  service: Of<'VirtualService'>,
  path: Path,
  destination: Destination,
  index: MeshIndex,
  subsets: Subsets,
): void {
  const host = fullHost(destination.host, service.namespace)
  const target = findTarget(service, path, destination, host, index)
  if (target === undefined) return
  checkPort(service, path, destination, target, index)
  subsets.check(service, path, destination, host)
}

function findTarget(
  service: Of<'VirtualService'>,
  path: Path,
  destination: Destination,
  host: string,
  index: MeshIndex,
): Target | undefined {
  const targets = index.targets(host)
  const clients = clientNamespaces(service)
  const seen = (namespace: string) =>
    targets.find((target) => isVisible(target.exportTo, target.resource.namespace, namespace))
  const missing = clients.find((namespace) => seen(namespace) === undefined)
  if (missing === undefined) return seen(clients[0]!)
  const [hidden] = targets
  if (hidden === undefined && (index.hasRefused('Service') || index.hasRefused('ServiceEntry')))
    return undefined
  const message =
    hidden === undefined
      ? `there is no service "${host}" in these files: ${endOf(path)}`
      : `"${host}" (${originText(hidden.resource)}) is not exported to namespace ${missing}: ${endOf(path)}`
  const hint = hidden === undefined ? hostHint(destination.host, host, index) : ''
  index.add('warning', 'IST0101', service, [...path, 'host'], message, hint)
  return undefined
}

/** What comes of a destination that is not there. */
function endOf(path: Path): string {
  return path.some((part) => part === 'mirror' || part === 'mirrors')
    ? 'no copies are sent'
    : 'requests get 503'
}

/** Where the rules apply: the namespaces named, else that of the object. */
function clientNamespaces(service: Of<'VirtualService'>): readonly string[] {
  const { exportTo } = service.spec
  if (exportTo.length === 0 || exportTo.includes('*')) return [service.namespace]
  return exportTo.map((entry) => (entry === '.' ? service.namespace : entry))
}

function hostHint(written: string, host: string, index: MeshIndex): string {
  const [name, namespace, ...rest] = written.split('.')
  if (namespace !== undefined && rest.length === 0) {
    const meant = `${name}.${namespace}.svc.cluster.local`
    if (index.targets(meant).length > 0)
      return `A name with a dot is taken as it is: write ${meant}.`
  }
  const guess = index.guess(host)
  return guess === undefined ? '' : `Did you mean "${guess}"?`
}

function checkPort(
  service: Of<'VirtualService'>,
  path: Path,
  destination: Destination,
  target: Target,
  index: MeshIndex,
): void {
  const { ports, resource } = target
  if (destination.port === undefined) {
    if (ports.length < 2) return
    const message = `${destination.host} (${originText(resource)}) has the ports ${ports.join(', ')}: without a port the one of the request is used`
    index.add('warning', 'IST0112', service, [...path, 'host'], message, 'Add port: {number: ...}.')
  } else if (ports.length > 0 && !ports.includes(destination.port)) {
    const message = `${destination.host} (${originText(resource)}) has no port ${destination.port}: ${endOf(path)}`
    const hint = `Its ports: ${ports.join(', ')}.`
    index.add('error', 'IST0101', service, [...path, 'port'], message, hint)
  }
}

/** Subsets by host, over all DestinationRules. */
class Subsets {
  private readonly index: MeshIndex
  private readonly byHost = new Map<
    string,
    { names: Set<string>; rules: Of<'DestinationRule'>[] }
  >()

  constructor(index: MeshIndex) {
    this.index = index
    for (const rule of index.of('DestinationRule')) {
      const host = fullHost(rule.spec.host, rule.namespace)
      const known = this.byHost.get(host) ?? { names: new Set(), rules: [] }
      for (const { name } of rule.spec.subsets) known.names.add(name)
      known.rules.push(rule)
      this.byHost.set(host, known)
    }
  }

  check(service: Of<'VirtualService'>, path: Path, destination: Destination, host: string): void {
    const { subset } = destination
    if (subset === '') return
    const known = this.byHost.get(host)
    if (known?.names.has(subset) === true) return
    if (this.index.hasRefused('DestinationRule') || this.fromWildcard(host, subset)) return
    if (known === undefined) {
      const message = `no DestinationRule in these files defines subset "${subset}" of ${host}: ${endOf(path)}`
      this.index.add('warning', 'IST0101', service, [...path, 'subset'], message)
      return
    }
    const where = known.rules.map(originText).join(', ')
    const message = `subset "${subset}" is not defined by the DestinationRule of ${host} (${where}): ${endOf(path)}`
    const hint = didYouMean(subset, [...known.names])
    this.index.add('error', 'IST0101', service, [...path, 'subset'], message, hint)
  }

  private fromWildcard(host: string, subset: string): boolean {
    return this.index
      .of('DestinationRule')
      .some(
        ({ spec }) =>
          spec.host.startsWith('*') &&
          host.endsWith(spec.host.slice(1)) &&
          spec.subsets.some(({ name }) => name === subset),
      )
  }
}
