/** Limits of a DestinationRule hold over all workers of a proxy, and none of them starves. */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { test } from 'tap'
import { isUnused, sharedLimitCells } from '../../proxy/base/shared-limits.ts'
import type { Supervisor } from '../../proxy/control/supervisor.ts'
import { SteadyLoad } from '../support/load.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, type Reply, Upstream } from '../support/upstream.ts'
import { startWorkers } from '../support/workers.ts'

const web = { headers: { host: 'web' } }

const rule = (connectionPool: string): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: default }
spec:
  host: web
  trafficPolicy:
    connectionPool: ${connectionPool}
`

/** Counts connections; the most that were open at once, by the kernel's word at each new one. */
function countConnections(upstream: Upstream) {
  const counts = { most: 0, total: 0 }
  upstream.server.on('connection', () => {
    counts.total++
    counts.most = Math.max(counts.most, established(upstream.port))
  })
  return counts
}

/** Connections to this port that the proxy has, or is making. */
function established(port: number): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return lines.filter((line) => {
    const [, , address, state] = line.trim().split(/\s+/)
    return address === remote && (state === '01' || state === '02')
  }).length
}

async function connectionsOf(supervisor: Supervisor): Promise<number[]> {
  const stats = (await supervisor.query('stats')) as Map<number, { upstreamConnections: number }>
  return [...stats.values()].map(({ upstreamConnections }) => upstreamConnections)
}

test('three connections for four workers: never a fourth, and every client is served', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const counts = countConnections(upstream)
  const yaml = serviceYaml('web', [upstream.port]) + rule('{ tcp: { maxConnections: 3 } }')
  await using mesh = await startWorkers(yaml, 4)
  const clients = Array.from({ length: 24 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const statuses = new Map<number, number>()
  const all = clients.map(async (agent) => {
    for (let i = 0; i < 6; i++) {
      const { status } = await ask(mesh.outbound, { ...web, agent })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    agent.destroy()
  })
  await Promise.all(all)
  t.same([...statuses], [[200, 24 * 6]])
  t.equal(counts.most, 3, `${counts.total} connections one after the other`)
})

test('a request is not kept waiting by a connection that lies idle in another worker', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const counts = countConnections(upstream)
  const yaml = serviceYaml('web', [upstream.port]) + rule('{ tcp: { maxConnections: 1 } }')
  await using mesh = await startWorkers(yaml, 4)
  const clients = Array.from({ length: 12 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  // One after the other, on connections that the kernel spreads over the workers.
  for (const agent of clients) t.equal((await ask(mesh.outbound, { ...web, agent })).status, 200)
  t.equal(counts.most, 1)
  t.ok(counts.total > 1, `${counts.total} workers had their turn`)
  for (const agent of clients) agent.destroy()
})

test('a worker that is killed gives back what it held', async (t) => {
  const held: Array<() => void> = []
  let arrived: () => void = () => undefined
  await using upstream = await Upstream.start((_, reply) => {
    held.push(() => reply.end('ok'))
    arrived()
  })
  const requests = '{ http: { http2MaxRequests: 4 } }'
  await using mesh = await startWorkers(serviceYaml('web', [upstream.port]) + rule(requests), 4)
  const { supervisor, outbound, until } = mesh
  const waiting: Array<Promise<Reply | undefined>> = []
  while (held.length < 4) {
    const here = new Promise<void>((done) => {
      arrived = done
    })
    waiting.push(ask(outbound, web).catch(() => undefined))
    await here
  }
  const refused = await ask(outbound, web)
  t.match(refused, { status: 503, headers: { 'x-envoy-overloaded': 'true' } })
  t.match(refused.body, /http2MaxRequests is 4 and 4 are in use/)
  const before = await connectionsOf(supervisor)
  const victim = before.findIndex((count) => count > 0)
  supervisor.seats[victim]?.kill()
  await until(() => supervisor.seats[victim]?.restarts === 1 && supervisor.settled)
  const more = before[victim] ?? 0
  const again = Array.from({ length: more }, () => ask(outbound, web))
  while (held.length < 4 + more)
    await new Promise<void>((done) => {
      arrived = done
    })
  t.equal((await ask(outbound, web)).status, 503, 'not one more than before')
  for (const finish of held) finish()
  for (const reply of await Promise.all(again)) t.equal(reply.status, 200)
  const replies = await Promise.all(waiting)
  t.equal(replies.filter((reply) => reply === undefined).length, more, 'those of the dead worker')
})

test('after load, reloads and the death of workers nothing is left in the counts', async (t) => {
  await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
  const counts = countConnections(upstream)
  const yaml = (round: number): string =>
    serviceYaml('web', [upstream.port]) +
    rule(
      `{ tcp: { maxConnections: 4, connectTimeout: ${5 + round}s }, http: { http1MaxPendingRequests: 500, http2MaxRequests: 500 } }`,
    )
  await using mesh = await startWorkers(yaml(0), 3)
  const { supervisor } = mesh
  const load = new SteadyLoad(mesh.outbound, web, 100)
  for (let round = 1; round <= 6; round++) {
    await load.more(30)
    mesh.publish(yaml(round))
    if (round % 3 === 0) supervisor.seats[round % 2]?.kill()
  }
  await load.more(60)
  await load.stop()
  await mesh.until(() => supervisor.settled)
  t.ok(load.total > 200, `${load.total} requests, ${load.failures.length} cut with their worker`)
  t.ok(
    load.failures.every((failure) => !/overflow|UO/.test(failure)),
    load.failures.join('\n'),
  )
  t.ok(counts.most <= 4, `at most ${counts.most} connections at once`)
  // The last connections lie idle: a changed rule closes them.
  mesh.publish(yaml(7))
  await mesh.until(() => supervisor.settled)
  const [memory] = supervisor.sharing['limits']['blocks']
  const cells = sharedLimitCells(memory!, 3, 0, 0)
  while (!isUnused(cells)) await new Promise((done) => setTimeout(done, 10))
  t.equal(cells.cells[cells.totals], 0, 'no connection is counted any more')
})
