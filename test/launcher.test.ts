import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

const root = resolve(import.meta.dirname, '..')
const launcher = join(root, 'proxy/launcher.js')

/** Makes the Node that runs the launcher say another version of itself, with or without execve. */
function posingAs(version: string, execve = true): string[] {
  const pose = [
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`,
    ...(execve ? [] : ['process.execve = undefined']),
  ]
  return ['--import', `data:text/javascript,${encodeURIComponent(pose.join('\n'))}`]
}

/** A Node that cannot start, as the system's loader tells it when a shared library is missing. */
const brokenNode = `#!/bin/sh
echo "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file" >&2
exit 127
`

const otherNode = `#!/bin/sh
if [ "$1" = --version ]; then echo v26.0.0; exit 0; fi
echo "other node runs $(basename "$1") with $2 $3"
`

const program = `console.log('node', process.versions.node, process.argv.slice(2).join(' '))
process.exitCode = 7
`

const waiting = `process.on('SIGTERM', () => { console.log('told to stop'); process.exit(5) })
setInterval(() => {}, 1000)
console.log('up')
`

function files(
  t: Pick<Test, 'testdir'>,
): Record<'dir' | 'broken' | 'other' | 'program' | 'waiting', string> {
  const dir = t.testdir({ broken: brokenNode, other: otherNode, 'program.ts': program })
  writeFileSync(join(dir, 'waiting.ts'), waiting)
  for (const name of ['broken', 'other']) chmodSync(join(dir, name), 0o755)
  const at = (name: string) => join(dir, name)
  return {
    dir,
    broken: at('broken'),
    other: at('other'),
    program: at('program.ts'),
    waiting: at('waiting.ts'),
  }
}

function launch(flags: string[], args: string[], env: NodeJS.ProcessEnv = {}) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, launcher, ...args], {
    encoding: 'utf8',
    env: { ...process.env, OUTRIDER_NODE: '', ...env },
  })
  return { stdout: stdout.trim(), stderr: stderr.trim(), status }
}

t.test('a Node that is new enough runs the program itself', async (t) => {
  const { program } = files(t)
  const run = launch(posingAs('26.99.0'), ['--file', program, 'a', '--b'])
  t.same(run, { stdout: 'node 26.99.0 a --b', stderr: '', status: 7 })
})

for (const execve of [true, false]) {
  const how = execve ? 'becoming it' : 'standing in front of it'
  t.test(`an old Node hands over to the given one, ${how}`, async (t) => {
    const { other, program } = files(t)
    const run = launch(posingAs('20.1.0', execve), ['--file', program, 'a', '--b'], {
      OUTRIDER_NODE: other,
    })
    t.same(run, { stdout: 'other node runs program.ts with a --b', stderr: '', status: 0 })
  })

  t.test(`exit status and arguments pass through the packaged Node, ${how}`, async (t) => {
    const { program } = files(t)
    const run = launch(posingAs('20.1.0', execve), ['--file', program, 'a', '--b'])
    t.match(run, { stdout: /^node 26\.\d+\.\d+ a --b$/, stderr: '', status: 7 })
  })

  t.test(`a signal reaches the program, ${how}`, async (t) => {
    const { waiting } = files(t)
    const flags = posingAs('20.1.0', execve)
    const child = spawn(process.execPath, [...flags, launcher, '--file', waiting], {
      env: { ...process.env, OUTRIDER_NODE: process.execPath },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (text) => {
      said += text
      if (said === 'up\n') child.kill('SIGTERM')
    })
    const [code] = await once(child, 'close')
    t.equal(said, 'up\ntold to stop\n')
    t.equal(code, 5)
  })
}

t.test('a program killed by a signal is told as 128 and the signal', async (t) => {
  const dir = t.testdir({ 'gone.ts': "process.kill(process.pid, 'SIGKILL')\n" })
  const run = launch(posingAs('20.1.0', false), ['--file', join(dir, 'gone.ts')])
  t.equal(run.status, 128 + 9)
})

t.test('without libatomic.so.1 a running Node 24 takes over', async (t) => {
  const { broken, program } = files(t)
  const run = launch(posingAs('24.1.0'), ['--file', program], { OUTRIDER_NODE: broken })
  t.same(run, { stdout: 'node 24.1.0', stderr: '', status: 7 })
})

t.test('without libatomic.so.1 and with an old Node one line says what to install', async (t) => {
  const { broken, program } = files(t)
  const run = launch(posingAs('20.1.0'), ['--file', program], { OUTRIDER_NODE: broken })
  t.equal(run.status, 1)
  t.match(run.stderr, /^outrider: .*libatomic\.so\.1: install libatomic1/)
  t.equal(run.stderr.split('\n').length, 1)
})

t.test('a Node that is not there is named', async (t) => {
  const { program } = files(t)
  const run = launch(posingAs('20.1.0'), ['--file', program], { OUTRIDER_NODE: '/nowhere/node' })
  t.equal(run.status, 1)
  t.match(run.stderr, /^outrider: \/nowhere\/node does not run here \(.*ENOENT/)
})
