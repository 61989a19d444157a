/** Flags and environment to what a proxy process must know before it reads any configuration. */
import { isIP } from 'node:net'
import { cgroupCpus, type Machine } from './bootstrap-machine.ts'
import { SettingReader } from './bootstrap-reader.ts'
import type { Environment, RunOptions } from './bootstrap-settings.ts'
import { workloadFrom } from './bootstrap-workload.ts'
import { didYouMean } from './diagnostics.ts'
import { ports } from './ports.ts'
import type { WorkloadSpec } from './snapshot.ts'

export { type Machine, thisMachine } from './bootstrap-machine.ts'
export { addRunOptions, type RunOptions } from './bootstrap-settings.ts'

export interface Bootstrap {
  readonly workload: WorkloadSpec
  readonly configPaths: readonly string[]
  /** DNS domain of the mesh. */
  readonly domain: string
  readonly workers: number
  /** 0 lets the system choose. */
  readonly outboundPort: number
  readonly inboundPort: number
  readonly adminAddress: string
  readonly adminPort: number
  readonly healthPort: number
  readonly metricsPort: number
  /** `stdout`, `off`, a file; undefined: as MeshConfig.accessLogFile says. */
  readonly accessLog: string | undefined
  readonly logLevel: string
  readonly explicit: boolean
  readonly binds: ReadonlyArray<{
    readonly service: string
    readonly port: number
    readonly listen: Place
  }>
  readonly app: Place | undefined
  readonly settleMs: number
  readonly graceMs: number
}

export interface Place {
  readonly address: string
  readonly port: number
}

export type BootstrapResult =
  | { readonly bootstrap: Bootstrap; readonly problems: readonly [] }
  /** Sentences that name the setting, its value and the cure. */
  | { readonly bootstrap: undefined; readonly problems: readonly string[] }

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
const MOST_WORKERS = 64
const MOST_DEFAULT_WORKERS = 2

/** Precedence: flag, OUTRIDER_ variable, Istio's variable, default. */
export function bootstrapFrom(
  options: RunOptions,
  env: Environment,
  machine: Machine,
): BootstrapResult {
  const settings = new SettingReader(options, env)
  const explicit = settings.flag('explicit')
  const bootstrap: Bootstrap = {
    workload: workloadFrom(settings, machine),
    configPaths: configPaths(settings),
    domain: domain(settings),
    workers: workers(settings, machine),
    outboundPort: settings.port('outboundPort', ports.outbound),
    inboundPort: settings.port('inboundPort', ports.inbound),
    adminAddress: adminAddress(settings),
    adminPort: settings.port('adminPort', ports.admin),
    healthPort: settings.port('healthPort', ports.health),
    metricsPort: settings.port('metricsPort', ports.metrics),
    accessLog: settings.get('accessLog')?.values[0],
    logLevel: logLevel(settings),
    explicit,
    binds: binds(settings, explicit),
    app: app(settings, explicit),
    settleMs: settings.duration('settleTime', 3_000),
    graceMs: settings.duration('drainTime', 20_000),
  }
  checkPorts(settings, bootstrap)
  const { problems } = settings
  return problems.length > 0 ? { bootstrap: undefined, problems } : { bootstrap, problems: [] }
}

function configPaths(settings: SettingReader): readonly string[] {
  const paths = settings.get('config')?.values ?? []
  if (paths.length === 0)
    settings.problems.push('there is no configuration: give --config DIR, or set OUTRIDER_CONFIG')
  return paths
}

/** As Istio's agent is given it, the domain may be that of a namespace: default.svc.cluster.local. */
function domain(settings: SettingReader): string {
  return settings
    .text('domain', 'cluster.local')
    .replace(/^.*\.svc\./, '')
    .replace(/\.$/, '')
}

function workers(settings: SettingReader, { readText, cpus }: Machine): number {
  const found = settings.get('workers')
  if (found !== undefined) return settings.wholeNumber(found, 1, MOST_WORKERS, 'workers')
  return Math.min(MOST_DEFAULT_WORKERS, cgroupCpus(readText, cpus))
}

function adminAddress(settings: SettingReader): string {
  const found = settings.get('adminAddress')
  if (found === undefined) return '127.0.0.1'
  const [text] = found.values as [string]
  const address = text === 'localhost' ? '127.0.0.1' : text
  if (isIP(address) === 0)
    settings.complain(
      found.by,
      text,
      'is not an IP address: give 127.0.0.1, or 0.0.0.0 for every address',
    )
  return address
}

function logLevel(settings: SettingReader): string {
  const found = settings.get('logLevel')
  if (found === undefined) return 'info'
  const [text] = found.values as [string]
  const level = text.toLowerCase()
  if (!LOG_LEVELS.includes(level))
    settings.complain(found.by, text, `is not a log level. ${didYouMean(level, LOG_LEVELS)}`)
  return level
}

function checkPorts(settings: SettingReader, bootstrap: Bootstrap): void {
  const taken = new Map<number, string>()
  for (const [flag, port] of [
    ['--outbound-port', bootstrap.outboundPort],
    ['--inbound-port', bootstrap.explicit ? 0 : bootstrap.inboundPort],
    ['--admin-port', bootstrap.adminPort],
    ['--health-port', bootstrap.healthPort],
    ['--metrics-port', bootstrap.metricsPort],
  ] as const) {
    const before = taken.get(port)
    if (before !== undefined && port !== 0)
      settings.complain(flag, String(port), `is the port of ${before} too: give each its own`)
    taken.set(port, flag)
  }
}

// --- without capture ------------------------------------------------------------------------------------
function binds(settings: SettingReader, explicit: boolean): Bootstrap['binds'] {
  const found = settings.get('bind')
  if (found === undefined) return []
  const { by } = found
  if (!explicit) settings.problems.push(`${by} opens ports for explicit mode only: add --explicit`)
  const taken = new Set<string>()
  return found.values.flatMap((text) => {
    const equals = text.indexOf('=')
    const service = parsePlace(text.slice(0, equals))
    const written = text.slice(equals + 1)
    const listen = parsePlace(/^\d+$/.test(written) ? `127.0.0.1:${written}` : written)
    if (equals === -1 || service === undefined || listen === undefined || !isAddress(listen)) {
      settings.complain(by, text, 'is not a binding: write reviews:9080=127.0.0.1:19080')
      return []
    }
    const place = `${listen.address} ${listen.port}`
    if (listen.port !== 0 && taken.has(place))
      settings.complain(by, text, 'opens the port of another binding: give it another one')
    taken.add(place)
    return { service: service.address, port: service.port, listen }
  })
}

function app(settings: SettingReader, explicit: boolean): Place | undefined {
  const found = settings.get('app')
  if (found === undefined) return undefined
  const { by } = found
  if (!explicit)
    settings.problems.push(
      `${by} is for explicit mode only, captured connections know their port: add --explicit, or leave it out`,
    )
  const [text] = found.values as [string]
  const place = parsePlace(text.replace(/^localhost:/, '127.0.0.1:'))
  if (place !== undefined && isAddress(place) && place.port > 0) return place
  settings.complain(by, text, 'is not an address with a port: write 127.0.0.1:8080')
  return undefined
}

/** `host:port` or `[::1]:port`. */
function parsePlace(text: string): Place | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const address = bracketed ?? plain
  if (address === undefined || port === undefined || Number(port) > 65_535) return undefined
  return { address, port: Number(port) }
}

function isAddress({ address }: Place): boolean {
  return isIP(address) !== 0
}
