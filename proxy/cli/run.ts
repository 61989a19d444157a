/** `outrider run`: the proxy itself, beside one application. Everything heavy loads while threads start. */
import { type Command, Option } from 'commander'
import {
  addRunOptions,
  type Bootstrap,
  bootstrapFrom,
  type RunOptions,
  thisMachine,
} from '../../config/bootstrap.ts'
import { given } from '../../config/bootstrap-settings.ts'
import type { LogFormat } from '../control/make-log.ts'
import type { Sidecar, SidecarPorts } from '../control/sidecar.ts'
import { withoutEchoes } from '../control/signals.ts'
import { StartFailure } from '../control/start-failure.ts'
import type { StartFacts } from '../control/start-summary.ts'
import type { WorkerSettings } from '../worker/messages.ts'
import { versionFacts } from './version.ts'

const help = `
Every option may also be given by the environment: OUTRIDER_CONFIG, OUTRIDER_ADMIN_PORT and so on, and
by the names Istio uses where it has one (POD_NAMESPACE, INSTANCE_IP, ...). Options win.

Examples:
  Without root or capture; call services through port 15001, serve your application on 8080:
    $ outrider run --explicit --config ./mesh --namespace default \\
        --labels app=productpage,version=v1 --app 127.0.0.1:8080
    $ curl -H 'Host: reviews:9080' http://127.0.0.1:15001/reviews/1
    $ http_proxy=http://127.0.0.1:15001 curl http://reviews:9080/reviews/1

  A local port for one service:
    $ outrider run --explicit --config ./mesh --bind reviews:9080=127.0.0.1:19080

  Captured, in a container that iptables redirects to (see outrider iptables --help):
    $ outrider run --config /etc/mesh --namespace default --labels app=reviews,version=v1

While it runs: http://127.0.0.1:15000/ lists the admin pages, and editing the YAML takes effect at
once. SIGTERM drains and exits; a second one exits at once.`

export function register(program: Command): void {
  const command = program
    .command('run')
    .description('Run the proxy beside an application, following a folder of YAML.')
  addRunOptions(command)
    .addOption(
      new Option('--log-format <format>', 'text or json (default: text on a terminal, else json)')
        .choices(['text', 'json'])
        .env('OUTRIDER_LOG_FORMAT'),
    )
    .addHelpText('after', help)
    .action(run)
}

type Options = RunOptions & { readonly logFormat?: LogFormat }

async function run(options: Options): Promise<void> {
  const bootstrap = readBootstrap(options)
  const sidecar = await makeSidecar(bootstrap, logFormatOf(options))
  const begin = withoutEchoes((signal) => void sidecar.shutdown.begin(signal))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, begin)
  try {
    const ports = await sidecar.start()
    await tell(sidecar, bootstrap, ports, logFormatOf(options))
  } catch (error) {
    await sidecar.stop()
    throw error
  }
}

function logFormatOf({ logFormat }: Options): LogFormat {
  return logFormat ?? (process.stderr.isTTY ? 'text' : 'json')
}

function readBootstrap(options: RunOptions): Bootstrap {
  const { bootstrap, problems } = bootstrapFrom(options, process.env, thisMachine)
  if (bootstrap === undefined) throw new StartFailure(problems.join('\noutrider: '), 2)
  // Nobody waits for endpoints to propagate where clients name the proxy themselves.
  const hasty = bootstrap.explicit && given('settleTime', options, process.env) === undefined
  return hasty ? { ...bootstrap, settleMs: 0 } : bootstrap
}

async function makeSidecar(bootstrap: Bootstrap, format: LogFormat): Promise<Sidecar> {
  const [{ Sidecar }, { makeLog }, { SystemLookup }, { FileSource }, { everyAddress }] =
    await Promise.all([
      import('../control/sidecar.ts'),
      import('../control/make-log.ts'),
      import('../control/name-lookup.ts'),
      import('../../config/file-source.ts'),
      import('../control/port-check.ts'),
    ])
  const wildcard = await everyAddress()
  const source = new FileSource(bootstrap.configPaths)
  const { version, node } = versionFacts()
  return new Sidecar({
    script: workerScript(),
    settings: workerSettings(bootstrap, wildcard),
    log: await makeLog(format, bootstrap.logLevel),
    read: readerOf(bootstrap, source),
    watch: (onChange) => source.watch(onChange),
    lookup: new SystemLookup(),
    admin: { address: bootstrap.adminAddress, port: bootstrap.adminPort },
    health: { address: wildcard, port: bootstrap.healthPort },
    metrics: { address: wildcard, port: bootstrap.metricsPort },
    version,
    facts: {
      node,
      workload: bootstrap.workload,
      config: bootstrap.configPaths,
      options: bootstrap,
    },
    settleMs: bootstrap.settleMs,
    graceMs: bootstrap.graceMs,
    exit: (code) => process.exit(code),
  })
}

/** The compiler is loaded at the first reading: worker threads are starting meanwhile. */
function readerOf(
  { workload, domain }: Bootstrap,
  source: import('../../config/source.ts').ConfigSource,
): import('../control/sidecar.ts').SidecarOptions['read'] {
  let reader: Promise<import('../../config/reader.ts').ConfigReader> | undefined
  return async () => {
    reader ??= import('../../config/reader.ts').then(
      ({ ConfigReader }) => new ConfigReader(source, workload, { domain }),
    )
    return (await reader).read()
  }
}

/** Beside this file's folder, in the form this file has: source or built. */
function workerScript(): URL {
  const kind = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`../worker/main.${kind}`, import.meta.url)
}

function workerSettings(bootstrap: Bootstrap, wildcard: string): Omit<WorkerSettings, 'id'> {
  const { explicit, binds, app, accessLog, logLevel, workers } = bootstrap
  return {
    workers,
    outbound: { address: explicit ? '127.0.0.1' : wildcard, port: bootstrap.outboundPort },
    inbound: explicit ? undefined : { address: wildcard, port: bootstrap.inboundPort },
    explicit,
    binds,
    app,
    accessLog,
    logLevel,
  }
}

/** Once it is ready: a block for people, or the same facts as one line for collectors. */
async function tell(
  sidecar: Sidecar,
  bootstrap: Bootstrap,
  ports: SidecarPorts,
  format: LogFormat,
): Promise<void> {
  await sidecar.readiness.whenReady()
  const facts = startFacts(sidecar, bootstrap, ports)
  if (format === 'text') {
    const { startLines } = await import('../control/start-summary.ts')
    process.stderr.write(startLines(facts))
    return
  }
  const seconds = (facts.readyAfterMs / 1_000).toFixed(2)
  sidecar.log.info(facts, `Outrider ${facts.version} is ready after ${seconds} s`)
}

function startFacts(sidecar: Sidecar, bootstrap: Bootstrap, ports: SidecarPorts): StartFacts {
  const { workload, explicit, workers, configPaths, adminAddress } = bootstrap
  const { status } = sidecar.publisher
  const { services, problems } = sidecar.summary()
  const at = (port: number | undefined, address = '127.0.0.1'): string | undefined =>
    port === undefined ? undefined : `${address.includes(':') ? `[${address}]` : address}:${port}`
  return {
    version: versionFacts().version,
    workload,
    explicit,
    workers,
    binds: sidecar.supervisor.binds,
    places: {
      outbound: at(ports.outbound) ?? '',
      inbound: explicit ? undefined : at(ports.inbound),
      admin: at(ports.admin, adminAddress),
      health: at(ports.health),
      metrics: at(ports.metrics),
    },
    folders: configPaths,
    files: status.files,
    configVersion: status.snapshot?.version ?? '',
    generation: status.generation,
    services,
    problems,
    quarantined: status.quarantined,
    readyAfterMs: sidecar.readiness.readyAt ?? performance.now(),
  }
}
