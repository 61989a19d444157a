/** Where services answer: EndpointSlices joined with Pods, selected Pods, WorkloadEntries, listed endpoints. */
import { canonicalAddress, hasLabels, type Labels } from './compile-names.ts'
import type { MeshPort, MeshService, Of } from './compile-registry.ts'
import { compareText } from './diagnostics.ts'
import type { EndpointSliceSpec, ServicePort, WorkloadEntrySpec } from './kinds.ts'
import type { EndpointSpec } from './snapshot.ts'

type Pod = Of<'Pod'>
type Entry = Of<'WorkloadEntry'>
type SliceEndpoint = EndpointSliceSpec['endpoints'][number]

/** Name of a service port's endpoint set in the snapshot. */
export function endpointSetKey(port: number, hostname: string): string {
  return `${port}|${hostname}`
}

export class EndpointIndex {
  private readonly pods = new Map<string, Pod>()
  private readonly podsByAddress = new Map<string, Pod>()
  private readonly podsByLabel = new LabelIndex<Pod>()
  private readonly entriesByLabel = new LabelIndex<Entry>()
  private readonly slices = new Map<string, Of<'EndpointSlice'>[]>()
  private readonly labels = new LabelPool()
  private readonly known = new Map<string, readonly EndpointSpec[]>()
  /** Node of this proxy's workload, for internalTrafficPolicy: Local. */
  private readonly node: string | undefined

  constructor(
    pods: readonly Pod[],
    slices: readonly Of<'EndpointSlice'>[],
    entries: readonly Entry[],
    workload: {
      readonly name: string
      readonly namespace: string
      readonly addresses: readonly string[]
    },
  ) {
    for (const pod of pods) {
      this.pods.set(`${pod.namespace}/${pod.name}`, pod)
      for (const address of pod.spec.addresses)
        this.podsByAddress.set(canonicalAddress(address), pod)
      this.podsByLabel.add(pod.namespace, pod.labels, pod)
    }
    for (const entry of entries) this.entriesByLabel.add(entry.namespace, entry.spec.labels, entry)
    for (const slice of slices) {
      const service = slice.labels['kubernetes.io/service-name']
      if (service === undefined || slice.spec.addressType === 'FQDN') continue
      const key = `${slice.namespace}/${service}`
      const known = this.slices.get(key)
      if (known === undefined) this.slices.set(key, [slice])
      else known.push(slice)
    }
    this.node = this.podOf(workload)?.spec.nodeName
  }

  /** The Pod of a workload, by address or by name. */
  podOf(workload: {
    readonly name: string
    readonly namespace: string
    readonly addresses: readonly string[]
  }): Pod | undefined {
    for (const address of workload.addresses) {
      const pod = this.podsByAddress.get(address)
      if (pod !== undefined) return pod
    }
    return this.pods.get(`${workload.namespace}/${workload.name}`)
  }

  get knowsNode(): boolean {
    return this.node !== undefined
  }

  /** In the order of addresses. The same array for the same port, whoever asks. */
  of(service: MeshService, port: MeshPort): readonly EndpointSpec[] {
    const key = `${service.namespace} ${port.number} ${service.hostname}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const unique = new Map<string, EndpointSpec>()
    for (const endpoint of this.find(service, port)) {
      const place = `${endpoint.address} ${endpoint.port}`
      const before = unique.get(place)
      if (before === undefined || endpoint.workload < before.workload) unique.set(place, endpoint)
    }
    const sorted = [...unique.values()].sort(
      (a, b) => compareText(a.address, b.address) || a.port - b.port,
    )
    this.known.set(key, sorted)
    return sorted
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
    const slices = this.slices.get(`${namespace}/${service.name}`)
    if (slices !== undefined)
      for (const slice of slices) yield* this.ofSlice(slice, service, written)
    else if (Object.keys(spec.selector).length > 0)
      for (const pod of this.podsByLabel.find(namespace, spec.selector))
        yield* this.ofPod(pod, portOfPod(pod, written.targetPort), service)
    if (Object.keys(spec.selector).length > 0)
      for (const entry of this.entriesByLabel.find(namespace, spec.selector)) {
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
        yield this.endpoint(canonical, port, healthy, pod, endpoint.zone)
      }
    }
  }

  private podBehind(namespace: string, endpoint: SliceEndpoint, address: string): Pod | undefined {
    const { targetRef } = endpoint
    if (targetRef?.kind !== 'Pod') return this.podsByAddress.get(address)
    return this.pods.get(`${targetRef.namespace ?? namespace}/${targetRef.name}`)
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
      yield this.endpoint(canonicalAddress(address), port, healthy, pod, undefined)
  }

  private endpoint(
    address: string,
    port: number,
    healthy: boolean,
    pod: Pod | undefined,
    zone: string | undefined,
  ): EndpointSpec {
    return {
      address,
      port,
      weight: 1,
      labels: this.labels.shared(pod?.labels ?? {}),
      locality: localityOf(pod?.labels ?? {}, zone),
      healthy,
      workload: pod?.name ?? '',
      serviceAccount: pod?.spec.serviceAccountName ?? '',
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
    for (const endpoint of spec.endpoints)
      yield this.ofWorkloadEntry(endpoint, written.name, number, '')
    const selector = spec.workloadSelector
    if (selector !== undefined) {
      for (const pod of this.podsByLabel.find(namespace, selector))
        yield* this.ofPod(pod, number, undefined)
      for (const selected of this.entriesByLabel.find(namespace, selector))
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
    }
  }
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

function localityOf(labels: Labels, zone: string | undefined): string {
  const written = labels['istio-locality']
  if (written !== undefined) return written.replaceAll('.', '/')
  const parts = [
    labels['topology.kubernetes.io/region'] ?? '',
    labels['topology.kubernetes.io/zone'] ?? zone ?? '',
    labels['topology.istio.io/subzone'] ?? '',
  ]
  return parts.join('/').replace(/\/+$/, '')
}

/** Objects of a namespace by labels: asks the rarest label first. */
class LabelIndex<Item> {
  private readonly buckets = new Map<
    string,
    Array<{ readonly labels: Labels; readonly item: Item }>
  >()

  add(namespace: string, labels: Labels, item: Item): void {
    this.put(namespace, { labels, item })
    for (const key in labels) this.put(`${namespace} ${key}=${labels[key]}`, { labels, item })
  }

  /** An empty selector selects the whole namespace. */
  *find(namespace: string, selector: Labels): Generator<Item> {
    let best = this.buckets.get(namespace)
    for (const key in selector) {
      const bucket = this.buckets.get(`${namespace} ${key}=${selector[key]}`)
      if (bucket === undefined) return
      if (best === undefined || bucket.length < best.length) best = bucket
    }
    for (const { labels, item } of best ?? []) if (hasLabels(labels, selector)) yield item
  }

  private put(key: string, entry: { readonly labels: Labels; readonly item: Item }): void {
    const bucket = this.buckets.get(key)
    if (bucket === undefined) this.buckets.set(key, [entry])
    else bucket.push(entry)
  }
}

/** Equal labels become one object with sorted keys: Pods of one Deployment share it. */
class LabelPool {
  private readonly byText = new Map<string, Labels>()
  private readonly byObject = new WeakMap<Labels, Labels>()

  shared(labels: Labels): Labels {
    const known = this.byObject.get(labels)
    if (known !== undefined) return known
    const entries = Object.entries(labels).sort(([a], [b]) => compareText(a, b))
    const text = JSON.stringify(entries)
    const shared = this.byText.get(text) ?? Object.fromEntries(entries)
    this.byText.set(text, shared)
    this.byObject.set(labels, shared)
    return shared
  }
}
