/**
 * Istio's default access log line for an HTTP exchange, written out: half the cost of the same format
 * compiled (log-format.ts, its plain twin in the test). Hot: bench/micro/access-log.bench.ts.
 */
import { type Address, formatAddress } from '../net/address.ts'
import { type ExchangeRecord, flagNames } from './exchange-record.ts'
import { startTime } from './log-time.ts'
import { clean, protocolText, underscored } from './log-values.ts'

export function istioLine(record: ExchangeRecord): string {
  const { flags, serviceTime } = record
  const details = underscored(record.details)
  return `[${startTime(record.startedAt)}] "${text(record.method)} ${text(record.path)} ${protocolText(record)}" ${record.status} ${flags === 0 ? '-' : flagNames(flags)} ${given(details)} ${given(record.terminationDetails)} "${text(record.upstreamFailure)}" ${record.requestBytes} ${record.responseBytes} ${Math.trunc(record.duration)} ${serviceTime < 0 ? '-' : Math.trunc(serviceTime)} "${text(record.forwardedFor)}" "${text(record.userAgent)}" "${text(record.requestId)}" "${text(record.authority)}" "${given(record.upstreamHost)}" ${given(record.cluster)} ${given(record.upstreamLocal)} ${address(record.downstreamLocal)} ${address(record.downstreamRemote)} ${text(record.serverName)} ${given(record.routeName)}\n`
}

function given(value: string): string {
  return value === '' ? '-' : value
}

function text(value: string): string {
  return value === '' ? '-' : clean(value)
}

function address(of: Address): string {
  const c = of.address.charCodeAt(0)
  // Digits and no colon: IPv4, which is what nearly all are.
  return c >= 48 && c <= 57 && !of.address.includes(':')
    ? `${of.address}:${of.port}`
    : formatAddress(of)
}
