/** The ground all scenarios stand on: folders, ports, the backend, and running proxies shared by equal plans. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBackend } from './backend.ts'
import { direct } from './peers/direct.ts'
import { envoy } from './peers/envoy.ts'
import { haproxy } from './peers/haproxy.ts'
import { nginx } from './peers/nginx.ts'
import { outrider } from './peers/outrider.ts'
import type { Backend, Ground, Peer, PeerName, Plan, RunningPeer } from './peers/peer.ts'
import { stopAll, withoutPriority } from './program.ts'

const peers: readonly Peer[] = [direct, outrider, envoy, nginx, haproxy]

export interface LabOptions {
  /** Rounds each scenario runs; the median counts. */
  readonly rounds: number
  readonly roundSeconds: number
  readonly peers: readonly PeerName[]
}

export class Lab implements Ground {
  readonly backend: Backend
  readonly options: LabOptions
  /** Peers asked for that this machine lacks. */
  readonly absent: readonly PeerName[]
  readonly versions: Readonly<Record<string, string>>
  private readonly present: readonly Peer[]
  private readonly root: string
  private folders = 0
  private fleet: { plan: string; members: RunningPeer[] } | undefined

  private constructor(root: string, backend: Backend, options: LabOptions) {
    this.root = root
    this.backend = backend
    this.options = options
    const asked = peers.filter(({ name }) => options.peers.includes(name))
    const versions = new Map(asked.map((peer) => [peer.name, peer.version()]))
    this.present = asked.filter(({ name }) => versions.get(name) !== undefined)
    this.absent = asked.filter(({ name }) => versions.get(name) === undefined).map((p) => p.name)
    this.versions = Object.fromEntries(
      [...versions].flatMap(([name, version]) => (version ? [[name, version]] : [])),
    )
  }

  static async open(options: LabOptions): Promise<Lab> {
    const root = mkdtempSync(join(tmpdir(), 'outrider-bench-'))
    chmodSync(root, 0o755)
    return new Lab(root, await startBackend(root, freePort), options)
  }

  folder(name: string): string {
    const path = join(this.root, `${name}-${++this.folders}`)
    mkdirSync(path)
    return path
  }

  port(): Promise<number> {
    return freePort()
  }

  peer(name: PeerName): Peer | undefined {
    return this.present.find((peer) => peer.name === name)
  }

  /** Running proxies for this plan, in a fixed order; those of another plan are ended first. */
  async running(plan: Plan, names: readonly PeerName[]): Promise<readonly RunningPeer[]> {
    const key = JSON.stringify(plan)
    if (this.fleet?.plan !== key) {
      await this.rest()
      this.fleet = { plan: key, members: [] }
    }
    const { members } = this.fleet
    for (const peer of this.present) {
      const isThere = members.some((member) => member.name === peer.name)
      if (names.includes(peer.name) && !isThere) members.push(await peer.start(plan, this))
    }
    return members.filter((member) => names.includes(member.name))
  }

  /** A proxy that shares with no other scenario; the caller stops it. */
  async alone(name: PeerName, plan: Plan): Promise<RunningPeer | undefined> {
    await this.rest()
    return withoutPriority(async () => this.peer(name)?.start(plan, this))
  }

  /** Ends the shared proxies: for scenarios that start their own. */
  async rest(): Promise<void> {
    const members = this.fleet?.members ?? []
    this.fleet = undefined
    await Promise.all(members.map((member) => member.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest()
    await stopAll()
    rmSync(this.root, { recursive: true, force: true })
  }
}

const given = new Set<number>()

/** A port below the range of outgoing connections, so that none of those takes it before its server. */
async function freePort(): Promise<number> {
  for (let port = 19_200 + (process.pid % 50) * 100; ; port++) {
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}
