import { writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { test } from 'tap'
import { emptyFolder } from '../support/folder.ts'
import { Running } from '../support/running.ts'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const clients = 24

/** Asks again and again over one kept connection until it is told to close; how often it was answered. */
async function steadyClient(port: number, thinkMs: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let answered = 1; ; answered++) {
    const { headers, status } = await ask(port, { headers: { host: 'web' }, agent })
    if (status !== 200) throw new RangeError(`status ${status}`)
    if (headers.connection === 'close') return answered
    await new Promise((done) => setTimeout(done, thinkMs))
  }
}

for (const settle of ['1s', '0s'])
  test(`SIGTERM with ${settle} to settle: steady clients are told to close, none is cut off`, async (t) => {
    await using upstream = await Upstream.start((_, reply) => reply.end('ok'))
    const folder = emptyFolder(t)
    writeFileSync(join(folder, 'web.yaml'), serviceYaml('web', [upstream.port]))
    await using running = new Running([
      '--config',
      folder,
      '--settle-time',
      settle,
      '--workers',
      '2',
      '--ip',
      '127.0.0.1',
    ])
    const { outbound: port } = await running.ready()
    const all = Array.from({ length: clients }, (_, i) => steadyClient(port, 1 + (i % 12)))
    while (upstream.requests.length < clients * 5) await new Promise((done) => setTimeout(done, 5))
    running.child.kill('SIGTERM')
    const ends = await Promise.allSettled(all)
    const broken = ends.filter((end) => end.status === 'rejected')
    t.same(
      broken.map(({ reason }) => String(reason)),
      [],
      'nobody saw a reset or a connection that closed without a reply',
    )
    t.match(await running.said(/^drained in/), { cut: 0 })
    t.equal((await running.ended()).code, 0)
  })
