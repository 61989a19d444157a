/**
 * Which endpoints of a service are nearer than others, seen from this workload: localityLbSetting and
 * zoneAwareLbSetting of the DestinationRule, the Service's trafficDistribution, the mesh's settings.
 */
import { type Client, tell } from './compile-client.ts'
import type { EndpointIndex } from './compile-endpoints.ts'
import { localityCovers, PLACE_LABELS, partsOf, placeLabels } from './compile-locality.ts'
import type { Labels } from './compile-names.ts'
import { type BlockPlace, originOf } from './compile-policy-places.ts'
import type { MeshService } from './compile-registry.ts'
import { trafficDistributionOf } from './compile-traffic-distribution.ts'
import { compareText } from './diagnostics.ts'
import type { LocalityLb, PolicyBlocks, ZoneAwareLb } from './kinds.ts'
import type { Path } from './resource.ts'
import type { LocalitySpec, Origin } from './snapshot.ts'

export interface Nearness {
  readonly locality: LocalitySpec | undefined
  readonly origin: Origin | undefined
}

/** A setting in force, and where it was written. */
interface Setting {
  readonly value: LocalityLb & ZoneAwareLb
  readonly zoneAware: boolean
  /** Acts without outlierDetection. */
  readonly forced: boolean
  readonly place: BlockPlace | undefined
}

const nowhere: Nearness = { locality: undefined, origin: undefined }
const MIN_CLUSTER_SIZE = 6

export class NearnessIndex {
  private readonly client: Client
  /** Looked for when something asks for them. */
  private knownPlace: string | undefined
  private knownLabels: Labels | undefined
  private readonly endpoints: EndpointIndex
  private readonly registry: readonly MeshService[]
  private knownCallers: ReadonlyArray<readonly [string, number]> | undefined
  private readonly told = new Set<string>()

  constructor(client: Client, endpoints: EndpointIndex, registry: readonly MeshService[]) {
    this.client = client
    this.endpoints = endpoints
    this.registry = registry
  }

  /** `block`: where the loadBalancer block is; `outliers`: where outlierDetection is. */
  of(
    service: MeshService,
    blocks: PolicyBlocks,
    block: BlockPlace | undefined,
    outliers: BlockPlace | undefined,
  ): Nearness {
    const setting = this.settingFor(service, blocks, block)
    if (setting.value.enabled === false) return nowhere
    if (setting.value.distribute.length > 0) return this.distributed(setting)
    const fails = setting.forced || outliers !== undefined
    const failing = fails ? this.failing(setting) : {}
    const balance = setting.zoneAware && this.balance(setting)
    if (balance === false && !fails) return nowhere
    if (setting.place !== undefined && this.own === '' && asksForPlace(failing, balance))
      this.tellUnknown(setting.place)
    return {
      locality: { own: this.own, ...failing, ...(balance && { balance }) },
      origin: originOf(setting.place ?? outliers),
    }
  }

  /** `region/zone/subzone` of this workload, or ``. */
  private get own(): string {
    this.knownPlace ??= this.endpoints.localityOf(this.client.workload)
    return this.knownPlace
  }

  private get ownLabels(): Labels {
    this.knownLabels ??= this.findLabels()
    return this.knownLabels
  }

  private findLabels(): Labels {
    const pod = this.endpoints.podOf(this.client.workload)
    const node = pod?.spec.nodeName
    return {
      ...placeLabels(this.own),
      ...(node === undefined ? {} : { 'kubernetes.io/hostname': node }),
      ...pod?.labels,
      ...this.client.labels,
    }
  }

  /** The nearest word counts, whole. */
  private settingFor(
    service: MeshService,
    { loadBalancer }: PolicyBlocks,
    block: BlockPlace | undefined,
  ): Setting {
    const { mesh, meshConfig } = this.client
    const inBlock = (name: string) =>
      block && { resource: block.resource, path: [...block.path, name] }
    const inMesh = (name: string) =>
      meshConfig && { resource: meshConfig, path: ['spec', name] as Path }
    const { zoneAwareLbSetting, localityLbSetting } = loadBalancer ?? {}
    if (zoneAwareLbSetting !== undefined)
      return zoneAware(zoneAwareLbSetting, inBlock('zoneAwareLbSetting'))
    if (localityLbSetting !== undefined)
      return byLocality(localityLbSetting, inBlock('localityLbSetting'))
    const distribution = trafficDistributionOf(service)
    if (distribution !== undefined) {
      const value = { ...unset, failoverPriority: distribution.labels }
      return { value, zoneAware: false, forced: true, place: distribution.place }
    }
    if (mesh.zoneAwareLbSetting !== undefined)
      return zoneAware(mesh.zoneAwareLbSetting, inMesh('zoneAwareLbSetting'))
    if (mesh.localityLbSetting !== undefined)
      return byLocality(mesh.localityLbSetting, inMesh('localityLbSetting'))
    return byLocality(unset, undefined)
  }

  /** The first entry for the own locality; where there is none all localities are alike. */
  private distributed({ value, place }: Setting): Nearness {
    const { own } = this
    const entry = value.distribute.find(({ from }) => localityCovers(from, own))
    if (entry !== undefined)
      return {
        locality: { own, distribute: Object.entries(entry.to) },
        origin: originOf(place),
      }
    if (place === undefined) return nowhere
    if (own === '') this.tellUnknown(place)
    else
      this.tell(
        place,
        'OUT-LOCALITY',
        `no entry of distribute is for ${own}, where this workload is: all localities are alike`,
        'Add an entry whose from is that locality, or a part of it and *.',
      )
    return nowhere
  }

  private failing({ value }: Setting): Pick<LocalitySpec, 'labels' | 'regions'> {
    const { failover, failoverPriority } = value
    const next = failover.find(({ from }) => from === partsOf(this.own)[0])?.to ?? ''
    const labels = failoverPriority.map((text) => this.wanted(text))
    if (labels.length === 0) return { regions: { next } }
    return failover.length === 0 ? { labels } : { labels, regions: { next } }
  }

  /** `label` as this workload has it, or `label=value`. */
  private wanted(text: string): readonly [label: string, value: string] {
    const equals = text.indexOf('=')
    if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)]
    return [text, this.ownLabels[text] ?? '']
  }

  private balance({ value, place }: Setting): NonNullable<LocalitySpec['balance']> | false {
    this.knownCallers ??= this.findCallers()
    const callers = this.knownCallers
    if (callers.length > 0)
      return { minClusterSize: value.minClusterSize ?? MIN_CLUSTER_SIZE, callers }
    if (place !== undefined)
      this.tell(
        place,
        'OUT-LOCALITY',
        'zones are not balanced: no Service with this workload among its endpoints is known',
        'Include the Service of this workload, with its EndpointSlices or Pods.',
      )
    return false
  }

  /** Endpoints of the services that this workload is part of, by locality. */
  private findCallers(): Array<readonly [string, number]> {
    const { addresses } = this.client.workload
    const places = new Map<string, string>()
    for (const service of this.registry)
      for (const port of service.ports) {
        const found = this.endpoints.of(service, port)
        if (!found.some(({ address }) => addresses.includes(address))) continue
        for (const { address, healthy, locality } of found)
          if (healthy) places.set(address, locality)
      }
    const counts = new Map<string, number>()
    for (const place of places.values()) counts.set(place, (counts.get(place) ?? 0) + 1)
    return [...counts].sort(([a], [b]) => compareText(a, b))
  }

  private tellUnknown(place: BlockPlace): void {
    this.tell(
      place,
      'OUT-LOCALITY',
      'the locality of this workload is not known: nothing is near to it',
      'Give --locality region/zone, or include its Pod with the label topology.kubernetes.io/zone or istio-locality.',
    )
  }

  private tell(place: BlockPlace, code: string, message: string, hint: string): void {
    const { resource, path } = place
    const { file, line } = resource.originAt(path)
    const key = `${file}:${line} ${message}`
    if (this.told.has(key)) return
    this.told.add(key)
    tell(this.client, 'warning', code, resource, path, message, hint)
  }
}

/** Labels of the workload's own need no locality. */
function asksForPlace(
  { labels, regions }: Pick<LocalitySpec, 'labels' | 'regions'>,
  balance: LocalitySpec['balance'] | false,
): boolean {
  const placed = labels?.some(([label]) => label in PLACE_LABELS) ?? false
  return placed || regions !== undefined || balance !== false
}

const unset: LocalityLb & ZoneAwareLb = { distribute: [], failover: [], failoverPriority: [] }

function byLocality(value: LocalityLb, place: BlockPlace | undefined): Setting {
  return { value, zoneAware: false, forced: false, place }
}

function zoneAware(value: ZoneAwareLb, place: BlockPlace | undefined): Setting {
  return { value: { ...unset, ...value }, zoneAware: true, forced: false, place }
}
