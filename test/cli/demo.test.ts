import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Loopback } from '../../examples/bookinfo/loopback.ts'
import { members } from '../../examples/bookinfo/members.ts'

const entry = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))

t.test('a demo told to end while it starts ends what it started, without a stack', async (t) => {
  const child = spawn(process.execPath, [entry, 'demo', '--explicit'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  // The first line comes before anything is started.
  child.stdout.once('data', () => child.kill('SIGTERM'))
  const [code] = await once(child, 'close')
  t.equal(code, 143)
  t.equal(said, 'outrider: ended by SIGTERM\n')
})

t.test('a second demo finds a place beside the first', async (t) => {
  const first = await Loopback.open()
  const { hostname } = new URL(first.pageUrl)
  const page = createServer().listen(9080, hostname)
  await once(page, 'listening')
  t.teardown(() => page.close())
  const second = await Loopback.open()
  t.not(new URL(second.pageUrl).hostname, hostname)
  const flags = (ground: Loopback): string[] =>
    members.flatMap((member) =>
      ground.sidecar(member, []).argv.filter((arg) => /^15\d{3}$/.test(arg)),
    )
  const ports = [...flags(first), ...flags(second)]
  t.equal(ports.length, 48)
  t.equal(new Set(ports).size, 48, 'no port is used twice')
})
