import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { requireRoot, requireTools } from '../support/netns.ts'

const entry = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))

const folder = '/run/netns'

function namespacesOf({ pid }: ChildProcess): string[] {
  const all = existsSync(folder) ? readdirSync(folder) : []
  return all.filter((name) => name.startsWith(`outrider-demo-${pid}-`))
}

for (const [moment, member] of [
  ['while namespaces are made', 'details-v1'],
  ['while sidecars start', 'ratings-v1'],
] as const)
  t.test(`a demo told to end ${moment} leaves no namespace behind`, async (t) => {
    if (!requireRoot(t) || !requireTools(t, 'setpriv', 'iptables')) return
    const child = spawn(process.execPath, [entry, 'demo'], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (text) => {
      said += text
    })
    const closed = once(child, 'close')
    const there = () => namespacesOf(child).some((name) => name.endsWith(member))
    while (!there()) await new Promise((done) => setTimeout(done, 20))
    child.kill('SIGTERM')
    const [code] = await closed
    t.equal(code, 143)
    t.equal(said, 'outrider: ended by SIGTERM\n')
    t.strictSame(namespacesOf(child), [])
  })
