/** Configuration that changes, or breaks, under load: `OUTRIDER_LONG=1` makes it a thousand reloads. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { syntax, types, unknown } from '../config/broken-cases.ts'
import { values } from '../config/broken-values.ts'
import { SteadyLoad } from '../support/load.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const reloads = process.env['OUTRIDER_LONG'] === '1' ? 1_000 : 60

const rules = (header: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - route: [{ destination: { host: web } }]
      headers: { response: { set: { x-rule: '${header}' } } }
`

interface Mesh extends AsyncDisposable {
  readonly folder: string
  readonly outbound: number
  readonly admin: number
  readonly running: Running
  write(name: string, text: string): void
  remove(name: string): void
}

async function start(t: Test): Promise<Mesh> {
  const upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const folder = mkdtempSync(join(tmpdir(), 'outrider-reload-'))
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, `.${name}`), text)
    renameSync(join(folder, `.${name}`), join(folder, name))
  }
  write('web.yaml', serviceYaml('web', [upstream.port]))
  write('rules.yaml', rules('first'))
  const args = ['--config', folder, '--workers', '2', '--ip', '127.0.0.1', '--settle-time', '0s']
  const running = new Running(args)
  const ready = await running.ready()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return {
    folder,
    outbound: ready.outbound,
    admin: ready.admin,
    running,
    write,
    remove: (name) => rmSync(join(folder, name)),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

/** Resolves when replies carry this rule. */
async function inForce({ outbound }: Mesh, rule: string): Promise<void> {
  for (;;) {
    const { headers } = await ask(outbound, { headers: { host: 'web' } })
    if (headers['x-rule'] === rule) return
    await new Promise((done) => setTimeout(done, 5))
  }
}

async function admin(mesh: Mesh, path: string): Promise<string> {
  return (await ask(mesh.admin, { path, headers: { host: `127.0.0.1:${mesh.admin}` } })).body
}

test('broken YAML is told and leaves traffic alone', { timeout: 110_000 }, async (t) => {
  await using mesh = await start(t)
  const load = new SteadyLoad(mesh.outbound, { headers: { host: 'web' } })
  const broken = [...syntax, ...types, ...unknown, ...values].filter(([, , at]) =>
    / error /.test(at),
  )
  t.ok(broken.length >= 50, `${broken.length} kinds`)
  for (const [name, yaml, expected] of broken) {
    mesh.write('broken.yaml', yaml)
    const [place = '', , code = ''] = expected.split(' ')
    const told = `broken.yaml:${place}: error`
    let problems = ''
    for (let i = 0; i < 400 && !(problems.includes(told) && problems.includes(code)); i++) {
      problems = await admin(mesh, '/problems')
      await new Promise((done) => setTimeout(done, 10))
    }
    t.ok(problems.includes(told) && problems.includes(code), `${name}: ${told} (${code})`)
  }
  mesh.remove('broken.yaml')
  mesh.write('rules.yaml', rules('last'))
  await inForce(mesh, 'last')
  await load.stop()
  t.same(load.failures, [], `none of ${load.total} requests failed`)
  t.ok(load.total > 100)
})

test(`${reloads} reloads lose no request and leave nothing behind`, {
  timeout: 600_000,
}, async (t) => {
  await using mesh = await start(t)
  const stats = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await admin(mesh, '/stats'))
        .split('\n')
        .map((line) => /^(\w+): (\d+)$/.exec(line))
        .flatMap((found) => (found === null ? [] : [[found[1], Number(found[2])]])),
    )
  const load = new SteadyLoad(mesh.outbound, { headers: { host: 'web' } })
  for (let i = 0; i < 20; i++) {
    mesh.write('rules.yaml', rules(`warm-${i}`))
    await inForce(mesh, `warm-${i}`)
  }
  const before = await stats()
  const rssBefore = mesh.running.rss
  let most = 0
  for (let i = 0; i < reloads; i++) {
    mesh.write('rules.yaml', rules(`r${i}`))
    await inForce(mesh, `r${i}`)
    most = Math.max(most, mesh.running.rss)
  }
  await load.more(50)
  await load.stop()
  t.same(load.failures, [], `none of ${load.total} requests failed`)
  const after = await stats()
  for (const name of [
    'exchanges',
    'tcpForwards',
    'upstreamDials',
    'upstreamWaiters',
    'bufferBytesInFlight',
    'replayBytes',
  ])
    t.equal(after[name], 0, name)
  const grown = (after['heapBytes'] ?? 0) - (before['heapBytes'] ?? 0)
  const more = (most - rssBefore) / 2 ** 20
  t.ok(more < 64, `the process grew by ${more.toFixed(1)} MiB at most`)
  // Garbage that was not collected yet is counted: a leak of one snapshot per reload would be far more.
  t.ok(grown < 40 * 1024 * 1024, `the heaps of both workers grew by ${grown} bytes`)
})
