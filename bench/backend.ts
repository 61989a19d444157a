/** What the proxies forward to: nginx for replies and files, and a sink that reads whole uploads. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Backend } from './peers/peer.ts'
import { endpointAddress } from './peers/peer.ts'
import { accepts, loadCore, Program, until } from './program.ts'
import { needTool } from './tools.ts'

/** Paths on the backend and the bytes of each body. */
export const bodies = {
  '/100': 100,
  '/1k': 1024,
  '/64k': 64 * 1024,
  '/10m': 10 * 1024 * 1024,
} as const
export type BodyPath = keyof typeof bodies

/** As many as a host has endpoints at most. */
const addresses = 10

export async function startBackend(
  root: string,
  freePort: () => Promise<number>,
): Promise<Backend> {
  const folder = join(root, 'backend')
  const files = join(folder, 'files')
  mkdirSync(files, { recursive: true })
  for (const path of ['/1k', '/64k', '/10m'] as const)
    writeFileSync(join(files, path), Buffer.alloc(bodies[path], 'x'))
  const [port, sinkPort] = [await freePort(), await freePort()]
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, configuration(folder, files, port))
  const argv = [needTool('nginx'), '-c', file, '-p', folder]
  const backend = Program.start('the backend', loadCore, argv, join(folder, 'log'))
  await until(backend, 'its port', () => accepts(port))
  const sinkArgv = [
    process.execPath,
    join(import.meta.dirname, 'load', 'sink.ts'),
    String(sinkPort),
  ]
  const sink = Program.start('the sink', loadCore, sinkArgv, join(folder, 'sink.log'))
  await until(sink, 'its port', () => accepts(sinkPort))
  return { port, sinkPort }
}

function configuration(folder: string, files: string, port: number): string {
  const listens = Array.from({ length: addresses }, (_, i) => endpointAddress(i))
    .map((address) => `listen ${address}:${port} backlog=4096;`)
    .join(' ')
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr error;

events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=16;
  server {
    ${listens}
    root ${files};
    location = /100 { return 200 "${'x'.repeat(100)}"; }
  }
}
`
}
