import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

const root = resolve(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The oldest Node the package promises to run on: the newest of its line when this was written. */
const oldNode = '24.21.0'
const nodePackage = `node-${process.platform}-${process.arch}`

const place = mkdtempSync(join(tmpdir(), 'outrider-package-'))
t.teardown(() => rmSync(place, { recursive: true, force: true }))

/** Outside npm's own environment, so that a nested npm sees the folder it runs in. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('npm_') && !/^TAP/.test(name)),
)

function run(program: string, args: string[], cwd = place, more: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...env, ...more },
    timeout: 300_000,
  })
  return { status, stdout, stderr: error === undefined ? stderr : `${error.message}\n${stderr}` }
}

const good = `apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: default }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
`
const bad = good.replace('port: 9080', 'port: 908000')

const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']

t.test('the package', async (t) => {
  const packed = run('npm', ['pack', '--json', '--pack-destination', place], root)
  t.equal(packed.status, 0, 'npm pack builds and packs')
  if (packed.status !== 0) return console.error(packed.stderr + packed.stdout)
  // npm 11 prints a list of packages, npm 12 an object by name; scripts may print before it
  const [{ filename, files, size }] = Object.values<Packed>(
    JSON.parse(packed.stdout.slice(packed.stdout.search(/^[[{]$/m))),
  ) as [Packed]
  const paths = files.map(({ path }) => path)
  t.same(
    paths.filter(
      (path) => !/^(dist\/|proxy\/launcher\.js$|LICENSE|README|package\.json)/.test(path),
    ),
    [],
    'it holds what runs and nothing else',
  )
  t.same(
    paths.filter((path) => path.endsWith('.ts')),
    [],
    'no TypeScript, which Node does not run below node_modules',
  )
  t.ok(paths.includes('LICENSE'), 'the licence goes with it')
  t.ok(size < 1_000_000, `it is small: ${size} bytes`)

  writeFileSync(join(place, 'package.json'), '{ "private": true }')
  const installed = run('npm', [...install, '--ignore-scripts', `./${filename}`])
  t.equal(installed.status, 0, 'it installs without a script')
  if (installed.status !== 0) return console.error(installed.stderr)
  const old = run('npm', [...install, '--prefix', 'old', `${nodePackage}@${oldNode}`])
  t.equal(old.status, 0, `Node ${oldNode} is there to try it on`)

  for (const [name, more] of [
    ['the packaged Node', {}],
    [
      `Node ${oldNode}`,
      { OUTRIDER_NODE: join(place, 'old/node_modules', nodePackage, 'bin/node') },
    ],
  ] as const)
    smoke(t, name, more)
})

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
  readonly size: number
}

function smoke(t: Test, name: string, more: NodeJS.ProcessEnv): void {
  t.test(`the installed command works on ${name}`, async (t) => {
    const outrider = (...args: string[]) =>
      run(join(place, 'node_modules/.bin/outrider'), args, place, more)
    const told = outrider('version')
    t.equal(told.status, 0)
    t.match(told.stdout, version, 'version says which')

    const folder = t.testdir({ good: { 'a.yaml': good }, bad: { 'a.yaml': bad } })
    const valid = outrider('validate', join(folder, 'good'))
    t.equal(valid.status, 0, 'validate accepts good YAML')
    t.equal(valid.stderr, '')
    const invalid = outrider('validate', join(folder, 'bad'))
    t.equal(invalid.status, 1, 'validate refuses bad YAML')
    t.match(invalid.stdout, /a\.yaml:6:\d+: error: /, 'with its place')

    const explained = outrider(
      ...['explain', '--config', join(folder, 'good'), '--namespace', 'default'],
      ...['GET', 'http://reviews:9080/'],
    )
    t.equal(explained.status, 0, 'explain answers')
    t.match(explained.stdout, /reviews/)
  })

  t.test(`the installed proxy carries a request on ${name}`, (t) => carries(t, more))
}

const endpoints = (port: number) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: reviews-1, namespace: default, labels: { kubernetes.io/service-name: reviews } }
addressType: IPv4
endpoints: [{ addresses: [127.0.0.1] }]
ports: [{ name: http, port: ${port} }]
`

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createTcpServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => String((server.address() as AddressInfo).port))
  for (const server of servers) server.close()
  return ports
}

async function carries(t: Test, more: NodeJS.ProcessEnv): Promise<void> {
  const application = createServer((_, reply) => reply.end('hello')).listen(0, '127.0.0.1')
  await once(application, 'listening')
  t.teardown(() => application.close())
  const { port } = application.address() as AddressInfo
  const folder = t.testdir({ 'a.yaml': good + endpoints(port) })
  const [outbound, inbound, admin, health, metrics] = await freePorts(5)

  const outrider = join(place, 'node_modules/.bin/outrider')
  const proxy = spawn(
    outrider,
    [
      ...['run', '--explicit', '--config', folder, '--namespace', 'default', '--workers', '1'],
      ...['--labels', 'app=page', '--ip', '127.0.0.1', '--settle-time', '0s'],
      ...['--outbound-port', outbound!, '--inbound-port', inbound!, '--admin-port', admin!],
      ...['--health-port', health!, '--metrics-port', metrics!],
    ],
    { env: { ...env, ...more }, stdio: ['ignore', 'ignore', 'inherit'] },
  )
  t.teardown(() => proxy.kill('SIGTERM'))
  const ready = run(outrider, ['wait', '--timeout', '30s', '--health-port', health!], place, more)
  t.equal(ready.status, 0, 'it gets ready')

  const request = get({ port: outbound, headers: { host: 'reviews:9080' }, agent: false })
  const [reply] = (await once(request, 'response')) as [IncomingMessage]
  t.equal(reply.statusCode, 200)
  t.equal((await reply.setEncoding('utf8').toArray()).join(''), 'hello')

  proxy.kill('SIGTERM')
  const [code] = await once(proxy, 'exit')
  t.equal(code, 0, 'it ends when told to')
}
