import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { Running, type Started } from '../support/running.ts'

/** A service on loopback that says which one it is. */
async function serve(name: string): Promise<{ port: number; server: Server }> {
  const server = createServer((_, reply) => reply.end(name))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  return { port: typeof bound === 'object' ? (bound?.port ?? 0) : 0, server }
}

/** A mesh-external service at an address, as YAML. */
function entryFor(port: number): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec:
  hosts: [web.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
`
}

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

async function call(place: string, path = '/'): Promise<string> {
  const reply = await new Promise<string>((done, failed) => {
    const [address = '', port] = place.split(':')
    const request = process
      .getBuiltinModule('node:http')
      .get({ host: address, port, path, headers: { host: 'web.example' } }, (answer) => {
        let text = ''
        answer.on('data', (chunk) => {
          text += String(chunk)
        })
        answer.on('end', () => done(text))
      })
    request.on('error', failed)
  })
  return reply
}

t.test('it serves, follows the files, keeps what was good, drains and exits 0', async (t) => {
  const [one, two] = await Promise.all([serve('one'), serve('two')])
  t.teardown(() => [one.server, two.server].map((server) => server.close()))
  const folder = t.testdir({ 'web.yaml': entryFor(one.port) })
  const file = join(folder, 'web.yaml')
  await using proxy = new Running(['--config', folder, '--ip', '127.0.0.1', '--workers', '2'])
  const started = (await proxy.said(/is ready after/)) as unknown as Started
  t.match(started, { services: 1, explicit: true, workers: 2, generation: 1 })
  const { outbound, admin, health, metrics } = started.places
  t.equal(await call(outbound), 'one')
  t.equal((await fetch(`http://${health}/healthz/ready`)).status, 200)
  t.match(
    await (await fetch(`http://${metrics}/stats/prometheus`)).text(),
    /^istio_requests_total/m,
  )

  replace(file, entryFor(two.port))
  const { version } = await proxy.said(/generation 2\) is in force/)
  t.not(version, started.configVersion)
  while ((await fetch(`http://${admin}/ready?version=${version}`)).status !== 200);
  t.equal(await call(outbound), 'two')

  replace(file, `${entryFor(one.port)}\n  nonsense: [\n`)
  t.match(await proxy.said(/web\.yaml:\d+:\d+: error/), { level: 'error' })
  t.equal(await call(outbound), 'two', 'the last good version stays')
  t.equal((await fetch(`http://${health}/healthz/ready`)).status, 200)
  t.match(await (await fetch(`http://${admin}/problems`)).text(), /web\.yaml:\d+:\d+: error/)

  proxy.child.kill('SIGTERM')
  t.match(await proxy.said(/^drained in \d+ ms: 0 finished, 0 cut off/), { level: 'info' })
  t.equal((await proxy.ended()).code, 0)
})

t.test('what cannot work is refused in words', async (t) => {
  await using none = new Running(['--log-level', 'lod'])
  const refused = await none.ended()
  t.equal(refused.code, 2)
  t.match(refused.text, /^outrider: .*--config/m)
  t.match(refused.text, /^outrider: --log-level "lod"/m)
  t.notMatch(refused.text, / at .*\.ts:\d+/, 'no stack')

  await using missing = new Running(['--config', '/nowhere/at/all'])
  const unread = await missing.ended()
  t.equal(unread.code, 1)
  t.match(unread.text, /^outrider: the configuration cannot be read: \/nowhere\/at\/all/m)
})

t.test(
  'a second proxy on the same port is refused, although the system would share it',
  async (t) => {
    const folder = t.testdir({ 'web.yaml': entryFor(1) })
    const common = ['--config', folder, '--ip', '127.0.0.1', '--workers', '1']
    await using first = new Running(common)
    const started = (await first.said(/is ready after/)) as unknown as Started
    const port = started.places.outbound.split(':')[1] ?? ''
    await using second = new Running([...common, '--outbound-port', port])
    const { code, text } = await second.ended()
    t.equal(code, 1)
    t.match(text, `the outbound port ${port} on 127.0.0.1: process ${first.child.pid} (`)
  },
)
