/** Connections that are closed before anything is forwarded: one record, one sentence, a reset. */
import type { Origin } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { ConnectionRecord, type Direction, Flag } from '../telemetry/exchange-record.ts'
import type { Recorder } from '../telemetry/recorder.ts'

export type Refusal =
  /** It was dialed to the proxy itself, or did not come through the capture rules. */
  | { readonly kind: 'loop'; readonly destination: Address | undefined }
  /** The rule names a cluster that does not exist. */
  | { readonly kind: 'no-cluster'; readonly cluster: string; readonly origin: Origin }
  /** REGISTRY_ONLY, and nobody knows the destination. */
  | {
      readonly kind: 'stranger'
      readonly destination: Address
      readonly origin: Origin | undefined
      readonly serverName: string
    }

export function refuse(
  recorder: Recorder,
  direction: Direction,
  connection: Connection,
  refusal: Refusal,
): void {
  const { local, originalDestination, remote } = connection
  const at = originalDestination ?? local
  const record = new ConnectionRecord(direction, clock.wall(), clock.now, at, remote)
  const message = describe(record, refusal)
  record.upstreamFailure = message
  connection.receiveWith(nobody)
  connection.reset(new ProxyError(ErrorCode.UnknownDestination, Side.Proxy, { message }))
  recorder.finishConnection(record)
  recorder.downstreamClosed(direction)
}

const nobody = { onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} }

function describe(record: ConnectionRecord, refusal: Refusal): string {
  switch (refusal.kind) {
    case 'loop':
      record.flags = Flag.NR
      record.details = 'filter_chain_not_found'
      return refusal.destination === undefined
        ? 'no original destination: this connection did not come through the capture rules'
        : `${formatAddress(refusal.destination)} is the proxy itself`
    case 'no-cluster':
      record.flags = Flag.NC
      record.details = 'cluster_not_found'
      record.cluster = refusal.cluster
      record.origin = refusal.origin
      return `${refusal.cluster} does not exist`
    default:
      record.flags = Flag.UH
      record.details = 'unknown_destination'
      record.cluster = 'BlackHoleCluster'
      record.origin = refusal.origin
      record.serverName = refusal.serverName
      return `${formatAddress(refusal.destination)} is no known service, and REGISTRY_ONLY refuses unknown ones`
  }
}
