/** nginx as reverse proxy: one server per host, keep-alive to the backend, request ids. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { accepts, Program, proxyCore, until } from '../program.ts'
import { findTool, needTool, versionOf } from '../tools.ts'
import { type Backend, hostName, type Peer, type Plan, sinkHost } from './peer.ts'

const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so'

export const nginx: Peer = {
  name: 'nginx',
  version() {
    const path = findTool('nginx')
    return path && versionOf(path, '-v')
  },
  async start(plan, ground) {
    const folder = ground.folder('nginx')
    const [web, sink] = [await ground.port(), await ground.port()]
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, configuration(plan, ground.backend, folder, { web, sink }))
    const began = performance.now()
    const argv = [needTool('nginx'), '-c', file, '-p', folder]
    const program = Program.start('nginx', proxyCore, argv, join(folder, 'log'))
    await until(program, 'its port', () => accepts(web))
    return {
      name: 'nginx',
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

function configuration(plan: Plan, backend: Backend, folder: string, ports: Ports): string {
  const traffic =
    plan.protocol === 'http' ? http(plan, backend, folder, ports.web) : stream(backend, ports)
  return `${existsSync(streamModule) ? `load_module ${streamModule};` : ''}
daemon off; master_process off; pid ${folder}/pid; error_log stderr error;

events { worker_connections 8192; }
${traffic}`
}

function http(plan: Plan, backend: Backend, folder: string, port: number): string {
  const names = Array.from({ length: plan.hosts }, (_, i) => hostName(i))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ')
  return `http {
  ${temporary}
  access_log ${plan.accessLog ? '/dev/null combined' : 'off'};
  keepalive_requests 1000000000; keepalive_timeout 3600s; client_max_body_size 0;
  tcp_nodelay on; server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Request-Id $request_id; proxy_buffers 8 16k;
  proxy_max_temp_file_size 0; proxy_request_buffering off;
  proxy_next_upstream error timeout; proxy_next_upstream_tries 3;
  ${upstream('web', backend.port)}
  ${upstream('sink', backend.sinkPort)}
  ${['web', 'sink'].map((name) => server(port, name, name)).join('\n  ')}
  ${names.map((name) => server(port, name, 'web')).join('\n  ')}
}
`
}

const upstream = (name: string, port: number) =>
  `upstream ${name} { server 127.0.0.1:${port}; keepalive 2048; keepalive_requests 1000000000; }`

const server = (port: number, name: string, target: string) =>
  `server { listen 127.0.0.1:${port} backlog=4096; server_name ${name} ${name}.default ${name}.default.svc.cluster.local; location / { proxy_pass http://${target}; } }`.replace(
    name === 'web' ? '' : ' backlog=4096',
    '',
  )

function stream(backend: Backend, { web, sink }: Ports): string {
  return `stream {
  server { listen 127.0.0.1:${web} backlog=4096; proxy_pass 127.0.0.1:${backend.port}; }
  server { listen 127.0.0.1:${sink} backlog=4096; proxy_pass 127.0.0.1:${backend.sinkPort}; }
}
`
}
