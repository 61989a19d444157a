/**
 * Everything one worker holds: services, clusters, the table in force, the connections of both
 * directions. Connections that arrive before the first snapshot wait for it.
 */

import { deliverySource } from '../../config/ports.ts'
import type { EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import { Random } from '../base/random.ts'
import { Roster } from '../base/roster.ts'
import { wheel } from '../base/timer-wheel.ts'
import { FaultLeases } from '../filters/fault-leases.ts'
import { type Bind, Explicit } from '../listeners/explicit.ts'
import { Inbound } from '../listeners/inbound.ts'
import type { ListeningServices } from '../listeners/listening.ts'
import { Notes } from '../listeners/notes.ts'
import { OpenCodecs } from '../listeners/open-codecs.ts'
import { Outbound, type Surroundings } from '../listeners/outbound.ts'
import { InboundScope, OutboundScope, type ScopeParts } from '../listeners/scopes.ts'
import { Table } from '../listeners/table.ts'
import { type Connection, PauseReason } from '../net/connection.ts'
import { SocketDialer } from '../net/dial.ts'
import { ServerTls } from '../net/tls-server.ts'
import { makeClientCodec } from '../protocol/codecs.ts'
import { AccessLog, accessLogSettings, sameAccessLog } from '../telemetry/access-log.ts'
import type { Instruments } from '../telemetry/instruments.ts'
import { Recorder } from '../telemetry/recorder.ts'
import { Clusters } from '../upstream/clusters.ts'
import type { SharedFromWorker, WorkerSettings } from './messages.ts'
import { Shared } from './shared.ts'

/** What a listener does with what it accepts. */
export interface Acceptor {
  accept(connection: Connection): void
}

interface Parked {
  readonly acceptor: Acceptor
  readonly connection: Connection
}

export class Runtime implements Surroundings {
  readonly outbound: Acceptor
  readonly inbound: Inbound
  /** For listeners that the configuration opens beside the captured ones. */
  readonly direct: { readonly inbound: Acceptor; readonly outbound: Acceptor }
  readonly proxy: Acceptor
  private readonly settings: WorkerSettings
  private readonly instruments: Instruments
  private readonly onProblem: (message: string) => void
  private readonly note: Notes
  /** What this worker has in common with the others. */
  readonly shared: Shared
  /** Ports of this proxy: connections dialed to them would go in circles. */
  readonly ownPorts = new Set<number>()
  /** Set by calls to the admin port. */
  readonly faults = new FaultLeases()
  private readonly parked: Parked[] = []
  private live: { services: ListeningServices; clusters: Clusters; parts: ScopeParts } | undefined
  private current: Table | undefined

  constructor(
    settings: WorkerSettings,
    instruments: Instruments,
    onProblem: (message: string) => void,
    tellOthers: (message: SharedFromWorker) => void = () => undefined,
    note: (key: string, text: string) => void = () => undefined,
  ) {
    this.settings = settings
    this.shared = new Shared(settings, tellOthers, () => this.live?.clusters)
    this.instruments = instruments
    this.onProblem = onProblem
    this.faults.replace(settings.faults ?? [])
    this.note = new Notes(note)
    this.outbound = settings.explicit ? new Explicit(this) : new Outbound(this)
    this.inbound = new Inbound(this, !settings.explicit)
    this.direct = { inbound: new Inbound(this, false), outbound: new Outbound(this, false) }
    this.proxy = new Explicit(this)
  }

  /** A port that stands for one service (explicit mode). */
  bound(bind: Bind): Acceptor {
    return new Explicit(this, bind)
  }

  get services(): ListeningServices {
    return this.live!.services
  }

  get clusters(): Clusters {
    return this.live!.clusters
  }

  get table(): Table {
    return this.current!
  }

  /** Undefined until the first snapshot. */
  get snapshot(): Snapshot | undefined {
    return this.current?.snapshot
  }

  accept(acceptor: Acceptor, connection: Connection): void {
    if (this.current !== undefined) acceptor.accept(connection)
    else {
      connection.pause(PauseReason.Handover)
      this.parked.push({ acceptor, connection })
    }
  }

  /** One assignment swaps the table; exchanges under way keep theirs. */
  apply(published: Snapshot): void {
    const snapshot = this.withApplication(published)
    this.live ??= this.start(snapshot)
    const { clusters, parts, services } = this.live
    this.updateAccessLog(snapshot, services.recorder)
    clusters.adopt(snapshot)
    this.current = new Table(snapshot, {
      outbound: (of, routes, port) => new OutboundScope(of, routes, port, parts),
      inbound: (of, port) => new InboundScope(of, port, parts),
      serverTls: ({ cluster }, tls) =>
        new ServerTls(tls, clock, (why) =>
          this.note.tell(`${cluster} ${why}`, `${cluster}: ${why}`),
        ),
    })
    for (const { acceptor, connection } of this.parked.splice(0)) {
      connection.resume(PauseReason.Handover)
      acceptor.accept(connection)
    }
  }

  updateEndpoints(set: string, endpoints: readonly EndpointSpec[]): void {
    this.live?.clusters.updateEndpoints(set, endpoints)
  }

  /** The last thing: what was logged is written out. */
  async close(): Promise<void> {
    await this.live?.services.recorder.close()
  }

  private start(snapshot: Snapshot) {
    const recorder = new Recorder(this.instruments, snapshot.workload)
    const random = new Random()
    const services: ListeningServices = {
      wheel,
      random,
      recorder,
      faults: this.faults,
      exchanges: new Roster(),
      forwards: new Set(),
      codecs: new OpenCodecs(),
      note: this.note,
    }
    const clusters = new Clusters({
      dialer: new SocketDialer(wheel),
      makeClientCodec,
      recorder,
      wheel,
      clock,
      random,
      threads: this.settings.workers,
      note: (key, text) => this.note.tell(key, text),
      sourceFor: ({ name }, address) => this.sourceFor(name, address),
      sharedLimits: ({ name }) => this.shared.limitsOf(name),
      outliers: this.shared,
      askForRoom: (cluster) => this.shared.askForRoom(cluster),
    })
    const parts: ScopeParts = {
      services,
      clusters,
      ownPorts: this.ownPorts,
      isEndpoint: (_of, address) => this.table.isEndpoint(address),
    }
    return { services, clusters, parts }
  }

  /** Deliveries to the application carry their own source, so that capture lets them pass. */
  private sourceFor(cluster: string, address: string): string | undefined {
    if (this.settings.explicit || address.startsWith('/') || address.startsWith('@'))
      return undefined
    if (!cluster.startsWith('inbound|') && cluster !== 'InboundPassthroughCluster') return undefined
    return address.includes(':') ? deliverySource.ipv6 : deliverySource.ipv4
  }

  private updateAccessLog({ mesh }: Snapshot, recorder: Recorder): void {
    const wanted = accessLogSettings(mesh, this.settings.accessLog)
    const running = recorder.log as AccessLog | undefined
    if (sameAccessLog(running?.settings, wanted)) return
    running?.close()
    recorder.log = wanted && new AccessLog(wanted, wheel, this.instruments, this.onProblem)
  }

  /** Explicit mode: the application listens where `--app` says. */
  private withApplication(snapshot: Snapshot): Snapshot {
    const { app } = this.settings
    if (app === undefined) return snapshot
    const ports = snapshot.inbound.ports.map((port) => ({ ...port, target: app }))
    return { ...snapshot, inbound: { ...snapshot.inbound, ports } }
  }
}
