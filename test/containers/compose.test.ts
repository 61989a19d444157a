/** The compose examples as a reader runs them: without capture and captured, and a first canary. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from '../support/sockets.ts'

const root = resolve(import.meta.dirname, '../..')
const image = `localhost/outrider-compose:${process.pid}`
const tools = resolve(root, '../shared/tools')
const peers = process.env['OUTRIDER_PEERS'] ?? '/opt/outrider-peers'
const settings = '/etc/outrider-test/containers.conf'

const folder = mkdtempSync(join(tmpdir(), 'outrider-compose-'))
const socket = `unix://${folder}/podman.sock`
const environment = {
  ...process.env,
  ...(existsSync(settings) ? { CONTAINERS_CONF: settings } : {}),
  PATH: `${peers}/bin:${process.env['PATH']}`,
  DOCKER_HOST: socket,
  DOCKER_BUILDKIT: '0',
  OUTRIDER_IMAGE: image,
}

function run(program: string, args: readonly string[], seconds = 120, more = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...environment, ...more },
    timeout: seconds * 1000,
  })
  return { status, stdout: stdout ?? '', stderr: error === undefined ? stderr : error.message }
}

/** What keeps this machine from running compose; undefined when nothing does. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'containers need root'
  for (const [script, wanted] of [
    ['containers.sh', process.execPath],
    ['peers.sh', 'compose'],
  ] as const) {
    const path = join(tools, script)
    if (!existsSync(path)) continue
    const { status, stderr } = run('bash', [path, wanted], 500)
    if (status !== 0) return `${script} failed: ${stderr}`
  }
  for (const tool of ['podman', 'docker-compose'])
    if (run(tool, ['--version']).status !== 0) return `${tool} is not installed`
  return undefined
}

/** docker-compose talks to podman through this socket. */
async function engine(): Promise<ChildProcess> {
  const args = ['system', 'service', '--time=0', socket]
  const service = spawn('podman', args, { env: environment, stdio: 'ignore' })
  while (!existsSync(join(folder, 'podman.sock')) && service.exitCode === null)
    await new Promise((done) => setImmediate(done))
  return service
}

// Images are built and containers started: minutes, where the machine is busy.
t.setTimeout(590_000)
const why = obstacle()
if (why === undefined) await withEngine()
else if (process.env['OUTRIDER_REQUIRE_ALL'] === '1') t.fail(why)
else t.plan(0, why)
rmSync(folder, { recursive: true, force: true })

async function withEngine(): Promise<void> {
  const service = await engine()
  try {
    const build = ['build', '--layers=false', '--format', 'docker', '--network', 'host']
    const built = run('podman', [...build, '--isolation', 'chroot', '--tag', image, '.'], 600)
    t.equal(built.status, 0, built.status === 0 ? 'the image builds' : built.stderr.slice(-2000))
    if (built.status !== 0) return
    await t.test('without capture, a canary shifts with the weights', (t) =>
      life(t, 'explicit.yaml'),
    )
    await t.test('captured by iptables, it does too', (t) => life(t, 'compose.yaml'))
  } finally {
    run('podman', ['rmi', '--force', image])
    service.kill()
  }
}

type Compose = (...args: string[]) => ReturnType<typeof run>

async function life(t: Test, file: string): Promise<void> {
  t.setTimeout(200_000)
  const place = join(folder, file.replace('.yaml', ''))
  cpSync(join(root, 'examples/compose'), place, { recursive: true })
  // A subnet of one's own: what a killed run left behind, or a reader's own run, keeps its.
  for (const name of [file, 'mesh/hello.yaml']) {
    const text = readFileSync(join(place, name), 'utf8')
    writeFileSync(join(place, name), text.replaceAll('10.77.0.', `10.78.${process.pid % 256}.`))
  }
  const port = String(await freePort())
  const name = `outrider-test-${process.pid}`
  const compose: Compose = (...args) =>
    run('docker-compose', ['-p', name, '-f', join(place, file), ...args], 120, { WEB_PORT: port })
  try {
    const up = compose('up', '-d', '--no-build')
    t.equal(up.status, 0, up.status === 0 ? 'it comes up' : up.stderr.slice(-2000))
    if (up.status === 0) await canary(t, compose, place, `http://127.0.0.1:${port}/`)
  } catch (error) {
    t.fail(
      `${error} ${(error as Error).cause}: ${compose('logs', '--no-color').stdout.slice(-3000)}`,
    )
  } finally {
    compose('down', '--timeout', '1', '--volumes')
  }
}

async function canary(t: Test, compose: Compose, place: string, url: string): Promise<void> {
  for (const sidecar of ['web-sidecar', 'hello-v1-sidecar', 'hello-v2-sidecar']) {
    const wait = ['node', '/outrider/dist/proxy/main.js', 'wait', '--timeout', '30s']
    const ready = compose('exec', '-T', sidecar, ...wait)
    t.equal(ready.status, 0, `${sidecar}: ${ready.stdout}${ready.stderr}`)
  }
  const seen = await ask(url, 200)
  t.ok(seen.v1 > seen.v2 && seen.v2 > 0 && seen.v1 + seen.v2 === 200, JSON.stringify(seen))
  const rules = join(place, 'mesh/canary.yaml')
  const edited = readFileSync(rules, 'utf8').replace('weight: 90', 'weight: 0')
  writeFileSync(rules, edited.replace('weight: 10', 'weight: 100'))
  // The first call behind twenty of v2 in a row (0.1^20 under the former weights) follows the edit.
  for (let last = await ask(url, 20), i = 0; last.v2 < 20 && i < 50; i++) last = await ask(url, 20)
  const shifted = await ask(url, 100)
  t.same(shifted, { v1: 0, v2: 100, other: [] }, 'the edit is in force')
  const { stdout } = compose('logs', '--no-color', 'hello-v2-sidecar')
  t.match(stdout, /"GET \/ HTTP\/1\.1" 200 .* inbound\|8080\|\|/, 'the other side has a log of it')
}

async function ask(url: string, times: number) {
  const seen = { v1: 0, v2: 0, other: [] as string[] }
  for (let i = 0; i < times; i++) {
    const text = (await (await fetch(url)).text()).trim()
    if (text === 'web asked, got 200: hello from v1') seen.v1++
    else if (text === 'web asked, got 200: hello from v2') seen.v2++
    else seen.other.push(text)
  }
  return seen
}
