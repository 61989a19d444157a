import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startSidecar } from '../control/sidecar-support.ts'

const entry = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))

interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

function outrider(...args: string[]): Promise<Outcome> {
  return new Promise((done) => {
    execFile(process.execPath, [entry, ...args], (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

t.test('help lists every command with a sentence, and examples', async (t) => {
  const { code, out } = await outrider('--help')
  t.equal(code, 0)
  for (const name of ['run', 'validate', 'explain', 'iptables', 'demo', 'wait', 'version'])
    t.match(out, new RegExp(`^ +${name} +[A-Z]`, 'm'))
  t.match(out, 'Examples:')
  t.same(await outrider(), { code, out, err: '' }, 'no command at all prints it too')
})

t.test('a misspelt command is refused with a guess', async (t) => {
  const { code, out, err } = await outrider('validte', 'mesh')
  t.same(
    [code, out, err],
    [2, '', 'outrider: there is no command "validte". Did you mean "validate"?\n'],
  )
  t.match(await outrider('--config', 'x'), { code: 2, err: /the option --config needs a command/ })
  t.match(await outrider('run', '--bogus'), { code: 2, err: /unknown option '--bogus'/ })
})

t.test('version names Outrider, Node and the platform', async (t) => {
  const { out } = await outrider('version')
  t.match(out, /^outrider \d+\.\d+\.\d+ \(node \d+\.\d+\.\d+, \w+-\w+\)\n$/)
  t.equal((await outrider('--version')).out, out)
  t.match(JSON.parse((await outrider('version', '--format', 'json')).out), { platform: /-/ })
})

t.test('each command has its own help', async (t) => {
  const { code, out } = await outrider('help', 'wait')
  t.equal(code, 0)
  t.match(out, '--config-version')
  t.equal((await outrider('wait', '--help')).out, out)
})

t.test('wait returns when a proxy is ready, or runs the version asked for', async (t) => {
  await using proxy = await startSidecar()
  const { health, admin } = proxy.ports
  const ports = ['--health-port', String(health), '--admin-port', String(admin)]
  t.same(await outrider('wait', ...ports), { code: 0, out: 'ready\n', err: '' })
  t.match(await outrider('wait', ...ports, '--config-version', 'v1'), { code: 0, out: /^LIVE/ })
  const other = await outrider('wait', ...ports, '--config-version', 'v2', '--timeout', '1ms')
  t.equal(other.code, 1)
  t.match(other.err, /^outrider: not ready after 1ms: LIVE, .*version v1 is in force\n$/)
})

t.test('wait says what is missing where nothing listens', async (t) => {
  const { code, err } = await outrider('wait', '--health-port', '1', '--timeout', '0')
  t.equal(code, 1)
  t.match(err, 'nothing listens at http://127.0.0.1:1/healthz/ready')
  t.match(await outrider('wait', '--timeout', 'soon'), { code: 2, err: /no duration/ })
})

t.test('a reader that goes away (`| head`) is no failure', async (t) => {
  const config = fileURLToPath(new URL('../../examples/bookinfo/config', import.meta.url))
  const call = ['explain', '--config', config, 'GET', 'http://reviews:9080/']
  for (const args of [['--help'], ['version'], ['validate', config], call]) {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let said = ''
    child.stderr.on('data', (text) => {
      said += text
    })
    const [code] = await once(child, 'close')
    t.equal(code, 0, args.join(' '))
    t.equal(said, '')
  }
})
