import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { freePort } from '../support/sockets.ts'
import { CorpusProxy } from './corpus-proxy.ts'

const runner = resolve(import.meta.dirname, '../../../shared/corpora/http1/run.py')
const demanded = process.env['OUTRIDER_REQUIRE_ALL'] === '1'
/** `none`, and with OUTRIDER_CORPUS=all also the two slower ways of cutting. */
const splits = process.env['OUTRIDER_CORPUS'] === 'all' ? ['none', 'random', 'bytes'] : ['none']

function whyNot(): string | false {
  if (demanded) return false
  if (!existsSync(runner)) return 'the corpus is not on this machine'
  return spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not on this machine'
}

const skip = whyNot()
t.setTimeout(600_000)

interface Judged {
  readonly output: string
  readonly status: number | null
}

function judge(proxyPort: number, backendPort: number, split: string): Promise<Judged> {
  return new Promise((done) => {
    const args = [runner, `127.0.0.1:${proxyPort}`, '--backend-port', `${backendPort}`]
    const child = spawn('python3', [...args, '--split', split, '--jobs', '12'])
    let output = ''
    child.stdout.on('data', (text) => {
      output += text
    })
    child.stderr.on('data', (text) => {
      output += text
    })
    child.on('error', (error) => done({ output: String(error), status: null }))
    child.on('close', (status) => done({ output, status }))
  })
}

for (const split of splits)
  t.test(
    `every case of the HTTP/1 corpus passes, cut: ${split}`,
    { timeout: 300_000, skip },
    async (t) => {
      const backendPort = await freePort()
      const proxy = new CorpusProxy(backendPort)
      t.teardown(() => proxy.close())
      const { output, status } = await judge(await proxy.open(), backendPort, split)
      t.match(output, /requests: 694\/694 pass/)
      t.match(output, /responses: 112\/112 pass/)
      t.match(output, /DESYNC findings: 0 /)
      t.equal(status, 0, output)
      t.ok(proxy.ledger.refused > 200, 'refusals were told to the owner')
    },
  )
