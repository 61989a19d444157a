/** Every name of the configuration by what it resolves to: made once for all reference checks. */
import { nearest } from './diagnostics.ts'
import type { KnownResource, MeshConfigSpec, ServiceEntrySpec, ServiceSpec } from './kinds.ts'
import type { Found } from './objects.ts'
import { type Raw, textOf, within } from './raw.ts'
import type { Path, Problem, Severity } from './resource.ts'
import { hostCovers } from './schema/hosts.ts'

export type Of<Kind extends KnownResource['kind']> = Extract<KnownResource, { readonly kind: Kind }>

/** An object without a schema that others refer to: gateways, Deployments, the raw MeshConfig. */
export interface Bystander {
  readonly found: Found
  readonly namespace: string
  readonly name: string
}

/** A host that traffic can go to. */
export interface Target {
  readonly host: string
  readonly resource: Of<'Service'> | Of<'ServiceEntry'>
  readonly ports: readonly number[]
  readonly exportTo: readonly string[]
}

/** Something that runs, or a template of it. */
export interface Workload {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** What a template asks for; 1 for what runs. */
  readonly replicas: number
  readonly place: { readonly file: string; readonly line: number; readonly column: number }
}

const TEMPLATES = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'ReplicationController',
]

/** Names compared in search of a guess, over the whole check. */
const MAX_COMPARISONS = 500_000

export class MeshIndex {
  readonly problems: Problem[] = []
  readonly mesh: MeshConfigSpec | undefined
  /** True when a MeshConfig asks for addresses to be allocated to ServiceEntries. */
  readonly allocatesAddresses: boolean
  readonly workloads: readonly Workload[]
  readonly gateways: ReadonlySet<string>
  private readonly exact = new Map<string, Target[]>()
  private readonly wildcards: Target[] = []
  private readonly byKind = new Map<string, KnownResource[]>()
  private readonly refused: ReadonlySet<string>
  private carriers: ReadonlyMap<string, readonly Workload[]> | undefined
  private comparisons = 0

  constructor(
    resources: readonly KnownResource[],
    bystanders: readonly Bystander[],
    refused: ReadonlySet<string>,
  ) {
    this.refused = refused
    for (const resource of resources) {
      const list = this.byKind.get(resource.kind)
      if (list === undefined) this.byKind.set(resource.kind, [resource])
      else list.push(resource)
    }
    this.mesh = this.of('MeshConfig')[0]?.spec
    this.allocatesAddresses = bystanders.some(({ found }) => allocates(found.root))
    for (const service of this.of('Service')) this.addService(service)
    for (const entry of this.of('ServiceEntry')) this.addEntry(entry)
    this.workloads = [
      ...this.of('Pod').map((pod) => workloadOf(pod, pod.labels)),
      ...this.of('WorkloadEntry').map((entry) => workloadOf(entry, entry.spec.labels)),
      ...templates(bystanders),
    ]
    this.gateways = new Set(
      bystanders
        .filter(({ found }) => found.kind === 'Gateway')
        .map(({ namespace, name }) => `${namespace}/${name}`),
    )
  }

  of<Kind extends KnownResource['kind']>(kind: Kind): ReadonlyArray<Of<Kind>> {
    // Filed under its own kind by the constructor.
    return (this.byKind.get(kind) ?? []) as unknown as ReadonlyArray<Of<Kind>>
  }

  /** True when an object of this kind was refused: what seems missing may be in it. */
  hasRefused(kind: string): boolean {
    for (const title of this.refused) if (title.startsWith(`${kind} `)) return true
    return false
  }

  /** Everything that answers to a full host name, visible or not. */
  targets(host: string): readonly Target[] {
    const exact = this.exact.get(hostKey(host))
    if (exact !== undefined) return exact
    return this.wildcards.filter((target) => hostCovers(target.host, host))
  }

  /** The known host most like this one; a large mesh with many missing names stops guessing. */
  guess(host: string): string | undefined {
    this.comparisons += this.exact.size
    if (this.comparisons > MAX_COMPARISONS) return undefined
    return nearest(host, this.exact.keys())?.replace(/\.svc\.$/, '')
  }

  /** The workloads of a namespace that carry all of these labels (at least one). */
  selected(namespace: string, selector: Readonly<Record<string, string>>): readonly Workload[] {
    let fewest: readonly Workload[] | undefined
    for (const [name, value] of Object.entries(selector)) {
      const carriers = this.byLabel().get(labelKey(namespace, name, value)) ?? []
      if (fewest === undefined || carriers.length < fewest.length) fewest = carriers
    }
    return (fewest ?? []).filter(({ labels }) => selects(selector, labels))
  }

  private byLabel(): ReadonlyMap<string, readonly Workload[]> {
    if (this.carriers !== undefined) return this.carriers
    const carriers = new Map<string, Workload[]>()
    for (const workload of this.workloads)
      for (const [name, value] of Object.entries(workload.labels)) {
        const key = labelKey(workload.namespace, name, value)
        const list = carriers.get(key)
        if (list === undefined) carriers.set(key, [workload])
        else list.push(workload)
      }
    this.carriers = carriers
    return carriers
  }

  add(
    severity: Severity,
    code: string,
    resource: KnownResource,
    path: Path,
    message: string,
    hint = '',
  ): void {
    const where = path.length === 0 ? '' : `${pathText(path)}: `
    this.addPlain(severity, code, resource, path, where + message, hint)
  }

  /** The message says all: the line is enough of a place. */
  addPlain(
    severity: Severity,
    code: string,
    resource: KnownResource,
    path: Path,
    message: string,
    hint: string,
  ): void {
    const { line, column } = resource.at(path)
    const { file } = resource.origin
    const object = `${resource.kind} ${resource.namespace === '' ? '' : `${resource.namespace}/`}${resource.name}`
    this.problems.push({ severity, code, file, line, column, message, hint, object })
  }

  private addService(service: Of<'Service'>): void {
    const written = service.annotations['networking.istio.io/exportTo']
    const exportTo =
      written?.split(',').map((part) => part.trim()) ?? this.mesh?.defaultServiceExportTo ?? []
    const ports = (service.spec as ServiceSpec).ports.map(({ port }) => port)
    const host = `${service.name}.${service.namespace}.svc.cluster.local`
    this.addTarget({ host, resource: service, ports, exportTo })
  }

  private addEntry(entry: Of<'ServiceEntry'>): void {
    const spec = entry.spec as ServiceEntrySpec
    const ports = spec.ports.map(({ number }) => number)
    const exportTo =
      spec.exportTo.length > 0 ? spec.exportTo : (this.mesh?.defaultServiceExportTo ?? [])
    for (const host of spec.hosts) this.addTarget({ host, resource: entry, ports, exportTo })
  }

  private addTarget(target: Target): void {
    if (target.host.startsWith('*')) this.wildcards.push(target)
    const key = hostKey(target.host)
    const list = this.exact.get(key)
    if (list === undefined) this.exact.set(key, [target])
    else list.push(target)
  }
}

/** `http[0].route[1].destination`, as the schema writes it, after `spec`. */
function pathText(path: Path): string {
  let text = ''
  for (const part of path)
    text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`
  return text
}

/** A name without a dot is completed in the namespace of the object that uses it. */
export function fullHost(host: string, namespace: string): string {
  return host.includes('.') || host.includes('*') ? host : `${host}.${namespace}.svc.cluster.local`
}

/** The mesh domain is not known here: a Kubernetes name stands for itself in any. */
function hostKey(host: string): string {
  return /^[^.*]+\.[^.]+\.svc\./.exec(host)?.[0] ?? host
}

export function isVisible(exportTo: readonly string[], owner: string, namespace: string): boolean {
  if (exportTo.length === 0 || exportTo.includes('*')) return true
  return exportTo.some((entry) => (entry === '.' ? owner : entry) === namespace)
}

export function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const name of Object.keys(selector)) if (labels[name] !== selector[name]) return false
  return true
}

export function originText(resource: KnownResource): string {
  return `${resource.origin.file}:${resource.origin.line}`
}

function workloadOf(
  resource: Of<'Pod'> | Of<'WorkloadEntry'>,
  labels: Readonly<Record<string, string>>,
): Workload {
  const { kind, namespace, name, origin } = resource
  const place = { file: origin.file, line: origin.line, column: 1 }
  return { kind, namespace, name, labels, replicas: 1, place }
}

function labelKey(namespace: string, name: string, value: string): string {
  return `${namespace} ${name}=${value}`
}

function* templates(bystanders: readonly Bystander[]): Generator<Workload> {
  for (const { found, namespace, name } of bystanders) {
    if (!TEMPLATES.includes(found.kind)) continue
    const labels = textsOf(within(found.root, 'spec', 'template', 'metadata', 'labels'))
    const { line, column } = found.document.position(found.root.at)
    const place = { file: found.document.source.file, line, column }
    const written = Number(textOf(within(found.root, 'spec', 'replicas')) ?? 1)
    const replicas = Number.isInteger(written) ? written : 1
    yield { kind: found.kind, namespace, name, labels, replicas, place }
  }
}

function textsOf(raw: Raw | undefined): Record<string, string> {
  if (raw?.kind !== 'map') return {}
  return Object.fromEntries(raw.entries.map(({ key, value }) => [key, textOf(value) ?? '']))
}

function allocates(root: Raw): boolean {
  const metadata = within(root, 'defaultConfig', 'proxyMetadata')
  return textOf(within(metadata, 'ISTIO_META_DNS_AUTO_ALLOCATE')) === 'true'
}
