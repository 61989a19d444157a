/**
 * Istio's default access log line for an HTTP exchange, written out: a fifth of the cost of the same
 * format compiled (log-format.ts, its plain twin in the test). What many lines have in common is kept,
 * so that a line is made of ten pieces and not of fifty. Hot: bench/micro/access-log.bench.ts.
 */
import { type Address, formatAddress } from '../net/address.ts'
import { type ExchangeRecord, flagNames } from './exchange-record.ts'
import { startTime } from './log-time.ts'
import { clean, protocolText, underscored } from './log-values.ts'

export function istioLine(record: ExchangeRecord): string {
  const { ownRequestId, requestHeaders, requestId } = record
  const id = ownRequestId ? requestId : text(requestId || requestHeaders?.get('x-request-id') || '')
  return (
    beginning(record.startedAt) +
    asked(record) +
    outcome(record) +
    sizes(record) +
    times(record) +
    agents(record) +
    id +
    hosts(record) +
    given(record.upstreamLocal) +
    ends(record)
  )
}

function given(value: string): string {
  return value === '' ? '-' : value
}

function text(value: string): string {
  return value === '' ? '-' : clean(value)
}

/** A text made of others; when it is used again it becomes one, so that a line is quickly encoded. */
class Piece {
  private text = ''
  private whole = true

  set(text: string): string {
    this.text = text
    this.whole = false
    return text
  }

  again(): string {
    if (!this.whole) {
      this.whole = true
      this.text = Buffer.from(this.text).toString()
    }
    return this.text
  }
}

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

const lastAsked = { method: '', path: '', piece: new Piece() }
lastAsked.piece.set('- - ')

function asked({ method, path }: ExchangeRecord): string {
  if (lastAsked.path === path && lastAsked.method === method) return lastAsked.piece.again()
  lastAsked.method = method
  lastAsked.path = path
  return lastAsked.piece.set(`${text(method)} ${text(path)} `)
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
    last.text = Buffer.from(spellOutcome(record)).toString()
  }
  return last.text
}

function spellOutcome(record: ExchangeRecord): string {
  const { flags, status } = record
  const details = underscored(record.details)
  return `${protocolText(record)}" ${status} ${flags === 0 ? '-' : flagNames(flags)} ${given(details)} ${given(record.terminationDetails)} "${text(record.upstreamFailure)}" `
}

const lastSizes = { request: -1, response: -1, piece: new Piece() }

function sizes({ requestBytes, responseBytes }: ExchangeRecord): string {
  const { piece, request, response } = lastSizes
  if (request === requestBytes && response === responseBytes) return piece.again()
  lastSizes.request = requestBytes
  lastSizes.response = responseBytes
  return piece.set(`${requestBytes} ${responseBytes} `)
}

/** Whole ms below this are told from a table. */
const quickMs = 32
const quickTimes: string[] = Array.from({ length: quickMs * quickMs }, (_, i) =>
  Buffer.from(spellTimes(Math.floor(i / quickMs), (i % quickMs) - 1)).toString(),
)

/** Of the exchange and of the service, in ms. */
function times(record: ExchangeRecord): string {
  const duration = Math.trunc(record.duration)
  const service = record.serviceTime < 0 ? -1 : Math.trunc(record.serviceTime)
  if (duration >= 0 && duration < quickMs && service >= -1 && service < quickMs - 1)
    return quickTimes[duration * quickMs + service + 1]!
  return spellTimes(duration, service)
}

function spellTimes(duration: number, service: number): string {
  return `${duration} ${service < 0 ? '-' : service} "`
}

const lastAgents = { forwardedFor: '', userAgent: '', piece: new Piece() }
lastAgents.piece.set('-" "-" "')

function agents({ forwardedFor, requestHeaders, userAgent }: ExchangeRecord): string {
  const via = forwardedFor || requestHeaders?.get('x-forwarded-for') || ''
  const agent = userAgent || requestHeaders?.get('user-agent') || ''
  if (lastAgents.userAgent === agent && lastAgents.forwardedFor === via)
    return lastAgents.piece.again()
  lastAgents.forwardedFor = via
  lastAgents.userAgent = agent
  return lastAgents.piece.set(`${text(via)}" "${text(agent)}" "`)
}

const lastHosts = { authority: '', host: '', cluster: '', piece: new Piece() }
lastHosts.piece.set('" "-" "-" - ')

/** Where the request was to go, and where it went. */
function hosts({ authority, cluster, upstreamHost }: ExchangeRecord): string {
  const { piece } = lastHosts
  const same = lastHosts.host === upstreamHost && lastHosts.cluster === cluster
  if (same && lastHosts.authority === authority) return piece.again()
  lastHosts.authority = authority
  lastHosts.host = upstreamHost
  lastHosts.cluster = cluster
  return piece.set(`" "${text(authority)}" "${given(upstreamHost)}" ${given(cluster)} `)
}

interface Ends {
  local: Address
  remote: Address
  serverName: string
  routeName: string
  readonly piece: Piece
}

const slots = 1024
/** Lines of one connection end alike; its addresses are the same objects for all of them. */
const known: Array<Ends | undefined> = new Array(slots).fill(undefined)

function ends(record: ExchangeRecord): string {
  const { downstreamLocal: local, downstreamRemote: remote, routeName, serverName } = record
  const slot = remote.port & (slots - 1)
  const found = known[slot]
  if (found === undefined) {
    const piece = new Piece()
    known[slot] = { local, remote, serverName, routeName, piece }
    return piece.set(spellEnds(record))
  }
  const same = found.remote === remote && found.local === local
  if (same && found.routeName === routeName && found.serverName === serverName)
    return found.piece.again()
  found.local = local
  found.remote = remote
  found.serverName = serverName
  found.routeName = routeName
  return found.piece.set(spellEnds(record))
}

function spellEnds(record: ExchangeRecord): string {
  const { downstreamLocal, downstreamRemote, routeName, serverName } = record
  return ` ${given(formatAddress(downstreamLocal))} ${given(formatAddress(downstreamRemote))} ${text(serverName)} ${given(routeName)}\n`
}
