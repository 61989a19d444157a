/** A proxy from its first to its last moment: changes of its files, death of a worker, its own end. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { SteadyLoad } from '../support/load.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'
import { startWorkers } from '../support/workers.ts'

const args = ['--workers', '2', '--ip', '127.0.0.1', '--settle-time', '0s']

/** True when nobody listens there any more. */
function refuses(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      done(false)
    })
    socket.on('error', () => done(true))
  })
}

const web = { headers: { host: 'web' } }

test('SIGTERM: what runs is finished, kept connections are told to close, then it exits 0', async (t) => {
  const held: Array<() => void> = []
  let arrived: () => void = () => undefined
  const all = new Promise<void>((done) => {
    arrived = done
  })
  const count = 40
  await using upstream = await Upstream.start((incoming, reply) => {
    reply.writeHead(200)
    reply.write('first half, ')
    incoming.resume()
    held.push(() => reply.end('second half'))
    if (held.length === count) arrived()
  })
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'web.yaml'), serviceYaml('web', [upstream.port]))
  await using running = new Running(['--config', folder, ...args])
  const { outbound } = await running.ready()
  const agent = new Agent({ keepAlive: true })
  const replies = Array.from({ length: count }, () => ask(outbound, { ...web, agent }))
  await all
  running.child.kill('SIGTERM')
  await running.said(/SIGTERM: draining 40 open connections/)
  // Listening has ended when a new connection is refused; what was accepted before goes on.
  while (!(await refuses(outbound)));
  for (const finish of held) finish()
  for (const reply of await Promise.all(replies)) {
    if (reply.status !== 200 || reply.body !== 'first half, second half') t.fail(reply.body)
  }
  t.match(await running.said(/^drained in/), { finished: count, cut: 0 })
  t.equal((await running.ended()).code, 0)
  agent.destroy()
})

test('replies that begin after SIGTERM say connection: close', async (t) => {
  let answer: () => void = () => undefined
  const asked = new Promise<void>((arrived) => {
    answer = arrived
  })
  let finish: () => void = () => undefined
  await using upstream = await Upstream.start((_, reply) => {
    finish = () => reply.end('done')
    answer()
  })
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'web.yaml'), serviceYaml('web', [upstream.port]))
  await using running = new Running(['--config', folder, ...args])
  const { outbound } = await running.ready()
  const agent = new Agent({ keepAlive: true })
  const reply = ask(outbound, { ...web, agent })
  await asked
  running.child.kill('SIGTERM')
  await running.said(/SIGTERM: draining/)
  while (!(await refuses(outbound)));
  finish()
  t.equal((await reply).headers.connection, 'close')
  t.equal((await running.ended()).code, 0)
  agent.destroy()
})

test('a ConfigMap that swaps its ..data link is followed, under load', async (t) => {
  await using one = await Upstream.start((_, reply) => reply.end('one'))
  await using two = await Upstream.start((_, reply) => reply.end('two'))
  const folder = emptyFolder(t)
  const put = (version: string, port: number): void => {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'web.yaml'), serviceYaml('web', [port]))
    symlinkSync(version, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  put('..2026_01', one.port)
  symlinkSync('..data/web.yaml', join(folder, 'web.yaml'))
  await using running = new Running(['--config', folder, ...args])
  const { outbound } = await running.ready()
  const load = new SteadyLoad(outbound, web)
  t.equal((await ask(outbound, web)).body, 'one')
  put('..2026_02', two.port)
  rmSync(join(folder, '..2026_01'), { recursive: true })
  while ((await ask(outbound, web)).body !== 'two');
  await load.more(100)
  await load.stop()
  t.same(load.failures, [], `none of ${load.total} failed`)
})

test('a worker that dies is replaced; connections of the other go on', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const yaml = serviceYaml('web', [upstream.port])
  await using workers = await startWorkers(yaml, 2)
  const { outbound, supervisor, until } = workers
  const connectionsOf = async (): Promise<number[]> => {
    const stats = (await supervisor.query('stats')) as Map<number, { connections: number }>
    return [...stats.values()].map(({ connections }) => connections)
  }
  const agents = Array.from({ length: 16 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const sockets = new Set<number | undefined>()
  const round = () => Promise.allSettled(agents.map((agent) => ask(outbound, { ...web, agent })))
  for (const { status } of await round()) t.equal(status, 'fulfilled')
  const shared = await connectionsOf()
  t.ok(
    shared.every((count) => count > 0),
    `both workers serve: ${shared.join(' and ')} connections`,
  )
  for (const agent of agents)
    for (const free of Object.values(agent.freeSockets)) sockets.add(free?.[0]?.localPort)
  supervisor.seats[0]?.kill()
  await until(() => supervisor.seats[0]?.restarts === 1 && supervisor.settled)
  t.equal(supervisor.seats[1]?.restarts, 0)
  const kept = agents.filter((agent) =>
    Object.values(agent.freeSockets).some((free) => sockets.has(free?.[0]?.localPort)),
  )
  t.ok(kept.length > 0 && kept.length < agents.length, `${kept.length} of 16 connections are left`)
  for (const { status } of await round()) t.equal(status, 'fulfilled')
  for (const agent of agents) agent.destroy()
})

test('names of a ServiceEntry are looked up, addresses taken as they are', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => reply.end(incoming.headers.host))
  const entry = (name: string, resolution: string, endpoint: string): string => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}.example]
  resolution: ${resolution}
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: ${endpoint}, ports: { http: ${upstream.port} } }]
`
  const folder = emptyFolder(t)
  const strict = `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: strict, namespace: default }
spec: { outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
`
  const entries = [
    entry('fixed', 'STATIC', '127.0.0.1'),
    entry('named', 'DNS', 'localhost'),
    entry('rotating', 'DNS_ROUND_ROBIN', 'localhost'),
    strict,
  ]
  writeFileSync(join(folder, 'mesh.yaml'), entries.join(''))
  await using running = new Running(['--config', folder, ...args])
  const { outbound } = await running.ready()
  for (const host of ['fixed.example', 'named.example', 'rotating.example'])
    t.match(await ask(outbound, { headers: { host } }), { status: 200, body: host })
  const refused = await ask(outbound, { headers: { host: 'other.example' } })
  t.equal(refused.status, 502)
})
