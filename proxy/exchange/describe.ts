/** Fills an exchange's record from the heads that pass by. */
import { clock } from '../base/clock.ts'
import type { ProxyError } from '../base/errors.ts'
import { dateText } from '../http/date.ts'
import { isOwnRequestId, setForwarded, setServiceTime } from '../http/forwarded.ts'
import type { RequestHead, ResponseHead } from '../http/head.ts'
import { isGrpc } from '../http/local-reply.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import { failureRow } from './failure.ts'

/** As the client sent it, before anything is rewritten; gives it a request id where it has none. */
export function describeRequest(record: ExchangeRecord, head: RequestHead, version: string): void {
  record.method = head.method
  record.path = head.target
  record.version = head.version
  record.authority = head.authority
  record.requestHeaders = head.headers
  record.configVersion = version
  record.grpc = isGrpc(head)
  record.requestId = setForwarded(head)
  record.ownRequestId = isOwnRequestId(record.requestId)
}

/** `requestEndedAt`: monotonic ms, or -1 while the request is still coming in. */
export function describeReply(
  record: ExchangeRecord,
  head: ResponseHead,
  requestEndedAt: number,
): void {
  record.status = head.status
  record.details = 'via_upstream'
  record.responseHeaders = head.headers
  if (!head.headers.has('date')) head.headers.append('date', dateText())
  if (record.grpc) {
    const status = head.headers.get('grpc-status')
    if (status !== undefined) record.grpcStatus = Number(status)
  }
  if (requestEndedAt < 0) return
  record.serviceTime = Math.round(clock.now - requestEndedAt)
  setServiceTime(head.headers, record.serviceTime)
}

/** An upgrade was asked for, and the answer is neither one nor an error. */
export function declinesSwitch({ upgrade }: RequestHead, { status }: ResponseHead): boolean {
  return upgrade !== '' && status !== 101 && status < 400
}

/** The client went away, or broke the rules; `replied`: a reply head had gone out before. */
export function describeAbort(record: ExchangeRecord, error: ProxyError, replied: boolean): void {
  const { flags, status } = failureRow(error)
  record.flags |= flags
  if (!replied) {
    record.status = status
    record.details = error.detail
  } else if (record.details === 'via_upstream') record.details = error.detail
}

/**
 * HTTP/1.0 requests may come without Host (RFC 9112 3.2.2): the address that was dialed names them then.
 * False when there is none, as in explicit mode.
 */
export function hasAuthority(head: RequestHead, dialed: Address | undefined): boolean {
  if (head.authority === '' && dialed !== undefined && dialed.address !== '')
    head.setAuthority(formatAddress(dialed))
  return head.authority !== ''
}
