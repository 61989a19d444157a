/** A real Envoy on free ports of loopback, its access log read line by line as JSON. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { extension, socketAddress } from '../../bench/peers/envoy-config.ts'
import { findTool } from '../../bench/tools.ts'

/** False, or why tests against Envoy cannot run here. */
export function whyNoEnvoy(): string | false {
  if (findTool('envoy') !== undefined) return false
  return 'no envoy on this machine: ../shared/tools/peers.sh envoy installs it'
}

export interface EnvoyLine {
  /** The client's address. */
  readonly address: string
  readonly status: number
  readonly flags: string
  readonly details: string
  readonly attempts: number
}

const logFormat = {
  address: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
}

/** Goes into the `access_log` of what is to be compared. */
export const envoyLog = extension(
  'access_loggers.stream.v3.StdoutAccessLog',
  'envoy.access_loggers.stdout',
  { log_format: { json_format: logFormat } },
)

/** What Istio's bootstrap changes of Envoy's own defaults. */
const asIstio = {
  layers: [
    {
      name: 'istio',
      static_layer: { 'envoy.reloadable_features.http_reject_path_with_fragment': false },
    },
  ],
}

export class Envoy {
  readonly lines: EnvoyLine[] = []
  private readonly child: ChildProcess
  private ports: ReadonlyMap<string, number> = new Map()
  private text = ''
  private readonly looks = new Set<() => void>()

  private constructor(file: string) {
    const argv = ['-c', file, '--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'info']
    argv.push('--file-flush-interval-msec', '10')
    this.child = spawn(findTool('envoy')!, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
    createInterface({ input: this.child.stderr! }).on('line', (line) => {
      this.text += `${line}\n`
      this.look()
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.lines.push(readLine(line))
      this.look()
    })
    this.child.on('exit', () => this.look())
  }

  /** Listeners may ask for port 0: `port` tells what they got. */
  static async start(folder: string, listeners: object[], clusters: object[]): Promise<Envoy> {
    const file = join(folder, 'envoy.json')
    const admin = { address: socketAddress('127.0.0.1', 0) }
    const static_resources = { listeners, clusters }
    writeFileSync(file, JSON.stringify({ admin, static_resources, layered_runtime: asIstio }))
    const envoy = new Envoy(file)
    await envoy.until(() => envoy.text.includes('starting main dispatch loop'))
    const address = /admin address: (\S+)/.exec(envoy.text)?.[1]
    const reply = await fetch(`http://${address}/listeners?format=json`)
    envoy.ports = portsOf(await reply.json())
    return envoy
  }

  port(listener: string): number {
    const port = this.ports.get(listener)
    if (port === undefined) throw new RangeError(`Envoy has no listener ${listener}`)
    return port
  }

  /** Resolves when `holds` after a line; rejects when Envoy ends before. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new RangeError(`Envoy ended and said:\n${complaints(this.text)}`)
      await new Promise<void>((done) => this.looks.add(done))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'close')
    this.child.kill('SIGKILL')
    await gone
  }

  private look(): void {
    for (const done of this.looks) done()
    this.looks.clear()
  }
}

/** Envoy says much when it starts; what was wrong comes with these levels. */
function complaints(text: string): string {
  const bad = text.split('\n').filter((line) => /\[(?:error|critical)\]/.test(line))
  return bad.join('\n').slice(0, 2_000) || text.slice(-2_000)
}

function readLine(line: string): EnvoyLine {
  const { address, status, flags, details, attempts } = JSON.parse(line)
  return {
    address,
    status,
    flags: flags ?? '-',
    details: details ?? '',
    attempts: attempts ?? 0,
  }
}

/** `listener_statuses` of the admin page. */
function portsOf(page: unknown): ReadonlyMap<string, number> {
  const { listener_statuses: all } = page as {
    listener_statuses: Array<{
      name: string
      local_address: { socket_address: { port_value: number } }
    }>
  }
  return new Map(all.map((each) => [each.name, each.local_address.socket_address.port_value]))
}
