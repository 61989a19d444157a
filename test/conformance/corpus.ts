/**
 * The HTTP/1 corpus (../shared/corpora/http1) against a whole sidecar: `outrider run` as a process,
 * through its outbound port, a bound port, and inbound.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Running, type Started } from '../support/running.ts'
import { freePort } from '../support/sockets.ts'

const runner = resolve(import.meta.dirname, '../../../shared/corpora/http1/run.py')

/** Why the corpus cannot run here, or false. */
export function whyNot(): string | false {
  if (process.env['OUTRIDER_REQUIRE_ALL'] === '1') return false
  if (!existsSync(runner)) return 'the corpus is not on this machine'
  return spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not on this machine'
}

export interface Doors {
  readonly outbound: string
  readonly bound: string
  readonly inbound: string
  readonly backendPort: number
  readonly accessLog: string
}

/** The address of the workload: its own, so that its port is free. */
const address = '127.0.88.1'

/** `far.example` and hosts that the corpus names lead to the backend; `web` is the workload. Nothing is retried. */
function mesh(backendPort: number, ownPort: number): string {
  const hosts = [
    'foo.com',
    'example.com',
    'hostname',
    'haproxy.org',
    'www.techcrunch.com',
    'far.example',
  ]
  const ports = [80, 81, 8080]
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: far, namespace: default }
spec:
  hosts: ${JSON.stringify(hosts)}
  resolution: STATIC
  ports:
${ports.map((n) => `    - { number: ${n}, targetPort: ${backendPort}, name: http-${n}, protocol: HTTP }`).join('\n')}
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: far, namespace: default }
spec:
  hosts: ${JSON.stringify(hosts)}
  http: [{ retries: { attempts: 0 }, route: [{ destination: { host: far.example } }] }]
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { selector: { app: web }, ports: [{ name: http, port: ${ownPort} }] }
`
}

/** Starts a sidecar over the corpus's mesh; `folder` is for its files. */
export async function openDoors(folder: string): Promise<{ doors: Doors; proxy: Running }> {
  const [backendPort, ownPort, boundPort] = [await freePort(), await freePort(), await freePort()]
  writeFileSync(join(folder, 'mesh.yaml'), mesh(backendPort, ownPort))
  const accessLog = join(folder, 'access.log')
  const proxy = new Running([
    ...['--config', join(folder, 'mesh.yaml'), '--namespace', 'default', '--labels', 'app=web'],
    ...['--ip', address, '--app', `127.0.0.1:${backendPort}`, '--workers', '1'],
    ...['--bind', `far.example:80=127.0.0.1:${boundPort}`, '--access-log', accessLog],
  ])
  const { places } = (await proxy.said(/is ready after/)) as unknown as Started
  const [bound, inbound] = [`127.0.0.1:${boundPort}`, `${address}:${ownPort}`]
  return { doors: { outbound: places.outbound, bound, inbound, backendPort, accessLog }, proxy }
}

export interface Judged {
  readonly output: string
  readonly status: number | null
  /** Names of the cases that failed, sorted. */
  readonly failed: readonly string[]
  readonly desyncs: number
}

/** Runs the corpus through `door`; `more`: options of run.py. */
export async function judge(
  door: string,
  backendPort: number,
  more: readonly string[],
): Promise<Judged> {
  const args = [runner, door, '--backend-port', String(backendPort), '--jobs', '12', ...more]
  const child = spawn('python3', args)
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  child.stderr.on('data', (text) => {
    output += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  const failed = [...output.matchAll(/^ {2}(?:FAIL|DESYNC +\S+) +(\S+)/gm)].map(([, id = '']) => id)
  const desyncs = Number(/^DESYNC findings: (\d+)/m.exec(output)?.[1] ?? Number.NaN)
  return { output, status, failed: [...new Set(failed)].sort(), desyncs }
}
