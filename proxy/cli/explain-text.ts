/** An explanation for people: short, aligned, to be read without documentation. */
import type { Origin, RetrySpec } from '../../config/snapshot.ts'
import { formatAddress } from '../net/address.ts'
import type { RuleVerdict } from '../routing/explain.ts'
import type { DestinationOutcome } from '../routing/explain-outcome.ts'
import type { CallExplanation } from './explain-call.ts'

const marks = { wins: '✓', fails: '✗', skipped: '-', unreached: '·' } as const
/** Rules behind the winner that are shown one by one. */
const unreachedLimit = 3
/** Endpoints of a destination that are shown. */
const endpointLimit = 5

export function explanationText(call: CallExplanation): string {
  const { request, rules } = call
  const lines = [`${request.layer === 'http' ? `${request.method} ` : ''}${request.url}`, '']
  lines.push(...fact('listener', listenerText(call), call.listener.origin))
  if (call.host !== undefined) lines.push(...fact('host', hostText(call), call.host.origin))
  if (request.layer === 'http' && request.target !== '' && request.target !== request.sent)
    lines.push(...fact('path', `${request.target} (as rules see it)`))
  if (rules.length > 0) lines.push('', 'rules, in order', ...rulesText(rules))
  lines.push('', ...outcomeText(call))
  return `${lines.join('\n')}\n`
}

function fact(name: string, text: string, origin?: Origin): string[] {
  const place = origin === undefined ? [] : [`            ${whereText(origin)}`]
  return [`  ${name.padEnd(10)}${text}`, ...place]
}

function listenerText({ listener, request }: CallExplanation): string {
  if (listener.protocol === undefined) return `none: ${listener.how}`
  const speaks = {
    http: 'HTTP',
    tls: 'TLS, told apart by server name',
    tcp: request.url.startsWith('http://') ? 'TCP: the port is not declared as HTTP' : 'TCP',
  }
  return `${listener.how}, ${speaks[request.layer]}`
}

function hostText({ host, request }: CallExplanation): string {
  if (host === undefined) return ''
  const { domain, how, name } = host
  const by = how === 'exact' ? '' : how === 'wildcard' ? ` by ${domain}` : ' whatever the Host says'
  return `${request.authority || '(none)'} belongs to ${name}${by}`
}

/** `VirtualService default/reviews  routes.yaml:12`. */
function whereText({ kind, namespace, name, file, line }: Origin): string {
  const place = file === '' ? '' : `  ${file}:${line}`
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}${place}`
}

function placeText({ file, line }: Origin): string {
  return file === '' ? '(built in)' : `${file}:${line}`
}

// --- rules ----------------------------------------------------------------------------------------
function rulesText(all: readonly RuleVerdict[]): string[] {
  const last = all.findIndex(({ verdict }) => verdict === 'wins')
  const shown = last < 0 ? all : all.slice(0, last + 1 + unreachedLimit)
  const rows = shown.map((rule) => [ruleTitle(rule), placeText(rule.origin), ruleReason(rule)])
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map(
    ([title = '', place = '', reason = ''], index) =>
      `  ${marks[shown[index]!.verdict]} ${title.padEnd(widths[0]!)}  ${place.padEnd(widths[1]!)}  ${reason}`,
  )
  const hidden = all.length - shown.length
  return hidden === 0 ? lines : [...lines, `  · and ${hidden} more that are not reached`]
}

function ruleTitle({ rule, name }: RuleVerdict): string {
  return name === '' || name === rule ? rule : `${rule} "${name}"`
}

function ruleReason({ verdict, reason, failed, origin }: RuleVerdict): string {
  if (verdict === 'skipped') return `does not apply: ${reason}`
  if (verdict === 'unreached') return `not reached: ${reason}`
  if (failed === undefined || failed.line === origin.line) return reason
  return `${reason} (line ${failed.line})`
}

// --- what happens ---------------------------------------------------------------------------------
function outcomeText(call: CallExplanation): string[] {
  const { outcome, winner } = call
  const decided =
    winner === undefined ? '' : `, as ${winner.rule} says (${placeText(winner.origin)})`
  switch (outcome.kind) {
    case 'passthrough':
      return [`goes to the address that was called: ${outcome.why}`, ...reasonLines(outcome)]
    case 'refused': {
      const how = outcome.status === 0 ? 'the connection is closed' : `answered ${outcome.status}`
      return [`${how} (${outcome.reason}): ${outcome.why}`, ...reasonLines(outcome)]
    }
    case 'redirect':
      return [
        `answered ${outcome.status} with Location ${outcome.location}${decided}`,
        ...editsText('reply', outcome.responseEdits),
      ]
    case 'direct':
      return [
        `answered ${outcome.status} by the proxy itself${decided}`,
        ...(outcome.body === '' ? [] : fact('body', shortened(outcome.body))),
        ...editsText('reply', outcome.responseEdits),
      ]
    case 'tcp':
      return [`goes to${decided}`, ...outcome.destinations.flatMap(destinationText)]
    default:
      return [
        `goes to${decided}`,
        ...outcome.destinations.flatMap(destinationText),
        ...(outcome.rewritten
          ? fact('sent as', `${outcome.target}, Host ${outcome.authority}`)
          : []),
        ...outcome.filters.flatMap(({ name, text, origin }) => fact(name, text, origin)),
        ...editsText('request', outcome.requestEdits),
        ...editsText('reply', outcome.responseEdits),
        ...fact('timeout', outcome.timeoutMs === undefined ? 'none' : duration(outcome.timeoutMs)),
        ...retriesText(outcome.retries),
      ]
  }
}

function reasonLines({ origin, hint }: { origin: Origin | undefined; hint: string }): string[] {
  const lines = origin === undefined ? [] : [`  ${whereText(origin)}`]
  return hint === '' ? lines : [...lines, `  ${hint}`]
}

function destinationText(destination: DestinationOutcome): string[] {
  const { cluster, share, origin, refusal, policy } = destination
  const percent = `${Math.round(share * 1000) / 10} %`.padStart(6)
  const lines = [`  ${percent}  ${cluster}  ${placeText(origin)}`]
  const more = (text: string): void => {
    lines.push(`          ${text}`)
  }
  if (refusal !== '') more(`answered ${refusal}`)
  if (destination.discovery === 'original-destination') more('the address that was called')
  if (destination.discovery === 'dynamic-dns')
    more('the host that was asked for, resolved on demand')
  if (destination.endpoints.length > 0) more(endpointsText(destination))
  if (destination.endpoints.length > 1) {
    const { loadBalancer, loadBalancerOrigin, nearness, nearnessOrigin } = destination
    more(`chosen by ${loadBalancer}${byText(loadBalancerOrigin)}`)
    if (nearness !== '') more(`${nearness}${byText(nearnessOrigin)}`)
  }
  for (const text of destination.transport) more(`${text}${byText(destination.transportOrigin)}`)
  if (destination.retryBudget !== '') more(destination.retryBudget)
  const { limits, limitsOrigin, outliers, outliersOrigin } = destination
  if (limits !== '') more(`${limits}${byText(limitsOrigin)}`)
  if (outliers !== '') more(`${outliers}${byText(outliersOrigin)}`)
  if (policy !== undefined) more(`policy: ${whereText(policy)}`)
  return lines
}

function byText(origin: Origin | undefined): string {
  return origin === undefined ? '' : `, as ${whereText(origin)} says`
}

function endpointsText({ endpoints, nearness, discovery }: DestinationOutcome): string {
  const shown = endpoints.slice(0, endpointLimit).map((endpoint) => {
    const { workload, healthy, locality } = endpoint
    const state = healthy ? '' : ' (not ready)'
    const place = nearness === '' ? '' : ` in ${locality || 'no known locality'}`
    return `${formatAddress(endpoint)}${workload === '' ? '' : ` ${workload}`}${place}${state}`
  })
  const hidden = endpoints.length - shown.length
  const rest = hidden === 0 ? '' : ` and ${hidden} more`
  const resolved = discovery === 'static' ? '' : ', resolved by DNS'
  return `${shown.join(', ')}${rest}${resolved}`
}

function editsText(side: string, edits: readonly string[]): string[] {
  return edits.flatMap((edit, index) => fact(index === 0 ? side : '', edit))
}

function retriesText({
  attempts,
  retryOn,
  statusCodes,
  perTryTimeoutMs,
  origin,
}: RetrySpec): string[] {
  if (attempts === 0) return fact('retries', 'none', origin)
  const reasons = [...retryOn.filter((name) => name !== 'retriable-status-codes'), ...statusCodes]
  const each = perTryTimeoutMs === undefined ? '' : `, each at most ${duration(perTryTimeoutMs)}`
  const whose = origin === undefined ? ' (the built-in default)' : ''
  return fact('retries', `${attempts} on ${reasons.join(', ')}${each}${whose}`, origin)
}

function duration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 100 ? `${line.slice(0, 100)}...` : line
}
