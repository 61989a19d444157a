/** Connections that are closed before anything is forwarded: one record, one sentence, a reset. */
import { isIP } from 'node:net'
import type { Origin } from '../../config/snapshot.ts'
import { clock } from '../base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../base/errors.ts'
import { serviceEntryText } from '../exchange/service-entry-text.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import { ConnectionRecord, type Direction, Flag } from '../telemetry/exchange-record.ts'
import type { ListeningServices } from './listening.ts'

export type Refusal =
  /** It was dialed to the proxy itself, or did not come through the capture rules. */
  | { readonly kind: 'loop'; readonly destination: Address | undefined }
  /** TLS ends here, and there is none to agree on with this client. */
  | { readonly kind: 'handshake'; readonly why: string }
  /** The rule names a cluster that does not exist. */
  | { readonly kind: 'no-cluster'; readonly cluster: string; readonly origin: Origin }
  /** REGISTRY_ONLY, and nobody knows the destination. */
  | {
      readonly kind: 'stranger'
      readonly destination: Address
      readonly origin: Origin | undefined
      readonly serverName: string
      readonly isTls: boolean
    }

export function refuse(
  services: ListeningServices,
  direction: Direction,
  connection: Connection,
  refusal: Refusal,
): void {
  const { local, originalDestination, remote } = connection
  const at = originalDestination ?? local
  const { recorder } = services
  const record = new ConnectionRecord(direction, clock.wall(), clock.now, at, remote)
  const message = describe(record, refusal)
  record.upstreamFailure = message
  if (refusal.kind === 'stranger') noteStranger(services, refusal, message)
  connection.receiveWith(nobody)
  connection.reset(new ProxyError(ErrorCode.UnknownDestination, Side.Proxy, { message }))
  recorder.finishConnection(record)
  recorder.downstreamClosed(direction)
}

type StrangerRefusal = Extract<Refusal, { kind: 'stranger' }>

/** The client sees a reset only: the log says what would have let it pass. */
function noteStranger(
  { note }: ListeningServices,
  { destination, isTls, serverName }: StrangerRefusal,
  message: string,
): void {
  const key = `${serverName} ${formatAddress(destination)}`
  if (!note.isNew(key)) return
  const { address, port } = destination
  const protocol = isTls ? 'TLS' : 'TCP'
  // Without capture the destination is what the client named.
  const host = serverName || (isIP(address) === 0 ? address : '')
  const text = serviceEntryText({ host, address, port, protocol })
  note.tell(key, `${message}. This would allow it:\n${text}`)
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
    case 'handshake':
      record.flags = Flag.DPE
      record.details = 'tls_handshake_failed'
      return `the TLS handshake failed: ${refusal.why}`
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
      return strangerText(refusal)
  }
}

function strangerText({ destination, origin, serverName }: StrangerRefusal): string {
  const at = formatAddress(destination)
  const named = serverName === '' ? at : `${serverName} (${at})`
  const by = origin === undefined || origin.file === '' ? '' : `, ${originText(origin)},`
  return `${named} is no known service, and REGISTRY_ONLY${by} refuses unknown ones`
}

function originText({ kind, namespace, name, file, line }: Origin): string {
  return `${kind} ${namespace}/${name} (${file}:${line})`
}
