/** What an exchange needs of its surroundings: the routes of its listener and the services of its worker. */
import type { MeshSpec, Origin } from '../../config/snapshot.ts'
import type { ProxyError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { Member, Roster } from '../base/roster.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { FaultLeases } from '../filters/fault-leases.ts'
import type { RequestHead } from '../http/head.ts'
import type { Address } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import type { ForwardAction } from '../routing/route.ts'
import type { RouteTable } from '../routing/route-table.ts'
import type { Direction } from '../telemetry/exchange-record.ts'
import type { Recorder } from '../telemetry/recorder.ts'
import type { Cluster } from '../upstream/cluster.ts'

/** A destination as linked: undefined where the configuration has no such cluster. */
export type Target = Cluster | undefined

/** An exchange that is not over, as drain sees it. */
export interface OpenExchange extends Member {
  cut(): void
}

/** Once per worker. */
export interface ExchangeServices {
  readonly wheel: TimerWheel
  readonly random: Random
  readonly recorder: Recorder
  /** Set by calls to the admin port. */
  readonly faults: FaultLeases
  /** Exchanges that are not over: what drain waits for. */
  readonly exchanges: Roster<OpenExchange>
}

/** Once per listener and table; an exchange keeps the one it started with. */
export interface HttpScope {
  readonly direction: Direction
  readonly services: ExchangeServices
  readonly routes: RouteTable<Target>
  readonly normalization: MeshSpec['pathNormalization']
  /** Version of the snapshot, for logs. */
  readonly version: string
  /** Of the workload, for what names the proxy as a hop; `` when it has none. */
  readonly ownAddress: string
  /** Callers are our own application or the mesh: they may be told which file decided. */
  readonly tellOrigin: boolean
  /** Where the client dialed; in explicit mode what the request names. */
  destination(head: RequestHead, connection: Connection): Address | undefined
  /** What happens to hosts no route knows: a cluster, or the refusal. */
  unknownHost(head: RequestHead, connection: Connection): Cluster | ProxyError
  /** The object that decided about unknown hosts. */
  readonly policyOrigin: Origin | undefined
  /** How requests for unknown hosts are forwarded. */
  readonly passthrough: ForwardAction<Target>
}
