/** The worker's side of a snapshot that lies in shared memory: follows the changes, reads parts when asked. */
import type {
  ClusterSpec,
  EndpointSpec,
  OutboundListenerSpec,
  RouteTableSpec,
  Snapshot,
  VirtualHostSpec,
} from '../../config/snapshot.ts'
import { PartReader, type Place, readPart } from '../base/shared-parts.ts'
import type { Unread } from '../listeners/known-addresses.ts'
import { keepNames } from '../routing/host-names.ts'
import type { MapChange, PackedListener, SnapshotChange } from './messages.ts'

export class Unpacker {
  private reader = new PartReader()
  private hosts: ReadonlyMap<number, PackedHost> = new Map()
  private latest: Snapshot | undefined
  private clusters: PartMap<ClusterSpec> | undefined
  private endpointSets: PartMap<readonly EndpointSpec[]> | undefined

  take(change: SnapshotChange): Snapshot {
    if (change.base === '') this.forget()
    const before = this.latest
    this.reader = this.reader.after(change.chunks, change.chunksInUse)
    this.takeHosts(change.hosts)
    this.clusters = changed(this.clusters, change.clusters, this.reader)
    this.endpointSets = changed(this.endpointSets, change.endpointSets, this.reader)
    const { outbound } = change.rest
    this.latest = {
      ...change.rest,
      outbound: { ...outbound, listeners: this.listeners(change, before) },
      clusters: this.clusters,
      endpointSets: this.endpointSets,
    }
    return this.latest
  }

  private forget(): void {
    this.hosts = new Map()
    this.latest = undefined
    this.clusters = undefined
    this.endpointSets = undefined
  }

  private takeHosts({ set, gone }: SnapshotChange['hosts']): void {
    if (set.length === 0 && gone.length === 0) return
    const hosts = new Map(this.hosts)
    for (const id of gone) hosts.delete(id)
    for (const [id, domains, place] of set)
      hosts.set(id, new PackedHost(domains, place, this.reader.chunkOf(place)))
    this.hosts = hosts
  }

  private listeners(change: SnapshotChange, before: Snapshot | undefined): OutboundListenerSpec[] {
    const former = before?.outbound.listeners ?? []
    const byPort = new Map(former.map(({ port, http }) => [`${port} ${http?.name}`, http]))
    return change.listeners.map((listener) =>
      typeof listener === 'number'
        ? former[listener]!
        : this.listener(listener, byPort.get(`${listener.spec.port} ${listener.http?.name}`)),
    )
  }

  private listener(
    { spec, http }: PackedListener,
    former: RouteTableSpec | undefined,
  ): OutboundListenerSpec {
    if (http === undefined) return spec
    const virtualHosts = Array.from(http.hosts, (id) => this.hosts.get(id)!)
    if (former !== undefined) keepNames(virtualHosts, former.virtualHosts)
    return { ...spec, http: { name: http.name, virtualHosts } }
  }
}

/** A virtual host of which only the domains are here until the rest is asked for. */
class PackedHost implements VirtualHostSpec {
  readonly domains: readonly string[]
  private readonly place: Place
  /** Kept by itself, so that the host can be read as long as somebody holds it. */
  private readonly chunk: Buffer
  private spec: VirtualHostSpec | undefined = undefined

  constructor(domains: readonly string[], place: Place, chunk: Buffer) {
    this.domains = domains
    this.place = place
    this.chunk = chunk
  }

  get name(): string {
    return this.whole.name
  }

  get routes(): VirtualHostSpec['routes'] {
    return this.whole.routes
  }

  get skipped(): VirtualHostSpec['skipped'] {
    return this.whole.skipped
  }

  get origin(): VirtualHostSpec['origin'] {
    return this.whole.origin
  }

  private get whole(): VirtualHostSpec {
    this.spec ??= readPart(this.chunk, this.place) as VirtualHostSpec
    return this.spec
  }
}

function changed<Part extends object>(
  before: PartMap<Part> | undefined,
  { set, gone }: MapChange,
  reader: PartReader,
): PartMap<Part> {
  if (before !== undefined && set.length === 0 && gone.length === 0)
    return new PartMap(reader, before.entriesNow)
  const entries = new Map<string, Place | Part>(before?.entriesNow)
  for (const key of gone) entries.delete(key)
  for (const [key, place] of set) entries.set(key, place)
  return new PartMap(reader, entries)
}

/** Parts by name, each read from shared memory when it is first asked for. */
class PartMap<Part extends object> implements ReadonlyMap<string, Part>, Unread {
  readonly entriesNow: Map<string, Place | Part>
  private readonly reader: PartReader

  constructor(reader: PartReader, entries: Map<string, Place | Part>) {
    this.reader = reader
    this.entriesNow = entries
  }

  get size(): number {
    return this.entriesNow.size
  }

  has(key: string): boolean {
    return this.entriesNow.has(key)
  }

  get(key: string): Part | undefined {
    const entry = this.entriesNow.get(key)
    if (typeof entry !== 'number') return entry
    const part = this.reader.read(entry) as Part
    this.entriesNow.set(key, part)
    return part
  }

  mentions(text: string): boolean {
    const bytes = Buffer.from(text)
    for (const entry of this.entriesNow.values())
      if (typeof entry === 'number') {
        if (this.reader.mentions(entry, bytes)) return true
      } else if (JSON.stringify(entry).includes(text)) return true
    return false
  }

  keys(): MapIterator<string> {
    return this.entriesNow.keys()
  }

  /** Reads without keeping: whoever looks at all needs each only once. */
  *entries(): MapIterator<[string, Part]> {
    for (const [key, entry] of this.entriesNow)
      yield [key, typeof entry === 'number' ? (this.reader.read(entry) as Part) : entry]
  }

  *values(): MapIterator<Part> {
    for (const [, part] of this.entries()) yield part
  }

  [Symbol.iterator](): MapIterator<[string, Part]> {
    return this.entries()
  }

  forEach(visit: (part: Part, key: string, map: ReadonlyMap<string, Part>) => void): void {
    for (const [key, part] of this.entries()) visit(part, key, this)
  }
}
