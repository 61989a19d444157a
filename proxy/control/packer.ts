/**
 * Writes snapshots into memory that all workers share, and says what each new one changes: a worker is
 * sent little, however large the mesh, and keeps nothing twice.
 */
import type { OutboundListenerSpec, Snapshot, VirtualHostSpec } from '../../config/snapshot.ts'
import { type Chunk, PartWriter, type Place } from '../base/shared-parts.ts'
import type { MapChange, PackedListener, SnapshotChange } from '../worker/messages.ts'

interface Packed {
  readonly part: object
  place: Place
}

interface PackedHost {
  readonly id: number
  place: Place
}

export class Packer {
  private readonly writer = new PartWriter()
  private readonly clusters = new Map<string, Packed>()
  private readonly endpointSets = new Map<string, Packed>()
  private hosts = new Map<VirtualHostSpec, PackedHost>()
  private nextHost = 1
  private latest: Snapshot | undefined

  /** What a worker that has the former snapshot must know; `` as base the first time. */
  change(snapshot: Snapshot): SnapshotChange {
    const before = this.latest
    const knownChunks = new Set([...this.writer.chunks].map(({ id }) => id))
    const clusters = this.changeMap(this.clusters, snapshot.clusters, before?.clusters)
    const sets = this.changeMap(this.endpointSets, snapshot.endpointSets, before?.endpointSets)
    const hosts = this.changeHosts(snapshot, before)
    const change = {
      ...this.envelope(snapshot, (id) => !knownChunks.has(id)),
      base: before?.version ?? '',
      listeners: this.changeListeners(snapshot, before),
      hosts,
      clusters,
      endpointSets: sets,
    }
    this.latest = snapshot
    return change
  }

  /** The latest snapshot for a worker that has nothing. */
  whole(): SnapshotChange | undefined {
    const { latest } = this
    if (latest === undefined) return undefined
    const all = (known: ReadonlyMap<string, Packed>): MapChange => {
      return { set: [...known].map(([key, { place }]) => [key, place]), gone: [] }
    }
    return {
      ...this.envelope(latest, () => true),
      base: '',
      listeners: this.changeListeners(latest, undefined),
      hosts: {
        set: [...this.hosts].map(([{ domains }, { id, place }]) => [id, domains, place]),
        gone: [],
      },
      clusters: all(this.clusters),
      endpointSets: all(this.endpointSets),
    }
  }

  private envelope(
    { clusters: _, endpointSets: __, ...rest }: Snapshot,
    isNew: (chunk: number) => boolean,
  ): Pick<SnapshotChange, 'version' | 'rest' | 'chunks' | 'chunksInUse'> {
    const chunks: readonly Chunk[] = [...this.writer.chunks].map(({ id, memory }) => ({
      id,
      memory,
    }))
    return {
      version: rest.version,
      rest: { ...rest, outbound: { ...rest.outbound, listeners: [] } },
      chunks: chunks.filter(({ id }) => isNew(id)),
      chunksInUse: chunks.map(({ id }) => id),
    }
  }

  private changeMap<Part extends object>(
    packed: Map<string, Packed>,
    now: ReadonlyMap<string, Part>,
    before: ReadonlyMap<string, Part> | undefined,
  ): MapChange {
    const set: Array<[string, Place]> = []
    const gone: string[] = []
    if (now !== before) {
      for (const [key, part] of now) if (packed.get(key)?.part !== part) set.push([key, 0])
      for (const key of packed.keys()) if (!now.has(key)) gone.push(key)
    }
    for (const key of gone) {
      this.writer.drop(packed.get(key)!.place)
      packed.delete(key)
    }
    for (const entry of set) {
      const [key] = entry
      const old = packed.get(key)
      const part = now.get(key)!
      entry[1] = this.writer.add(part)
      if (old !== undefined) this.writer.drop(old.place)
      packed.set(key, { part, place: entry[1] })
    }
    for (const [key, known] of this.writer.scattered ? packed : [])
      if (this.gather(known, known.part)) set.push([key, known.place])
    return { set, gone }
  }

  private changeHosts(now: Snapshot, before: Snapshot | undefined): SnapshotChange['hosts'] {
    const set: Array<[number, readonly string[], Place]> = []
    const gone: number[] = []
    if (now.outbound.listeners !== before?.outbound.listeners) {
      const hosts = new Map<VirtualHostSpec, PackedHost>()
      for (const { http } of now.outbound.listeners)
        for (const host of http?.virtualHosts ?? []) {
          if (hosts.has(host)) continue
          const known = this.hosts.get(host) ?? {
            id: this.nextHost++,
            place: this.writer.add(host),
          }
          if (!this.hosts.has(host)) set.push([known.id, host.domains, known.place])
          hosts.set(host, known)
        }
      for (const [host, { id, place }] of this.hosts) {
        if (hosts.has(host)) continue
        this.writer.drop(place)
        gone.push(id)
      }
      this.hosts = hosts
    }
    for (const [host, known] of this.writer.scattered ? this.hosts : [])
      if (this.gather(known, host)) set.push([known.id, host.domains, known.place])
    return { set, gone }
  }

  /** Moves a part out of a chunk that is mostly given up. */
  private gather(packed: { place: Place }, part: object): boolean {
    if (!this.writer.isScattered(packed.place)) return false
    const before = packed.place
    packed.place = this.writer.add(part)
    this.writer.drop(before)
    return true
  }

  private changeListeners(
    { outbound: { listeners } }: Snapshot,
    before: Snapshot | undefined,
  ): SnapshotChange['listeners'] {
    const places = new Map(before?.outbound.listeners.map((listener, at) => [listener, at]))
    return listeners.map((listener) => places.get(listener) ?? this.packListener(listener))
  }

  private packListener(listener: OutboundListenerSpec): PackedListener {
    const { http } = listener
    const spec = { ...listener, http: undefined }
    if (http === undefined) return { spec, http: undefined }
    const ids = http.virtualHosts.map((host) => this.hosts.get(host)!.id)
    return { spec, http: { name: http.name, hosts: Int32Array.from(ids) } }
  }
}
