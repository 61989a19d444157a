/** HAProxy: a map of hosts, one thread, connections to the backend kept and shared. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accepts, Program, proxyCore, until } from '../program.ts'
import { findTool, needTool, versionOf } from '../tools.ts'
import { type Backend, hostName, type Peer, type Plan, sinkHost } from './peer.ts'

export const haproxy: Peer = {
  name: 'haproxy',
  version() {
    const path = findTool('haproxy')
    return path && versionOf(path, '-v')
  },
  async start(plan, ground) {
    const folder = ground.folder('haproxy')
    const [web, sink] = [await ground.port(), await ground.port()]
    const hosts = join(folder, 'hosts.map')
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(hosts, hostMap(plan))
    writeFileSync(file, configuration(plan, ground.backend, hosts, { web, sink }))
    const began = performance.now()
    const argv = [needTool('haproxy'), '-db', '-f', file]
    const program = Program.start('haproxy', proxyCore, argv, join(folder, 'log'))
    await until(program, 'its port', () => accepts(web))
    return {
      name: 'haproxy',
      port: web,
      sinkPort: plan.protocol === 'http' ? web : sink,
      sinkHost,
      program,
      readyAfterMs: performance.now() - began,
      stop: () => program.stop(),
    }
  },
}

type Ports = Readonly<Record<'web' | 'sink', number>>

function hostMap(plan: Plan): string {
  const names = Array.from({ length: plan.hosts }, (_, i) => hostName(i))
  return `web web\nsink sink\n${names.map((name) => `${name} web\n`).join('')}`
}

function configuration(plan: Plan, backend: Backend, hosts: string, ports: Ports): string {
  const timeouts = 'timeout connect 10s\n  timeout client 1h\n  timeout server 1h'
  const http = `  mode http
  option http-keep-alive
  http-reuse always
  retries 2
  retry-on conn-failure`
  const frontend = `frontend in
  bind 127.0.0.1:${ports.web}
  unique-id-format %{+X}o%ci%cp%Ts%rt
  unique-id-header X-Request-Id
  use_backend %[req.hdr(host),field(1,:),lower,map(${hosts},web)]`
  const tcpFrontends = `frontend web-in
  bind 127.0.0.1:${ports.web}
  default_backend web
frontend sink-in
  bind 127.0.0.1:${ports.sink}
  default_backend sink`
  return `global
  nbthread ${plan.workers}
  maxconn 4096
defaults
${plan.protocol === 'http' ? http : '  mode tcp'}
  ${timeouts}
${plan.protocol === 'http' ? frontend : tcpFrontends}
backend web
  server one 127.0.0.1:${backend.port}
backend sink
  server one 127.0.0.1:${backend.sinkPort}
`
}
