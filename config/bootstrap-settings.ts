/** The settings of `outrider run`: one row each, with its flag, its environment names and its help. */
import type { Command } from 'commander'

interface Setting {
  /** As commander writes it; the long name also names the environment variable. */
  readonly flag: string
  readonly help: string
  /** Istio's own environment names, first one wins. */
  readonly istio?: readonly string[]
  /** May be given several times; the environment separates by commas. */
  readonly many?: true
}

export const runSettings = {
  config: {
    flag: '--config <path>',
    help: 'folder (or file) of Istio and Kubernetes YAML; may be given several times',
    many: true,
  },
  namespace: {
    flag: '--namespace <name>',
    help: 'namespace of the workload (default: default)',
    istio: ['POD_NAMESPACE'],
  },
  name: {
    flag: '--name <name>',
    help: 'name of the workload, for logs (default: its app label)',
    istio: ['POD_NAME', 'ISTIO_META_WORKLOAD_NAME'],
  },
  labels: {
    flag: '--labels <list>',
    help: 'labels of the workload: app=productpage,version=v1',
  },
  serviceAccount: {
    flag: '--service-account <name>',
    help: 'service account of the workload (default: default)',
    istio: ['SERVICE_ACCOUNT'],
  },
  ip: {
    flag: '--ip <address>',
    help: 'address of the workload; several: repeat it or separate by commas (default: those of this machine)',
    istio: ['INSTANCE_IPS', 'INSTANCE_IP'],
    many: true,
  },
  locality: {
    flag: '--locality <region/zone/subzone>',
    help: 'where the workload is; zone and subzone may be left out (default: as its labels, Pod or EndpointSlice say)',
  },
  domain: {
    flag: '--domain <name>',
    help: 'DNS domain of the mesh (default: cluster.local)',
  },
  workers: {
    flag: '--workers <count>',
    help: 'threads of traffic (default: the CPUs of the cgroup, at most 2)',
  },
  outboundPort: {
    flag: '--outbound-port <port>',
    help: 'where captured outbound connections arrive (default: 15001)',
  },
  inboundPort: {
    flag: '--inbound-port <port>',
    help: 'where captured inbound connections arrive (default: 15006)',
  },
  adminPort: {
    flag: '--admin-port <port>',
    help: 'admin pages (default: 15000)',
  },
  adminAddress: {
    flag: '--admin-address <address>',
    help: 'address of the admin pages (default: 127.0.0.1)',
  },
  healthPort: {
    flag: '--health-port <port>',
    help: 'readiness, /healthz/ready (default: 15021)',
    istio: ['ISTIO_META_ENVOY_STATUS_PORT'],
  },
  metricsPort: {
    flag: '--metrics-port <port>',
    help: 'metrics, /stats/prometheus (default: 15090)',
    istio: ['ISTIO_META_ENVOY_PROMETHEUS_PORT'],
  },
  accessLog: {
    flag: '--access-log <where>',
    help: 'stdout, off or a file (default: as MeshConfig.accessLogFile says)',
  },
  logLevel: {
    flag: '--log-level <level>',
    help: 'trace, debug, info, warn, error, fatal or silent (default: info)',
  },
  explicit: {
    flag: '--explicit',
    help: 'no capture: clients address the proxy themselves (Host, http_proxy, CONNECT or --bind)',
  },
  bind: {
    flag: '--bind <service:port=address:port>',
    help: 'with --explicit: a local port that stands for one service: reviews:9080=127.0.0.1:19080',
    many: true,
  },
  app: {
    flag: '--app <address:port>',
    help: 'with --explicit: where the application listens; inbound calls are forwarded to it',
  },
  settleTime: {
    flag: '--settle-time <duration>',
    help: 'at the end: how long to go on serving after readiness turned false (default: 3s)',
    istio: ['MINIMUM_DRAIN_DURATION'],
  },
  drainTime: {
    flag: '--drain-time <duration>',
    help: 'at the end: how long open connections may take after that (default: 20s)',
    istio: ['TERMINATION_DRAIN_DURATION_SECONDS'],
  },
} as const satisfies Record<string, Setting>

export type RunSetting = keyof typeof runSettings

/** What commander parsed: texts as written, lists for repeated flags. */
export type RunOptions = { readonly [Name in RunSetting]?: string | readonly string[] | boolean }

export function addRunOptions<Target extends Command>(command: Target): Target {
  for (const { flag, help, ...setting } of Object.values(runSettings) as Setting[])
    if (setting.many)
      command.option(flag, help, (value: string, before: string[] | undefined) => [
        ...(before ?? []),
        value,
      ])
    else command.option(flag, help)
  return command
}

/** `--admin-port` */
export function flagOf(name: RunSetting): string {
  return runSettings[name].flag.split(' ', 1)[0]!
}

/** `OUTRIDER_ADMIN_PORT` */
export function variableOf(name: RunSetting): string {
  return `OUTRIDER_${flagOf(name).slice(2).replaceAll('-', '_').toUpperCase()}`
}

/** A setting as it was given, and by what. */
export interface Given {
  readonly values: readonly string[]
  /** `--admin-port`, `OUTRIDER_ADMIN_PORT` or Istio's name. */
  readonly by: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Flag before OUTRIDER_ variable before Istio's variable. An empty variable is none. */
export function given(name: RunSetting, options: RunOptions, env: Environment): Given | undefined {
  const setting: Setting = runSettings[name]
  const option = options[name]
  if (option !== undefined) {
    const values = typeof option === 'object' ? option : [String(option)]
    return {
      values: setting.many ? values.flatMap((value) => split(name, value)) : values,
      by: flagOf(name),
    }
  }
  for (const variable of [variableOf(name), ...(setting.istio ?? [])]) {
    const value = env[variable]?.trim()
    if (value === undefined || value === '') continue
    return { values: setting.many ? split(name, value) : [value], by: variable }
  }
  return undefined
}

/** Paths may hold commas only when each is given by its own flag. */
function split(name: RunSetting, value: string): string[] {
  const separator = name === 'config' ? /[,:]/ : ','
  return value
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
