/**
 * Everything comes back to where it was: full load of every kind, then rest. Ten minutes with
 * `OUTRIDER_LONG=1` (`npm test -- --timeout 900 test/flows/soak.test.ts`), otherwise twenty seconds;
 * `OUTRIDER_SOAK_SECONDS` says another time.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { Applications, MixedLoad } from '../support/mixed-load.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask } from '../support/upstream.ts'

const long = process.env['OUTRIDER_LONG'] === '1'
const seconds = Number(process.env['OUTRIDER_SOAK_SECONDS'] ?? (long ? 600 : 20))

const leakCounters = [
  'connections',
  'dials',
  'bufferBytesInFlight',
  'replayBytes',
  'httpConnections',
  'exchanges',
  'tcpForwards',
  'upstreamConnections',
  'upstreamDials',
  'upstreamWaiters',
]

type Stats = Readonly<Record<string, number>>

async function statsAt(admin: number): Promise<Stats> {
  const { body } = await ask(admin, { path: '/stats', headers: { host: `127.0.0.1:${admin}` } })
  const found = body.matchAll(/^(\w+): (\d+)$/gm)
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]))
}

/** The least of what a resting process shows within that time: memory is given back in steps. */
async function least(within: number, look: () => Promise<number> | number, enough = 0) {
  let value = Number.POSITIVE_INFINITY
  for (const end = Date.now() + within; Date.now() < end && value > enough; ) {
    value = Math.min(value, await look())
    await new Promise((done) => setTimeout(done, 250))
  }
  return value
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

test(`after ${seconds} s of full load nothing is left and memory is back`, {
  timeout: (seconds + 180) * 1_000,
}, async (t) => {
  await using applications = new Applications()
  const ports = await applications.open()
  const folder = emptyFolder(t)
  const yaml = serviceYaml('web', [ports.http]) + serviceYaml('echo', [ports.echo], 'tcp', 9000)
  writeFileSync(join(folder, 'mesh.yaml'), yaml)
  const quick = ['--settle-time', '0s', '--access-log', '/dev/null']
  await using running = new Running(
    ['--config', folder, '--workers', '2', '--ip', '127.0.0.1', ...quick],
    'launcher',
  )
  const { admin, outbound } = await running.ready()
  const stats = () => statsAt(admin)

  const warm = new MixedLoad(outbound)
  await warm.run(2_000)
  const idle = await least(15_000, () => running.rss)
  const before = await stats()

  const load = new MixedLoad(outbound)
  await load.run(seconds * 1_000)
  t.comment(JSON.stringify(load.done))
  t.same(load.failures, [], 'whoever did nothing wrong was served')
  for (const [kind, count] of Object.entries(load.done)) t.ok(count > 5, `${kind}: ${count}`)

  const open = ({ timers = 0, ...now }: Stats) =>
    leakCounters.reduce((sum, name) => sum + now[name]!, Math.max(0, timers - before['timers']!))
  await least(90_000, async () => open(await stats()), 0)
  const after = await stats()
  for (const name of leakCounters) t.equal(after[name], 0, name)
  t.ok(after['timers']! <= before['timers']!, `timers: ${before['timers']} to ${after['timers']}`)

  const rss = await least(40_000, () => running.rss, idle * 1.25)
  t.ok(rss <= idle * 1.25, `RSS: ${mebibytes(idle)} to ${mebibytes(rss)}`)
  const [heap, heapBefore] = [(await stats())['heapBytes']!, before['heapBytes']!]
  t.ok(heap <= heapBefore * 1.25, `heaps: ${mebibytes(heapBefore)} to ${mebibytes(heap)}`)
})
