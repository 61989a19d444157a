import { Command } from 'commander'
import t from 'tap'
import { register } from '../../proxy/cli/validate.ts'

interface Run {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** The command in this process, as a user types it. */
async function validate(...args: readonly string[]): Promise<Run> {
  let out = ''
  let err = ''
  const stdout = process.stdout.write
  const stderr = process.stderr.write
  const before = process.exitCode
  process.exitCode = undefined
  process.stdout.write = (text: string | Uint8Array) => {
    out += String(text)
    return true
  }
  process.stderr.write = (text: string | Uint8Array) => {
    err += String(text)
    return true
  }
  let status: number
  try {
    const program = new Command('outrider').exitOverride()
    register(program)
    for (const command of program.commands) command.exitOverride()
    await program.parseAsync(['validate', ...args], { from: 'user' })
    status = Number(process.exitCode ?? 0)
  } catch (error) {
    status = (error as { exitCode?: number }).exitCode ?? -1
  } finally {
    process.stdout.write = stdout
    process.stderr.write = stderr
    process.exitCode = before
  }
  return { status, out, err }
}

const GOOD =
  'apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\nspec: {ports: [{name: http, port: 80}]}\n'
const TYPO = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
    timeOut: 5s
`

t.test('a folder without fault gives one line and status 0', async (t) => {
  const folder = t.testdir({ 'a.yaml': GOOD })
  t.same(await validate(folder), {
    status: 0,
    out: '1 file, 1 object in use: no errors, no warnings, no notes\n',
    err: '',
  })
})

t.test('an error is one line of file:line:column with its hint below, and status 1', async (t) => {
  const folder = t.testdir({ 'a.yaml': GOOD, 'b.yaml': TYPO })
  const { status, out } = await validate(folder)
  t.equal(status, 1)
  t.same(out.split('\n'), [
    `${folder}/b.yaml:8:5: error: VirtualService default/reviews: spec.http[0].timeOut: there is no field "timeOut" (IST0106)`,
    '    Did you mean "timeout"?',
    '2 files, 1 object in use: 1 error, no warnings, no notes; refused: VirtualService default/reviews',
    '',
  ])
})

t.test('warnings alone give status 0', async (t) => {
  const folder = t.testdir({ 'b.yaml': TYPO.replace('timeOut: 5s', 'mirror: {host: reviews}') })
  const { status, out } = await validate(folder)
  t.equal(status, 0)
  t.match(out, /b.yaml:8:14: warning: .*http\[0\].mirror.host: there is no service .*\(IST0101\)/)
})

t.test('several folders are one configuration', async (t) => {
  const folder = t.testdir({
    one: { 'a.yaml': GOOD },
    two: { 'b.yaml': TYPO.replace('    timeOut: 5s\n', '') },
  })
  t.match(await validate(`${folder}/one`, `${folder}/two`), {
    status: 0,
    out: /^2 files, 2 objects in use: no errors, no warnings/,
  })
  t.match((await validate(`${folder}/two`)).out, /no service "reviews.default.svc.cluster.local"/)
})

t.test('--format json is for other tools', async (t) => {
  const folder = t.testdir({ 'b.yaml': TYPO, 'c.yaml': 'a: [' })
  const { status, out } = await validate(folder, '--format', 'json')
  t.equal(status, 1)
  t.match(JSON.parse(out), {
    files: 2,
    objects: 0,
    refused: ['VirtualService default/reviews'],
    unreadableFiles: [`${folder}/c.yaml`],
    problems: [
      {
        severity: 'error',
        code: 'IST0106',
        file: `${folder}/b.yaml`,
        line: 8,
        column: 5,
        hint: 'Did you mean "timeout"?',
        object: 'VirtualService default/reviews',
      },
      { severity: 'error', code: 'OUT-YAML', file: `${folder}/c.yaml` },
    ],
  })
})

t.test('what cannot be checked gives status 2 and one plain sentence', async (t) => {
  const folder = t.testdir({ 'a.txt': '' })
  t.same(await validate(`${folder}/nope`), {
    status: 2,
    out: '',
    err: `outrider: cannot read ${folder}/nope: there is no such folder or file\n`,
  })
  t.same(await validate(folder), {
    status: 2,
    out: '',
    err: `outrider: no .yaml, .yml or .json file in ${folder}\n`,
  })
})

t.test('an unknown format is refused before anything is read', async (t) => {
  t.match(await validate('nowhere', '--format', 'xml'), {
    status: 1,
    err: /--format is text or json, not "xml"/,
  })
})
