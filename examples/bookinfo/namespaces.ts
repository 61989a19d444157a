/**
 * The demo as root: every workload has a network namespace of its own, applications call each other
 * by service name, and iptables hands their connections to the sidecars.
 */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proxyId } from '../../config/ports.ts'
import { type Identity, type Namespace, NamespaceError, Network } from '../../iptables/netns.ts'
import type { Interruption } from './interruption.ts'
import {
  identityFlags,
  type Member,
  members,
  outrider,
  programBeside,
  serviceAddresses,
  servicePort,
  serviceProgram,
} from './members.ts'
import type { Ground, Launch } from './mesh.ts'

const hosts = [
  '127.0.0.1 localhost',
  ...Object.entries(serviceAddresses).map(
    ([name, ip]) => `${ip} ${name} ${name}.default.svc.cluster.local`,
  ),
].join('\n')

export class Namespaces implements Ground {
  readonly description =
    'as root: one network namespace per workload, traffic captured by iptables, plain service names'
  pageUrl = ''
  private readonly network: Network
  private readonly spaces = new Map<Member, Namespace>()
  private readonly folder = mkdtempSync(join(tmpdir(), 'outrider-page-'))
  private relay: ChildProcess | undefined
  private door: Server | undefined

  private constructor(prefix: string) {
    this.network = Network.open({ prefix })
  }

  static async open(interruption: Interruption, prefix = 'outrider-demo'): Promise<Namespaces> {
    const ground = new Namespaces(prefix)
    try {
      for (const member of members) {
        ground.add(member)
        await interruption.or(new Promise((done) => setImmediate(done)))
      }
    } catch (error) {
      await ground[Symbol.asyncDispose]()
      throw error
    }
    return ground
  }

  private add(member: Member): void {
    const host = members.indexOf(member) + 11
    const addresses = [`10.77.0.${host}/16`, `fd77::${host}/64`]
    const space = this.network.add(member.name, { addresses, hosts: `${hosts}\n` })
    this.spaces.set(member, space)
  }

  /** The namespace of a workload: tests run their own clients there. */
  namespaceOf(member: Member): Namespace {
    return this.spaces.get(member)!
  }

  addressOf(member: Member): string {
    return this.namespaceOf(member).ipv4!
  }

  application(member: Member): Launch {
    const version = member.app === 'reviews' ? [member.version] : []
    const argv = [process.execPath, serviceProgram(member.program), `0.0.0.0:${servicePort}`]
    return this.inside(member, [...argv, ...version], readable ? appUser : undefined)
  }

  sidecar(member: Member, folders: readonly string[]): Launch {
    const argv = [
      ...[process.execPath, outrider, 'run'],
      ...folders.flatMap((folder) => ['--config', folder]),
      ...identityFlags(member, this.addressOf(member)),
      ...['--access-log', 'stdout', '--settle-time', '0s', '--drain-time', '1s'],
    ]
    return this.inside(member, argv, readable ? proxyUser : proxyGroup)
  }

  async ready(member: Member): Promise<boolean> {
    return (await this.outriderIn(member, ['wait', '--timeout', '30s'])) === 0
  }

  async capture(): Promise<void> {
    for (const member of members) {
      // Verifying wants the proxy's ports, which sidecars have by now; the scenario proves as much.
      const status = await this.outriderIn(member, ['iptables', 'apply', '--no-verify'])
      if (status !== 0) throw new NamespaceError(`iptables apply beside ${member.name}: ${status}`)
    }
  }

  /** Status of a command run beside a member; null when a signal ended it. */
  private async outriderIn(member: Member, args: readonly string[]): Promise<number | null> {
    const argv = [process.execPath, outrider, ...args]
    const child = this.namespaceOf(member).spawn(argv, { stdio: ['ignore', 'ignore', 'inherit'] })
    const [status] = await once(child, 'exit')
    return status
  }

  /** The namespaces are a world of their own: a relay in the node joins it with this one. */
  async openPage(): Promise<void> {
    const path = join(this.folder, 'page')
    const target = `${this.addressOf(members[0]!)}`
    const argv = [process.execPath, programBeside('relay'), path, target, String(servicePort)]
    this.relay = this.network.node.spawn(argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((done) => this.relay?.stdout?.once('data', done))
    const door = createServer((socket) => {
      const inner = connect(path)
      socket.pipe(inner).pipe(socket)
      socket.on('error', () => inner.destroy())
      inner.on('error', () => socket.destroy())
    })
    this.door = door
    const port = await listenFrom(door, servicePort)
    this.pageUrl = `http://127.0.0.1:${port}/productpage`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.relay?.kill()
    this.door?.close()
    this.network[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private inside(member: Member, argv: readonly string[], as: Identity | undefined): Launch {
    return { argv: this.namespaceOf(member).command(argv, as) }
  }
}

const appUser: Identity = { uid: 65_534, gid: 65_534 }
const proxyUser: Identity = { uid: proxyId, gid: proxyId }
/** Root with the proxy's group is exempt from capture too. */
const proxyGroup: Identity = { uid: 0, gid: proxyId }

/** Other users can read the program: a checkout under /root, for one, is for root alone. */
const readable = canOthersRead()

function canOthersRead(): boolean {
  try {
    accessSync(outrider, constants.R_OK)
    const argv = [`--reuid=${appUser.uid}`, `--regid=${appUser.gid}`, '--clear-groups']
    const script = `test -r ${JSON.stringify(outrider)} && test -x ${JSON.stringify(process.execPath)}`
    return spawnSync('setpriv', [...argv, 'sh', '-c', script]).status === 0
  } catch {
    return false
  }
}

/** The wanted port, or the next that is free. */
async function listenFrom(server: Server, wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 50; port++) {
    const bound = await new Promise<boolean>((done) => {
      server.once('error', () => done(false))
      server.listen(port, '127.0.0.1', () => done(true))
    })
    server.removeAllListeners('error')
    if (bound) return port
  }
  throw new Error(`no free port from ${wanted} on`)
}
