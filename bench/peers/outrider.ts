/** Outrider as users run it: the command line, a folder of YAML, clients that name the service. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outriderVersion, projectRoot } from '../machine.ts'
import { accepts, Program, proxyCore, until } from '../program.ts'
import { meshFiles } from './mesh-yaml.ts'
import { type Ground, type Peer, type Plan, type RunningPeer, sinkHost } from './peer.ts'

export const outrider: Peer = {
  name: 'outrider',
  version: () => `${outriderVersion()} on Node ${process.versions.node}`,
  start: (plan, ground) => startOutrider(plan, ground),
}

export interface RunningOutrider extends RunningPeer {
  readonly program: Program
  readonly configFolder: string
  readonly adminPort: number
}

export async function startOutrider(plan: Plan, ground: Ground): Promise<RunningOutrider> {
  const folder = ground.folder('outrider')
  const configFolder = ground.folder('outrider-config')
  for (const [name, text] of meshFiles(plan, ground.backend))
    writeFileSync(join(configFolder, name), text)
  const ports = {
    outbound: await ground.port(),
    admin: await ground.port(),
    health: await ground.port(),
    metrics: await ground.port(),
    web: await ground.port(),
    sink: await ground.port(),
  }
  const began = performance.now()
  const argv = commandLine(plan, configFolder, ports)
  const program = Program.start('outrider', proxyCore, argv, join(folder, 'log'))
  await until(program, 'readiness', () => isReady(ports.health))
  const isHttp = plan.protocol === 'http'
  return {
    name: 'outrider',
    port: isHttp ? ports.outbound : ports.web,
    sinkPort: isHttp ? ports.outbound : ports.sink,
    sinkHost,
    program,
    configFolder,
    adminPort: ports.admin,
    readyAfterMs: performance.now() - began,
    stop: () => program.stop(),
  }
}

type Ports = Readonly<Record<'outbound' | 'admin' | 'health' | 'metrics' | 'web' | 'sink', number>>

function commandLine(plan: Plan, configFolder: string, ports: Ports): string[] {
  const flags = (process.env['OUTRIDER_BENCH_NODE_FLAGS'] ?? '').split(' ').filter(Boolean)
  const argv = [
    ...[process.execPath, ...flags, join(projectRoot, 'proxy', 'main.ts')],
    ...['run', '--explicit', '--config', configFolder, '--workers', String(plan.workers)],
    ...['--access-log', plan.accessLog ? '/dev/null' : 'off', '--log-level', 'warn'],
    ...['--outbound-port', String(ports.outbound), '--admin-port', String(ports.admin)],
    ...['--health-port', String(ports.health), '--metrics-port', String(ports.metrics)],
    ...['--settle-time', '0s', '--drain-time', '0s'],
  ]
  if (plan.protocol === 'http') return argv
  const binds = [`web:8080=127.0.0.1:${ports.web}`, `sink:8080=127.0.0.1:${ports.sink}`]
  return [...argv, ...binds.flatMap((bind) => ['--bind', bind])]
}

async function isReady(port: number): Promise<boolean> {
  if (!(await accepts(port))) return false
  return fetch(`http://127.0.0.1:${port}/healthz/ready`).then(
    (reply) => reply.ok,
    () => false,
  )
}
