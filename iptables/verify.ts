/**
 * Proves the capture by connecting to itself: listens where the proxy will, then connects as an
 * application and as the proxy, and looks where the connections arrive. Addresses set aside for
 * documentation are called, so nothing but this network namespace is reached. Before the proxy starts.
 */
import { spawn } from 'node:child_process'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { CaptureError, ExitCode } from './failure.ts'
import type { CapturePlan, Family } from './plan.ts'
import { type Caller, type Expectation, probesFor } from './verify-probes.ts'

export interface VerifyOptions {
  /** Reads SO_ORIGINAL_DST; without it only the listener reached is compared. */
  readonly originalDestination?: (
    socket: Socket,
  ) => { readonly address: string; readonly port: number } | undefined
}

export interface VerifyReport {
  /** Sentences of what was seen to work. */
  readonly proven: readonly string[]
  readonly failures: readonly string[]
  /** What could not be tried, and why. */
  readonly notes: readonly string[]
}

/** What a probe saw: our listener's answer, or how the connection failed. */
interface Sighting {
  readonly listener?: string
  readonly original?: string
  readonly error?: string
}

export async function verifyCapture(
  plan: CapturePlan,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const { outboundPort, inboundPort } = plan.options
  const servers: Server[] = []
  try {
    for (const [name, port] of [
      ['outbound', outboundPort],
      ['inbound', inboundPort],
    ] as const)
      servers.push(await listen(name, port, options))
    return await probe(plan)
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error
    return { proven: [], failures: [], notes: [`not verified: ${error.message}`] }
  } finally {
    for (const server of servers) server.close()
  }
}

/** For `applyCapture`: the report's failures as one error. */
export function demandVerified(report: VerifyReport): void {
  if (report.failures.length === 0) return
  throw new CaptureError(
    ExitCode.Verification,
    `the rules were applied but do not capture, so they were taken back: ${report.failures.join('; ')}`,
  )
}

async function listen(name: string, port: number, options: VerifyOptions): Promise<Server> {
  const server = createServer((socket) => {
    const original = options.originalDestination?.(socket)
    const seen = original && `${original.address} ${original.port}`
    socket.on('error', () => undefined)
    socket.end(JSON.stringify({ listener: name, original: seen }))
  })
  for (const host of ['::', '0.0.0.0'])
    try {
      await bind(server, host, port)
      return server
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRINUSE')
        throw new CaptureError(
          ExitCode.Environment,
          `port ${port} is in use: the proxy runs already, or another sidecar or application owns it`,
        )
      if (host === '0.0.0.0') throw error
    }
  return server
}

function bind(server: Server, host: string, port: number): Promise<AddressInfo | string | null> {
  return new Promise((done, failed) => {
    server.once('error', failed)
    server.listen(port, host, () => {
      server.off('error', failed)
      done(server.address())
    })
  })
}

async function probe(plan: CapturePlan): Promise<VerifyReport> {
  const proven: string[] = []
  const failures: string[] = []
  const { probes, notes } = probesFor(plan, ownAddresses())
  for (const [caller, expectations] of probes) {
    const sightings = await callAs(caller, expectations)
    if (typeof sightings === 'string') notes.push(sightings)
    else
      expectations.forEach((expected, index) => {
        const { verdict, text } = judge(expected, sightings[index] ?? { error: 'no answer' })
        if (verdict === 'proven') proven.push(text)
        else if (verdict === 'failed') failures.push(text)
        else notes.push(text)
      })
  }
  return { proven, failures, notes }
}

/** This namespace's own addresses, one per family, as others reach it. */
function ownAddresses(): Partial<Record<Family, string>> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const outside = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  const found: Partial<Record<Family, string>> = {}
  for (const { family, address } of outside) found[family === 'IPv6' ? 'ipv6' : 'ipv4'] ??= address
  return found
}

/** Connects to each target and tells what it read; a second of silence is an answer as well. */
const callProgram = `
const { connect } = require('node:net')
const { createSocket } = require('node:dgram')
const targets = JSON.parse(process.argv[1])
const results = []
let left = targets.length
targets.forEach(({ address, port }, index) => {
  const settle = (result) => {
    if (results[index]) return
    results[index] = result
    if (--left === 0) process.stdout.write(JSON.stringify(results), () => process.exit(0))
  }
  // connecting a UDP socket sends nothing, but it looks for a route
  const route = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  route.connect(port, address, (error) => {
    route.close()
    if (error) settle({ error: 'no route' })
    else call(address, port, settle)
  })
})
function call(address, port, settle) {
  let text = ''
  const socket = connect(port, address)
  const read = () => { try { return JSON.parse(text) } catch { return { error: 'a stranger answered' } } }
  socket.setTimeout(1000, () => settle({ error: 'ETIMEDOUT' }))
  socket.on('data', (bytes) => { text += bytes })
  socket.on('end', () => settle(read()))
  socket.on('error', (error) => settle({ error: error.code }))
}`

/** The sightings in order, or why nobody could be asked. */
function callAs(caller: Caller, targets: readonly Expectation[]): Promise<Sighting[] | string> {
  const { uid, gid } = caller
  const list = targets.map(({ address, port }) => ({ address, port }))
  return new Promise((done) => {
    const refuse = (why: string) => done(`not verified as user ${uid}, group ${gid}: ${why}`)
    try {
      const child = spawn(process.execPath, ['-e', callProgram, JSON.stringify(list)], {
        uid,
        gid,
        cwd: '/',
        env: {},
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let text = ''
      child.stdout.on('data', (bytes) => (text += String(bytes)))
      child.on('error', (error: NodeJS.ErrnoException) => refuse(explainSpawn(error)))
      child.on('close', (status) => {
        if (status === 0) done(JSON.parse(text) as Sighting[])
        else refuse(`${process.execPath} ended with status ${status}`)
      })
    } catch (error) {
      refuse(explainSpawn(error as NodeJS.ErrnoException))
    }
  })
}

function explainSpawn({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EPERM') return 'changing the user needs the capabilities SETUID and SETGID'
  if (code === 'EACCES') return `that user may not run ${process.execPath}`
  return message
}

function judge(
  expected: Expectation,
  seen: Sighting,
): { verdict: 'proven' | 'failed' | 'untried'; text: string } {
  const { what, arrives, address, port } = expected
  if (seen.error === 'no route') {
    if (arrives === 'nowhere') return { verdict: 'proven', text: what }
    const text =
      `not verified: ${what}: no route to ${address}, so addresses of services cannot be captured ` +
      'either: add a default route'
    return { verdict: 'untried', text }
  }
  const landed = seen.listener ?? 'nowhere'
  if (landed !== arrives) {
    const detail = seen.error === undefined ? '' : ` (${seen.error})`
    return {
      verdict: 'failed',
      text: `${what}: arrived ${place(landed)}${detail}, not ${place(arrives)}`,
    }
  }
  const original = `${address} ${port}`
  if (seen.original === undefined || seen.original === original)
    return { verdict: 'proven', text: what }
  return {
    verdict: 'failed',
    text: `${what}: original destination ${seen.original}, not ${original}`,
  }
}

function place(listener: string): string {
  return listener === 'nowhere' ? 'nowhere' : `at the ${listener} listener`
}
