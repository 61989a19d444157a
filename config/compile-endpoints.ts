/** Where services answer: EndpointSlices joined with Pods, selected Pods, WorkloadEntries, listed endpoints. */
import { LabelIndex, LabelPool } from './compile-labels.ts'
import { localityOf, zoneOf } from './compile-locality.ts'
import { canonicalAddress, type Labels } from './compile-names.ts'
import type { MeshPort, MeshService, Of } from './compile-registry.ts'
import { SliceIndex, serviceName } from './compile-slices.ts'
import { compareText } from './diagnostics.ts'
import type { EndpointSliceSpec, ServicePort, WorkloadEntrySpec } from './kinds.ts'
import { sameItems } from './order.ts'
import type { EndpointSpec, WorkloadSpec } from './snapshot.ts'

type Pod = Of<'Pod'>
type Entry = Of<'WorkloadEntry'>
type SliceEndpoint = EndpointSliceSpec['endpoints'][number]

/** Name of a service port's endpoint set in the snapshot. */
export function endpointSetKey(port: number, hostname: string): string {
  return `${port}|${hostname}`
}

/** The endpoints of a port, and what they were made from besides slices, Pods and WorkloadEntries. */
interface Known {
  /** As slices name it. */
  readonly service: string
  readonly sources: MeshService['sources']
  readonly portName: string
  readonly found: readonly EndpointSpec[]
}

export class EndpointIndex {
  private readonly pods: readonly Pod[]
  private readonly entries: readonly Entry[]
  private readonly workload: WorkloadSpec
  private readonly tellsNodes: boolean
  private readonly podsByLabel: LabelIndex<Pod>
  private readonly entriesByLabel: LabelIndex<Entry>
  readonly slices: SliceIndex
  private readonly labels: LabelPool
  private readonly known = new Map<string, Known>()
  private readonly asked = new Set<string>()
  private podsByName: ReadonlyMap<string, Pod> | undefined
  private podsByAddress: ReadonlyMap<string, Pod> | undefined
  /** Node of this proxy's workload, for internalTrafficPolicy: Local. */
  private readonly node: string | undefined

  constructor(
    pods: readonly Pod[],
    slices: readonly Of<'EndpointSlice'>[],
    entries: readonly Entry[],
    workload: WorkloadSpec,
    before?: EndpointIndex,
    /** Endpoints tell their nodes: nearness asks for them. */
    tellsNodes = false,
  ) {
    const namespaceOf = ({ namespace }: { readonly namespace: string }) => namespace
    this.pods = pods
    this.entries = entries
    this.workload = workload
    this.tellsNodes = tellsNodes
    this.slices = new SliceIndex(slices, before?.slices)
    if (
      before !== undefined &&
      before.tellsNodes === tellsNodes &&
      sameItems(pods, before.pods) &&
      sameItems(entries, before.entries)
    ) {
      this.podsByLabel = before.podsByLabel
      this.entriesByLabel = before.entriesByLabel
      this.podsByName = before.podsByName
      this.podsByAddress = before.podsByAddress
      this.labels = before.labels
      this.node = before.node
      this.keepFrom(before)
      return
    }
    this.podsByLabel = new LabelIndex(pods, namespaceOf, ({ labels }) => labels)
    this.entriesByLabel = new LabelIndex(entries, namespaceOf, ({ spec }) => spec.labels)
    this.labels = new LabelPool()
    this.node = this.podOf(workload)?.spec.nodeName
  }

  /** The same Pods and WorkloadEntries with other slices. */
  withSlices(slices: readonly Of<'EndpointSlice'>[]): EndpointIndex {
    const { entries, pods, tellsNodes, workload } = this
    return new EndpointIndex(pods, slices, entries, workload, this, tellsNodes)
  }

  /** What was found before holds for services whose slices are the same. */
  private keepFrom(before: EndpointIndex): void {
    const changed = this.slices.changedSince(before.slices)
    for (const [key, known] of before.known)
      if (!changed.has(known.service)) this.known.set(key, known)
  }

  /** After everything was asked: what nobody asked for belonged to services that are gone. */
  prune(): void {
    for (const key of this.known.keys()) if (!this.asked.has(key)) this.known.delete(key)
    this.asked.clear()
  }

  /** The Pod of a workload, by address or by name. */
  podOf({ addresses, namespace, name }: WorkloadSpec): Pod | undefined {
    const isAt = (address: string) => addresses.includes(canonicalAddress(address))
    return (
      this.pods.find(({ spec }) => spec.addresses.some(isAt)) ??
      this.pods.find((pod) => pod.name === name && pod.namespace === namespace)
    )
  }

  /** As told, as its labels say, else as its Pod or an EndpointSlice with its address says; or ``. */
  localityOf(workload: WorkloadSpec): string {
    if (workload.locality !== undefined) return workload.locality
    const pod = this.podOf(workload)
    const zone = zoneOf(workload.addresses, this.slices.usable)
    return localityOf({ ...pod?.labels, ...workload.labels }, zone)
  }

  private podNamed(key: string): Pod | undefined {
    this.podsByName ??= new Map(this.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]))
    return this.podsByName.get(key)
  }

  private podAt(address: string): Pod | undefined {
    this.podsByAddress ??= new Map(
      this.pods.flatMap((pod) =>
        pod.spec.addresses.map((own) => [canonicalAddress(own), pod] as const),
      ),
    )
    return this.podsByAddress.get(address)
  }

  get knowsNode(): boolean {
    return this.node !== undefined
  }

  /** In the order of addresses. The same array for the same port, whoever asks. */
  of(service: MeshService, port: MeshPort): readonly EndpointSpec[] {
    const key = `${service.namespace} ${port.number} ${service.hostname}`
    this.asked.add(key)
    const known = this.known.get(key)
    if (known?.portName === port.name && sameItems(known.sources, service.sources))
      return known.found
    const found = [...this.find(service, port)].sort(byPlace)
    const unique = found.filter((endpoint, index) => !isSamePlace(endpoint, found[index - 1]))
    const { sources } = service
    const name = serviceName(sources[0])
    this.known.set(key, { service: name, sources, portName: port.name, found: unique })
    return unique
  }

  private *find(service: MeshService, port: MeshPort): Generator<EndpointSpec> {
    const [source] = service.sources
    if (source.kind === 'Service') yield* this.ofService(source, port)
    else
      for (const entry of service.sources as readonly Of<'ServiceEntry'>[])
        yield* this.ofEntry(entry, service.hostname, port)
  }

  // --- Kubernetes Services ------------------------------------------------------------------------
  private *ofService(service: Of<'Service'>, port: MeshPort): Generator<EndpointSpec> {
    const { spec, namespace } = service
    if (spec.type === 'ExternalName') {
      yield external(spec.externalName ?? '', port.number)
      return
    }
    const written = spec.ports.find((p) => p.port === port.number && p.name === port.name)!
    const slices = this.slices.of(serviceName(service))
    if (slices !== undefined)
      for (const slice of slices) yield* this.ofSlice(slice, service, written)
    else if (Object.keys(spec.selector).length > 0)
      for (const pod of this.podsByLabel.find(namespace, spec.selector))
        yield* this.ofPod(pod, portOfPod(pod, written.targetPort), service)
    if (Object.keys(spec.selector).length > 0)
      for (const entry of this.entriesByLabel.find(namespace, spec.selector)) {
        if (!isReachable(entry.spec)) continue
        const { targetPort } = written
        const number = typeof targetPort === 'number' ? targetPort : written.port
        yield this.ofWorkloadEntry(entry.spec, written.name, number, entry.name)
      }
  }

  private *ofSlice(
    slice: Of<'EndpointSlice'>,
    service: Of<'Service'>,
    written: ServicePort,
  ): Generator<EndpointSpec> {
    const { publishNotReadyAddresses, internalTrafficPolicy } = service.spec
    const port = slice.spec.ports.find(({ name }) => name === written.name)?.port
    if (port === undefined) return
    for (const endpoint of slice.spec.endpoints) {
      if (endpoint.terminating) continue
      if (internalTrafficPolicy === 'Local' && !this.isLocal(endpoint.nodeName)) continue
      const healthy = endpoint.ready || publishNotReadyAddresses
      for (const address of endpoint.addresses) {
        const canonical = canonicalAddress(address)
        const pod = this.podBehind(slice.namespace, endpoint, canonical)
        yield this.endpoint(canonical, port, healthy, pod, endpoint)
      }
    }
  }

  private podBehind(namespace: string, endpoint: SliceEndpoint, address: string): Pod | undefined {
    const { targetRef } = endpoint
    if (targetRef?.kind !== 'Pod') return this.podAt(address)
    return this.podNamed(`${targetRef.namespace ?? namespace}/${targetRef.name}`)
  }

  private isLocal(node: string | undefined): boolean {
    return this.node === undefined || node === this.node
  }

  private *ofPod(
    pod: Pod,
    port: number | undefined,
    service: Of<'Service'> | undefined,
  ): Generator<EndpointSpec> {
    const { phase, ready, addresses, nodeName } = pod.spec
    if (port === undefined || phase === 'Succeeded' || phase === 'Failed') return
    if (service?.spec.internalTrafficPolicy === 'Local' && !this.isLocal(nodeName)) return
    const healthy = ready || service?.spec.publishNotReadyAddresses === true
    for (const address of addresses)
      yield this.endpoint(canonicalAddress(address), port, healthy, pod, {})
  }

  private endpoint(
    address: string,
    port: number,
    healthy: boolean,
    pod: Pod | undefined,
    { zone, nodeName }: Pick<SliceEndpoint, 'zone' | 'nodeName'>,
  ): EndpointSpec {
    const node = this.tellsNodes ? (nodeName ?? pod?.spec.nodeName) : undefined
    return {
      address,
      port,
      weight: 1,
      labels: this.labels.shared(pod?.labels ?? {}),
      locality: localityOf(pod?.labels ?? {}, zone),
      healthy,
      workload: pod?.name ?? '',
      serviceAccount: pod?.spec.serviceAccountName ?? '',
      ...(node === undefined ? {} : { node }),
    }
  }

  // --- ServiceEntries -----------------------------------------------------------------------------
  private *ofEntry(
    entry: Of<'ServiceEntry'>,
    hostname: string,
    port: MeshPort,
  ): Generator<EndpointSpec> {
    const { spec, namespace } = entry
    if (spec.resolution === 'NONE' || spec.resolution === 'DYNAMIC_DNS') return
    const written = spec.ports.find(
      ({ number, name }) => number === port.number && name === port.name,
    )
    if (written === undefined) return
    const number = written.targetPort ?? written.number
    for (const endpoint of spec.endpoints.filter(isReachable))
      yield this.ofWorkloadEntry(endpoint, written.name, number, '')
    const selector = spec.workloadSelector
    if (selector !== undefined) {
      for (const pod of this.podsByLabel.find(namespace, selector))
        yield* this.ofPod(pod, number, undefined)
      for (const selected of this.entriesByLabel.find(namespace, selector))
        if (isReachable(selected.spec))
          yield this.ofWorkloadEntry(selected.spec, written.name, number, selected.name)
    } else if (spec.endpoints.length === 0 && spec.resolution !== 'STATIC')
      yield external(hostname, number)
  }

  private ofWorkloadEntry(
    entry: WorkloadEntrySpec,
    portName: string,
    number: number,
    workload: string,
  ): EndpointSpec {
    const unix = entry.address.startsWith('unix://')
    return {
      address: unix ? entry.address : canonicalAddress(entry.address),
      port: unix ? 0 : (entry.ports[portName] ?? number),
      weight: entry.weight === 0 ? 1 : entry.weight,
      labels: this.labels.shared(entry.labels),
      locality: entry.locality === '' ? localityOf(entry.labels, undefined) : entry.locality,
      healthy: true,
      workload,
      serviceAccount: entry.serviceAccount,
      ...(entry.network === '' ? {} : { network: entry.network }),
    }
  }
}

function isReachable({ address }: WorkloadEntrySpec): boolean {
  return address !== ''
}

function byPlace(a: EndpointSpec, b: EndpointSpec): number {
  return compareText(a.address, b.address) || a.port - b.port || compareText(a.workload, b.workload)
}

function isSamePlace(a: EndpointSpec, b: EndpointSpec | undefined): boolean {
  return b !== undefined && a.address === b.address && a.port === b.port
}

const noLabels: Labels = {}

/** A name outside the mesh, found by DNS. */
function external(address: string, port: number): EndpointSpec {
  return {
    address: canonicalAddress(address.replace(/\.$/, '')),
    port,
    weight: 1,
    labels: noLabels,
    locality: '',
    healthy: true,
    workload: '',
    serviceAccount: '',
  }
}

/** A named target port is that of the container port with the name. */
export function portOfPod(pod: Pod, targetPort: number | string): number | undefined {
  if (typeof targetPort === 'number') return targetPort
  for (const container of pod.spec.containers)
    for (const { name, containerPort } of container.ports)
      if (name === targetPort) return containerPort
  return undefined
}
