/**
 * The admin pages: what runs, why, and the few things one may change. Loopback only by default, and
 * guarded against pages in a browser that reach for it (foreign Host or Origin).
 */
import { isIP } from 'node:net'
import { countBySeverity, problemLine } from '../../config/diagnostics.ts'
import {
  clustersText,
  configJson,
  configText,
  dnsText,
  outliersText,
  problemsJson,
} from './admin-views.ts'
import type { Collector } from './collector.ts'
import type { FaultDesk } from './fault-desk.ts'
import { faultPage } from './fault-page.ts'
import type { DoorAnswer, DoorReply, DoorRequest } from './http-door.ts'
import { type Log, logLevels } from './log.ts'
import type { Publisher } from './publisher.ts'
import type { Readiness } from './readiness.ts'
import type { NameStatus } from './resolver.ts'
import type { Supervisor } from './supervisor.ts'

export interface AdminParts {
  readonly publisher: Publisher
  readonly supervisor: Supervisor
  readonly readiness: Readiness
  readonly collector: Collector
  readonly faults: FaultDesk
  readonly log: Log
  /** Prometheus text. */
  readonly metrics: () => Promise<DoorReply>
  readonly names: () => readonly NameStatus[]
  /** Starts the graceful end of the process, as SIGTERM does. */
  readonly drain: () => void
  /** Ends the process now. */
  readonly quit: () => void
  /** What `/server_info` tells of this process: version, options, ports. */
  readonly facts: () => Readonly<Record<string, unknown>>
  /** Besides IP addresses and localhost, a Host that may name this server. */
  readonly ownName: string
}

interface Page {
  readonly path: string
  /** Changes something: POST only. */
  readonly changes?: boolean
  readonly help: string
  readonly answer: (parts: AdminParts, request: DoorRequest) => DoorReply | Promise<DoorReply>
}

const pages: readonly Page[] = [
  { path: '/', help: 'this list', answer: () => text(helpText()) },
  {
    path: '/ready',
    help: '200 when traffic may come, else 503 with the reason; ?version=V: when every worker runs V',
    answer: ready,
  },
  {
    path: '/config',
    help: 'the configuration in force, with the file and line of each part; ?format=text: a summary',
    answer: config,
  },
  {
    path: '/problems',
    help: 'what is wrong in the files, and which objects are kept at their last good version; ?format=json',
    answer: problems,
  },
  {
    path: '/clusters',
    help: 'destinations, their policy and their endpoints with live numbers; ?format=json, ?filter=TEXT',
    answer: clusters,
  },
  {
    path: '/outliers',
    help: 'endpoints that outlier detection keeps out of service, and what led to it; ?format=json',
    answer: outliers,
  },
  {
    path: '/dns',
    help: 'names being resolved: addresses, age, last error; ?format=json',
    answer: dns,
  },
  {
    path: '/stats',
    help: 'everything counted, and the gauges of all workers added up; ?filter=TEXT, ?format=json',
    answer: stats,
  },
  {
    path: '/metrics',
    help: 'everything counted, for Prometheus',
    answer: (parts) => parts.metrics(),
  },
  {
    path: '/stats/prometheus',
    help: 'the same as /metrics',
    answer: (parts) => parts.metrics(),
  },
  { path: '/server_info', help: 'version, uptime, options, ports, workers', answer: serverInfo },
  {
    path: '/faults',
    help: 'what is disturbed on purpose; POST ?host=reviews&fault=abort+503+10%25&for=60s does so, POST ?clear=all ends it',
    answer: ({ faults }, request) => faultPage(faults, request),
  },
  { path: '/logging', help: 'the log level; POST ?level=debug changes it', answer: logging },
  {
    path: '/drain',
    changes: true,
    help: 'POST: stop being ready, finish what runs, exit',
    answer: drain,
  },
  { path: '/quitquitquit', changes: true, help: 'POST: exit now', answer: quit },
]
const byPath = new Map(pages.map((page) => [page.path, page]))

/** Answers every request to the admin port. */
export function adminAnswer(parts: AdminParts): DoorAnswer {
  return (request) => {
    const refusal = refuse(request, parts.ownName)
    if (refusal !== undefined) return refusal
    const page = byPath.get(request.path === '/help' ? '/' : request.path)
    if (page === undefined)
      return { status: 404, body: `there is no page ${request.path}\n\n${helpText()}` }
    const reading = request.method === 'GET' || request.method === 'HEAD'
    if (page.changes === true && request.method !== 'POST') return notAllowed(request, 'POST')
    if (page.changes !== true && !reading && !['/logging', '/faults'].includes(page.path))
      return notAllowed(request, 'GET')
    return page.answer(parts, request)
  }
}

/** Kubelet's and load balancers' question, on a port of its own. */
export function healthAnswer(readiness: Readiness): DoorAnswer {
  return ({ path }) => {
    if (path !== '/healthz/ready') return { status: 404, body: 'ask for /healthz/ready\n' }
    const { reason } = readiness
    return reason === '' ? text('ready\n') : { status: 503, body: `not ready: ${reason}\n` }
  }
}

/** Prometheus' port. */
export function metricsAnswer(metrics: () => Promise<DoorReply>): DoorAnswer {
  return ({ path }) =>
    path === '/stats/prometheus' || path === '/metrics'
      ? metrics()
      : { status: 404, body: 'ask for /stats/prometheus\n' }
}

/** A browser sends the name it was told in Host (DNS rebinding) and its page's site in Origin. */
function refuse(request: DoorRequest, ownName: string): DoorReply | undefined {
  const name = hostName(request.host)
  if (!isTrusted(name, ownName))
    return {
      status: 403,
      body: `the Host "${name}" is not this admin server: call it by IP address or as localhost\n`,
    }
  if (request.origin !== '' && request.origin !== `http://${request.host}`)
    return { status: 403, body: `pages of ${request.origin} may not use this admin server\n` }
  return undefined
}

function hostName(host: string): string {
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'))
  const colon = host.lastIndexOf(':')
  return (colon < 0 ? host : host.slice(0, colon)).toLowerCase()
}

function isTrusted(name: string, ownName: string): boolean {
  if (name === '' || name === 'localhost' || name.endsWith('.localhost')) return true
  return isIP(name) !== 0 || name === ownName
}

function notAllowed(request: DoorRequest, wanted: string): DoorReply {
  return {
    status: 405,
    headers: { allow: wanted === 'GET' ? 'GET, HEAD' : wanted },
    body: `Method ${request.method} not allowed, ${wanted} required.\n`,
  }
}

function text(body: string): DoorReply {
  return { status: 200, body }
}

function json(value: unknown): DoorReply {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(value, undefined, 2)}\n` }
}

function wantsJson(request: DoorRequest): boolean {
  return request.query.get('format') === 'json'
}

function helpText(): string {
  const lines = pages.map(({ path, help }) => `  ${path.padEnd(18)} ${help}`)
  return `Outrider admin\n${lines.join('\n')}\n`
}

function ready({ readiness, supervisor, publisher }: AdminParts, request: DoorRequest): DoorReply {
  const { state, reason } = readiness
  const version = publisher.status.snapshot?.version ?? ''
  const wanted = request.query.get('version')
  // Scripts that name a version want every worker to have it, not only to be served.
  const other =
    wanted === null || wanted === version ? '' : `version ${version || 'none'} is in force`
  const missing = wanted === null ? reason : reason || other || supervisor.waitingFor
  const status = missing === '' ? 200 : 503
  const { quarantined, generation } = publisher.status
  const { error: errors, warning: warnings } = countBySeverity(publisher.status.problems)
  if (wantsJson(request)) {
    const pending = supervisor.waitingFor
    const value = {
      state,
      reason: missing,
      version,
      generation,
      pending,
      errors,
      warnings,
      quarantined,
    }
    return { ...json(value), status }
  }
  const lines = [state, `version ${version || 'none'}`, `generation ${generation}`]
  if (missing !== '') lines.push(`waiting: ${missing}`)
  if (errors > 0) lines.push(`${errors} errors in the configuration, see /problems`)
  if (quarantined.length > 0)
    lines.push(`kept at their last good version: ${quarantined.join(', ')}`)
  return { status, body: `${lines.join('\n')}\n` }
}

function config({ publisher }: AdminParts, request: DoorRequest): DoorReply {
  const { status } = publisher
  if (status.snapshot === undefined)
    return { status: 503, body: 'no configuration is in force yet\n' }
  if (request.query.get('format') === 'text') return text(configText(status.snapshot))
  return { status: 200, type: 'application/json', body: configJson(status) }
}

function problems({ publisher }: AdminParts, request: DoorRequest): DoorReply {
  const { status } = publisher
  if (wantsJson(request)) return json(problemsJson(status))
  const lines = status.problems.map((problem) =>
    problem.hint === '' ? problemLine(problem) : `${problemLine(problem)}\n    ${problem.hint}`,
  )
  if (status.failure !== '') lines.unshift(`the last reading failed: ${status.failure}`)
  if (lines.length === 0) lines.push('no problems')
  if (status.quarantined.length > 0)
    lines.push('', 'kept at their last good version, if there was one:', ...status.quarantined)
  return text(`${lines.join('\n')}\n`)
}

async function clusters({ collector }: AdminParts, request: DoorRequest): Promise<DoorReply> {
  const filter = request.query.get('filter') ?? ''
  const all = (await collector.clusters()).filter(({ name }) => name.includes(filter))
  return wantsJson(request) ? json(all) : text(clustersText(all))
}

function outliers({ supervisor }: AdminParts, request: DoorRequest): DoorReply {
  const { outliers } = supervisor.sharing
  if (!wantsJson(request)) return text(outliersText(outliers))
  return json({ ejected: outliers.status(), journal: outliers.journal.entries })
}

function dns({ names }: AdminParts, request: DoorRequest): DoorReply {
  return wantsJson(request) ? json(names()) : text(dnsText(names()))
}

async function stats({ collector }: AdminParts, request: DoorRequest): Promise<DoorReply> {
  const filter = request.query.get('filter') ?? ''
  const { workers, totals } = await collector.stats()
  const entries = Object.entries(totals).filter(([name]) => name.includes(filter))
  const all = [['workers', workers] as const, ...entries.sort()]
  if (wantsJson(request)) return json(Object.fromEntries(all))
  const live = all.map(([name, value]) => `${name}: ${value}\n`).join('')
  return text(`${live}${await collector.plain(filter)}`)
}

function serverInfo(parts: AdminParts): DoorReply {
  const workers = parts.supervisor.seats.map((seat) => {
    const { id, state, linked, linkMs, restarts, lastDeath } = seat
    return { id, state, version: linked, linkMs, restarts, lastDeath }
  })
  return json({ state: parts.readiness.state, ...parts.facts(), workers })
}

function logging({ log, supervisor }: AdminParts, request: DoorRequest): DoorReply {
  const level = request.query.get('level')
  if (level === null) return text(`level: ${log.level}\n`)
  if (request.method !== 'POST') return notAllowed(request, 'POST')
  if (!(logLevels as readonly string[]).includes(level))
    return { status: 400, body: `"${level}" is no level: use one of ${logLevels.join(', ')}\n` }
  log.level = level
  supervisor.setLogLevel(level)
  return text(`level: ${level}\n`)
}

function drain({ drain: start }: AdminParts): DoorReply {
  start()
  return text('draining\n')
}

function quit({ quit: end }: AdminParts): DoorReply {
  end()
  return text('exiting\n')
}
