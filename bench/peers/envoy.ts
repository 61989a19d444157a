/** Envoy configured as a mesh would: the same routing table, RBAC, fault and CORS filters, retries, stats. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accepts, Program, proxyCore, until } from '../program.ts'
import { findTool, needTool, versionOf } from '../tools.ts'
import {
  circuitBreakers,
  cors,
  extension,
  fault,
  httpManager,
  listener,
  loadAssignment,
  router,
  socketAddress,
  tcpProxy,
} from './envoy-config.ts'
import { podAddress } from './mesh-yaml.ts'
import {
  type Backend,
  endpointAddress,
  hostName,
  type Peer,
  type Plan,
  retries,
  sinkHost,
} from './peer.ts'

export const envoy: Peer = {
  name: 'envoy',
  version() {
    const path = findTool('envoy')
    return path && versionOf(path, '--version').replace(/^.*\//, '')
  },
  async start(plan, ground) {
    const folder = ground.folder('envoy')
    const [web, sink, admin] = [await ground.port(), await ground.port(), await ground.port()]
    const file = join(folder, 'envoy.json')
    writeFileSync(file, JSON.stringify(bootstrap(plan, ground.backend, { web, sink, admin })))
    const began = performance.now()
    const argv = [
      ...[needTool('envoy'), '-c', file, '--concurrency', String(plan.workers)],
      ...['--use-dynamic-base-id', '--log-level', 'error'],
    ]
    const program = Program.start('envoy', proxyCore, argv, join(folder, 'log'))
    await until(program, 'its listener', async () => (await accepts(web)) && (await isLive(admin)))
    return {
      name: 'envoy',
      port: web,
      sinkPort: plan.protocol === 'http' ? web : sink,
      sinkHost,
      program,
      readyAfterMs: performance.now() - began,
      stop: () => program.stop(),
    }
  },
}

async function isLive(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/ready`).then(
    (reply) => reply.ok,
    () => false,
  )
}

type Ports = Readonly<Record<'web' | 'sink' | 'admin', number>>

function bootstrap(plan: Plan, backend: Backend, ports: Ports): object {
  const own = Array.from({ length: plan.endpointsPerHost }, (_, i) => endpointAddress(i))
  const clusters = [
    cluster('web', own, backend.port),
    cluster('sink', [endpointAddress(0)], backend.sinkPort),
    ...Array.from({ length: plan.hosts }, (_, i) =>
      cluster(hostName(i), hostEndpoints(i, plan), backend.port),
    ),
  ]
  const listeners =
    plan.protocol === 'http'
      ? [listener('web', ports.web, web(plan))]
      : (['web', 'sink'] as const).map((name) =>
          listener(name, ports[name], tcpProxy({ stat_prefix: name, cluster: name })),
        )
  return {
    admin: { address: socketAddress('127.0.0.1', ports.admin) },
    static_resources: { listeners, clusters },
  }
}

function hostEndpoints(index: number, plan: Plan): string[] {
  if (plan.endpointsPerHost === 1) return [endpointAddress(0)]
  return Array.from({ length: plan.endpointsPerHost }, (_, i) => podAddress(index, i))
}

function cluster(name: string, addresses: readonly string[], port: number): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: circuitBreakers(),
    load_assignment: loadAssignment(
      name,
      addresses.map((address) => [address, port]),
    ),
  }
}

function web(plan: Plan): object {
  const names = ['web', 'sink', ...Array.from({ length: plan.hosts }, (_, i) => hostName(i))]
  return httpManager({
    stat_prefix: 'outbound',
    generate_request_id: true,
    route_config: { name: 'mesh', virtual_hosts: names.map(virtualHost) },
    http_filters: httpFilters(),
    ...(plan.accessLog ? { access_log: [fileLog()] } : {}),
  })
}

function virtualHost(name: string): object {
  const domains = [
    ...[name, `${name}:8080`, `${name}.default`, `${name}.default:8080`],
    ...[`${name}.default.svc.cluster.local`, `${name}.default.svc.cluster.local:8080`],
  ]
  const retry = { retry_on: retries.on, num_retries: retries.attempts }
  return {
    name,
    domains,
    routes: [
      { match: { prefix: '/' }, route: { cluster: name, timeout: '0s', retry_policy: retry } },
    ],
  }
}

function httpFilters(): object[] {
  const denied = { header: { name: 'x-denied', present_match: true } }
  const rules = {
    action: 'DENY',
    policies: { none: { permissions: [denied], principals: [{ any: true }] } },
  }
  const abort = { http_status: 503, percentage: { numerator: 100 } }
  const faulty = [{ name: 'x-fault', present_match: true }]
  return [
    extension('filters.http.rbac.v3.RBAC', 'envoy.filters.http.rbac', { rules }),
    fault({ abort, headers: faulty }),
    cors,
    router,
  ]
}

function fileLog(): object {
  const path = '/dev/null'
  return extension('access_loggers.file.v3.FileAccessLog', 'envoy.access_loggers.file', { path })
}
