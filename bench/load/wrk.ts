/** Closed-loop load with wrk: as many requests as go through, counted, with the proxy's CPU beside them. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RunningPeer } from '../peers/peer.ts'
import { loadCore, pinned } from '../program.ts'
import { needTool } from '../tools.ts'

const run = promisify(execFile)

export interface Load {
  readonly port: number
  readonly path: string
  readonly host: string
  readonly connections: number
  readonly seconds: number
  /** A new connection for each request. */
  readonly churn?: boolean
  /** Bytes to send with POST. */
  readonly uploadBytes?: number
}

export interface Loaded {
  readonly requests: number
  readonly seconds: number
  readonly failed: number
}

/** `folder`: where a script may be left for wrk. */
export async function loadWithWrk(load: Load, folder: string): Promise<Loaded> {
  const script = join(folder, 'wrk.lua')
  writeFileSync(script, luaScript(load))
  const argv = pinned(loadCore, [
    ...[needTool('wrk'), '-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '20s'],
    ...['-s', script, `http://127.0.0.1:${load.port}${load.path}`],
  ])
  const { stdout } = await run(argv[0]!, argv.slice(1))
  const [requests = 0, microseconds = 1, failed = 0] = /RESULT (\d+) (\d+) (\d+)/
    .exec(stdout)!
    .slice(1)
    .map(Number)
  return { requests, seconds: microseconds / 1e6, failed }
}

function luaScript({ host, churn, uploadBytes }: Load): string {
  return `wrk.headers["Host"] = ${JSON.stringify(host)}
${churn ? 'wrk.headers["Connection"] = "close"' : ''}
${uploadBytes === undefined ? '' : `wrk.method = "POST"\nwrk.body = string.rep("x", ${uploadBytes})`}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`
}

export interface Cost extends Loaded {
  /** Undefined without a proxy. */
  readonly cpuMicroseconds: number | undefined
}

/** One load, with the CPU the proxy spent meanwhile. */
export async function costOf(peer: RunningPeer, load: Load, folder: string): Promise<Cost> {
  const before = peer.program?.cpuMicroseconds()
  const loaded = await loadWithWrk(load, folder)
  const after = peer.program?.cpuMicroseconds()
  peer.program?.mustLive()
  if (loaded.requests === 0 || loaded.failed > loaded.requests / 100)
    throw new Error(`${peer.name}: ${loaded.failed} failures, ${loaded.requests} answers`)
  const spent = before === undefined || after === undefined ? undefined : after - before
  return { ...loaded, cpuMicroseconds: spent }
}
