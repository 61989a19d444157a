/** `npm run check`: types, lint and format, the rules of the house, side by side; says what failed. */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

/** Each runs on the Node that runs this file. */
const checks = [
  { name: 'types (tsc)', program: 'node_modules/typescript/bin/tsc', args: ['--pretty', 'false'] },
  {
    name: 'lint and format (biome)',
    program: 'node_modules/@biomejs/biome/bin/biome',
    args: ['check', '--error-on-warnings', '--colors=off', '--max-diagnostics=50'],
  },
  { name: 'layers, lengths, cycles', program: 'test/run.ts', args: ['test/architecture.test.ts'] },
]

type Check = (typeof checks)[number]

async function passes({ name, program, args }: Check): Promise<boolean> {
  const started = performance.now()
  const child = spawn(process.execPath, [program, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise((done) => child.on('close', done))
  const took = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${took} s)`)
  if (code !== 0) console.log(output.trimEnd())
  return code === 0
}

const results = await Promise.all(checks.map(passes))
process.exitCode = results.every((passed) => passed) ? 0 : 1
