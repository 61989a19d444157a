/** A captured workload calls services by name; Istio's own files, unchanged, decide who answers. */
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { isShare } from '../../examples/bookinfo/measure.ts'
import { type Namespace, openNetwork, requireRoot, requireTools } from '../support/netns.ts'

const samples = resolve(import.meta.dirname, '../../../shared/samples/istio')
const main = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))
const proxyUser = { uid: 0, gid: 1337 }

/** Names, Pods and where they are; no Service of these files has an address, as in the repository. */
const pods = [
  ['productpage', 'v1', '10.77.1.11', 9080],
  ['details', 'v1', '10.77.1.12', 9080],
  ['ratings', 'v1', '10.77.1.13', 9080],
  ['reviews', 'v1', '10.77.1.21', 9080],
  ['reviews', 'v2', '10.77.1.22', 9080],
  ['reviews', 'v3', '10.77.1.23', 9080],
  ['helloworld', 'v1', '10.77.1.31', 5000],
  ['helloworld', 'v2', '10.77.1.32', 5000],
  ['tcp-echo', 'v1', '10.77.1.41', 9000],
  ['tcp-echo', 'v2', '10.77.1.42', 9000],
] as const

/** What a cluster's DNS would answer. */
const names = [...new Set(pods.map(([app]) => app))]
const hosts = names
  .map((name, i) => `10.96.1.${i + 1} ${name} ${name}.default.svc.cluster.local`)
  .join('\n')

const podsYaml = pods
  .map(
    ([app, version, ip]) => `---
apiVersion: v1
kind: Pod
metadata: { name: ${app}-${version}, namespace: default, labels: { app: ${app}, version: ${version} } }
spec: { serviceAccountName: default }
status: { phase: Running, podIP: ${ip} }
`,
  )
  .join('')

class Mesh implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'outrider-samples-'))
  readonly client: Namespace
  private readonly network = openNetwork()
  private constructor() {
    chmodSync(this.folder, 0o755)
    this.client = this.network.add('client', {
      addresses: ['10.77.1.2/16'],
      hosts: `127.0.0.1 localhost\n${hosts}\n`,
    })
  }

  static async start(): Promise<Mesh> {
    const mesh = new Mesh()
    const addresses = pods.map(([, , ip]) => `${ip}/16`)
    const backends = mesh.network.add('backends', { addresses })
    const sockets = pods.map(([app, version, ip, port]) => `${ip} ${port} ${app}-${version}`)
    const program = fileURLToPath(new URL('./programs/versions.ts', import.meta.url))
    const servers = backends.spawn([process.execPath, program, ...sockets], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((done) => servers.stdout?.once('data', done))
    writeFileSync(join(mesh.folder, 'pods.yaml'), podsYaml)
    mesh.use(
      'bookinfo/platform/kube/bookinfo.yaml',
      'helloworld/helloworld.yaml',
      'tcp-echo/tcp-echo-services.yaml',
    )
    mesh.use('bookinfo/networking/destination-rule-all.yaml')
    const argv = [process.execPath, main, 'run', '--config', mesh.folder, '--namespace', 'default']
    const identity = [
      '--labels',
      'app=curl',
      '--ip',
      '10.77.1.2',
      '--workers',
      '1',
      '--settle-time',
      '0s',
    ]
    mesh.client.spawn([...argv, ...identity], { as: proxyUser, stdio: 'ignore' })
    mesh.client.must([process.execPath, main, 'wait', '--timeout', '30s'])
    mesh.client.must([process.execPath, main, 'iptables', 'apply'])
    return mesh
  }

  /** Copies samples as they are into the folder the sidecar follows. */
  use(...files: readonly string[]): void {
    for (const file of files) copyFileSync(join(samples, file), join(this.folder, basename(file)))
  }

  remove(...files: readonly string[]): void {
    for (const file of files) rmSync(join(this.folder, basename(file)), { force: true })
  }

  /** Changes the folder; returns when the sidecar follows it. */
  async change(edit: () => void): Promise<void> {
    const version = (): string => this.client.run(['curl', '-s', '127.0.0.1:15000/ready']).stdout
    const before = version()
    edit()
    while (version() === before) await new Promise((done) => setTimeout(done, 20))
  }

  /** One curl process, `total` requests; who answered how often. */
  curl(url: string, total: number, ...options: readonly string[]): Map<string, number> {
    const { stdout } = this.client.run(['curl', '-s', ...options, `${url}?n=[1-${total}]`], {
      as: { uid: 65_534, gid: 65_534 },
    })
    return count(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0] ?? ''),
    )
  }

  [Symbol.dispose](): void {
    this.network[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function count(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/** `total` connections of one client, one exchange each, to what the name resolves to. */
const tcpClient = `
const net = require('node:net')
const [total, host, port] = process.argv.slice(1)
let left = Number(total)
const next = () => {
  if (left-- <= 0) return
  const socket = net.connect(Number(port), host, () => socket.write('hello'))
  socket.once('data', (chunk) => { console.log(String(chunk)); socket.end() })
  socket.on('error', (error) => console.log(error.code))
  socket.on('close', next)
}
for (let i = 0; i < 8; i++) next()
`

const total = 2_000
const skip = existsSync(samples) ? undefined : "Istio's samples are not beside the project"

test("Istio's own files decide who answers a captured workload", {
  timeout: 110_000,
}, async (t) => {
  if (skip !== undefined && process.env['OUTRIDER_REQUIRE_ALL'] !== '1') {
    t.plan(0, skip)
    return
  }
  if (!requireRoot(t) || !requireTools(t, 'iptables', 'curl', 'setpriv')) return
  using mesh = await Mesh.start()
  const networking = (name: string): string => `bookinfo/networking/${name}`
  const url = 'http://reviews:9080/reviews/0'

  let inForce = ''
  const replaceBy = (file: string): void => {
    mesh.use(networking(file))
    if (inForce !== '') mesh.remove(inForce)
    inForce = file
  }
  const split = async (file: string, shares: Record<string, number>, ...curl: string[]) => {
    if (file !== inForce) await mesh.change(() => replaceBy(file))
    const within = (counts: Map<string, number>): boolean =>
      Object.entries(shares).every(([version, share]) =>
        isShare(counts.get(`reviews-${version}`) ?? 0, total, share),
      )
    // Chance leaves the 99.9 % interval once in a thousand: a second draw decides.
    const first = mesh.curl(url, total, ...curl)
    const counts = within(first) ? first : mesh.curl(url, total, ...curl)
    const told = JSON.stringify(Object.fromEntries(counts))
    t.ok(within(counts), `${file} ${curl.join(' ')}: ${JSON.stringify(shares)}, got ${told}`)
    const answered = Object.keys(shares).reduce(
      (sum, v) => sum + (counts.get(`reviews-${v}`) ?? 0),
      0,
    )
    t.equal(answered, total, `${file}: nobody else answered, nothing failed`)
  }
  await split('virtual-service-all-v1.yaml', { v1: 1 })
  await split('virtual-service-reviews-90-10.yaml', { v1: 0.9, v2: 0.1 })
  await split('virtual-service-reviews-80-20.yaml', { v1: 0.8, v2: 0.2 })
  await split('virtual-service-reviews-v2-v3.yaml', { v2: 0.5, v3: 0.5 })
  await split('virtual-service-reviews-50-v3.yaml', { v1: 0.5, v3: 0.5 })
  await split('virtual-service-reviews-v3.yaml', { v3: 1 })
  await split('virtual-service-reviews-test-v2.yaml', { v1: 1 })
  await split('virtual-service-reviews-test-v2.yaml', { v2: 1 }, '-H', 'end-user: jason')
  await split('virtual-service-reviews-jason-v2-v3.yaml', { v3: 1 })
  await split('virtual-service-reviews-jason-v2-v3.yaml', { v2: 1 }, '-H', 'end-user: jason')

  await mesh.change(() => mesh.remove(inForce))
  mesh.use('helloworld/helloworld-gateway.yaml')
  const hello = mesh.curl('http://helloworld:5000/hello', 400)
  t.equal((hello.get('helloworld-v1') ?? 0) + (hello.get('helloworld-v2') ?? 0), 400)
  t.ok(Math.min(...hello.values()) > 50, 'both versions of helloworld have their part')

  // The file's VirtualService is bound to a gateway, so a sidecar must not follow it: its twin for the mesh does.
  await mesh.change(() => {
    mesh.use('tcp-echo/tcp-echo-all-v1.yaml')
    writeFileSync(join(mesh.folder, 'tcp-echo-mesh.yaml'), tcpEchoForMesh)
  })
  const argv = [process.execPath, '-e', tcpClient, String(total), 'tcp-echo', '9000']
  const echoes = (): Map<string, number> => {
    const { stdout } = mesh.client.run(argv, { as: { uid: 65_534, gid: 65_534 } })
    return count(stdout.trim().split('\n'))
  }
  const share = (counts: Map<string, number>): boolean =>
    isShare(counts.get('tcp-echo-v1 hello') ?? 0, total, 0.8) &&
    isShare(counts.get('tcp-echo-v2 hello') ?? 0, total, 0.2)
  const drawn = echoes()
  const connections = share(drawn) ? drawn : echoes()
  t.ok(share(connections), `80 : 20 by connection, got ${JSON.stringify([...connections])}`)

  // A call to a Pod goes to that Pod, and a stranger is passed through.
  t.strictSame([...mesh.curl('http://10.77.1.22:9080/x', 20)], [['reviews-v2', 20]])
  t.strictSame([...mesh.curl('http://10.77.1.31:5000/x', 20)], [['helloworld-v1', 20]])
})

const tcpEchoForMesh = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: tcp-echo-mesh }
spec:
  hosts: [tcp-echo]
  tcp:
    - match: [{ port: 9000 }]
      route:
        - { destination: { host: tcp-echo, port: { number: 9000 }, subset: v1 }, weight: 80 }
        - { destination: { host: tcp-echo, port: { number: 9000 }, subset: v2 }, weight: 20 }
`
