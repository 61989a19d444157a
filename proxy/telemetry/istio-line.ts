/**
 * Istio's default access log line for an HTTP exchange, written out: a third of the cost of the same
 * format compiled (log-format.ts, its plain twin in the test). What many lines have in common is kept
 * from the last one. Hot: bench/micro/access-log.bench.ts.
 */
import { formatAddress } from '../net/address.ts'
import { type ExchangeRecord, flagNames } from './exchange-record.ts'
import { startTime } from './log-time.ts'
import { clean, protocolText, underscored } from './log-values.ts'

export function istioLine(record: ExchangeRecord): string {
  const { requestHeaders, serviceTime } = record
  const forwardedFor = record.forwardedFor || requestHeaders?.get('x-forwarded-for') || ''
  const userAgent = record.userAgent || requestHeaders?.get('user-agent') || ''
  const { ownRequestId, requestId } = record
  const id = ownRequestId ? requestId : text(requestId || requestHeaders?.get('x-request-id') || '')
  return `${beginning(record.startedAt)}${text(record.method)} ${text(record.path)} ${outcome(record)}${record.requestBytes} ${record.responseBytes} ${Math.trunc(record.duration)} ${serviceTime < 0 ? '-' : Math.trunc(serviceTime)} "${text(forwardedFor)}" "${agents.text(userAgent)}" "${id}" "${hosts.text(record.authority)}" ${upstream(record)}${given(record.upstreamLocal)} ${formatAddress(record.downstreamLocal)} ${formatAddress(record.downstreamRemote)} ${text(record.serverName)} ${given(record.routeName)}\n`
}

function given(value: string): string {
  return value === '' ? '-' : value
}

function text(value: string): string {
  return value === '' ? '-' : clean(value)
}

/** The text of a value that is often the same as the last time. */
class Repeated {
  private value = ''
  private cleaned = '-'

  text(value: string): string {
    if (value !== this.value) {
      this.value = value
      this.cleaned = text(value)
    }
    return this.cleaned
  }
}

const agents = new Repeated()
const hosts = new Repeated()

let lastStart = Number.NaN
let lastBeginning = ''

/** Several lines of one millisecond begin alike. */
function beginning(startedAt: number): string {
  if (startedAt !== lastStart) {
    lastStart = startedAt
    lastBeginning = `[${startTime(startedAt)}] "`
  }
  return lastBeginning
}

const last = { version: -1, status: -1, details: '', text: '' }

/** From the protocol to the transport failure; nearly all requests end well, and alike. */
function outcome(record: ExchangeRecord): string {
  const { details, flags, status, terminationDetails, upstreamFailure, version } = record
  const plain = flags === 0 && terminationDetails === '' && upstreamFailure === ''
  if (!plain) return spellOutcome(record)
  if (last.version !== version || last.status !== status || last.details !== details) {
    last.version = version
    last.status = status
    last.details = details
    last.text = spellOutcome(record)
  }
  return last.text
}

function spellOutcome(record: ExchangeRecord): string {
  const { flags, status } = record
  const details = underscored(record.details)
  return `${protocolText(record)}" ${status} ${flags === 0 ? '-' : flagNames(flags)} ${given(details)} ${given(record.terminationDetails)} "${text(record.upstreamFailure)}" `
}

const lastUpstream = { host: '', cluster: '', text: '"-" - ' }

function upstream({ cluster, upstreamHost }: ExchangeRecord): string {
  if (lastUpstream.host !== upstreamHost || lastUpstream.cluster !== cluster) {
    lastUpstream.host = upstreamHost
    lastUpstream.cluster = cluster
    lastUpstream.text = `"${given(upstreamHost)}" ${given(cluster)} `
  }
  return lastUpstream.text
}
