/**
 * Real network namespaces on one machine, for the demo and the tests: a node (a bridge that routes) and
 * one namespace per workload joined to it. Nothing of the machine's own network is touched. Needs root
 * and iproute2 (`ip`); running as another user needs util-linux (`setpriv`).
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findTool } from './tools.ts'

/** As whom a program runs; default: the user of this process. */
export interface Identity {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups; default none. */
  readonly groups?: readonly number[]
}

export interface RunOptions {
  readonly as?: Identity
  /** Standard input. */
  readonly input?: string
  /** Added to this process's environment; undefined removes. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** `run` only: killed after this long. */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** Exit status; null when a signal ended the program or it could not start. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface WorkloadSettings {
  /** With prefix length, inside the node's prefixes: `10.77.0.11/16`, `fd77::11/64`. */
  readonly addresses: readonly string[]
  /** Default routes through the node, so that any address leaves through OUTPUT; default true. */
  readonly defaultRoutes?: boolean
  /** Contents of /etc/hosts as programs in the namespace see it. */
  readonly hosts?: string
  /** Contents of /etc/resolv.conf. */
  readonly resolv?: string
}

export interface NetworkSettings {
  /** First word of every namespace's name; what killed runs left under it is removed. */
  readonly prefix: string
  /** The node's addresses on the bridge; default 10.77.0.1/16 and fd77::1/64. */
  readonly nodeAddresses?: readonly string[]
}

/** A step of building a namespace failed: says the command and what it answered. */
export class NamespaceError extends Error {}

/** One namespace; programs run in it until the network is disposed. */
export class Namespace {
  readonly name: string
  /** Its addresses without prefix length, in the order given. */
  readonly addresses: readonly string[]
  private readonly children: Set<ChildProcess>

  constructor(name: string, addresses: readonly string[], children: Set<ChildProcess>) {
    this.name = name
    this.addresses = addresses.map(withoutPrefix)
    this.children = children
  }

  get ipv4(): string | undefined {
    return this.addresses.find((address) => !address.includes(':'))
  }

  get ipv6(): string | undefined {
    return this.addresses.find((address) => address.includes(':'))
  }

  /** The argument vector that runs `argv` in here. */
  command(argv: readonly string[], as?: Identity): string[] {
    return ['ip', 'netns', 'exec', this.name, ...identityPrefix(as), ...argv]
  }

  /** Runs to the end and returns what came out, whatever the status. */
  run(argv: readonly string[], options: RunOptions = {}): RunResult {
    return runCommand(this.command(argv, options.as), options)
  }

  /** Runs to the end; a status other than 0 is a NamespaceError. Returns standard output. */
  must(argv: readonly string[], options: RunOptions = {}): string {
    return succeed(this.command(argv, options.as), options)
  }

  /** Starts a program; it is killed with the network. Its pid is the program's own. */
  spawn(argv: readonly string[], options: RunOptions & SpawnOptions = {}): ChildProcess {
    const [file = '', ...rest] = this.command(argv, options.as)
    const { as: _as, input: _input, timeoutMs: _timeout, env, ...spawnOptions } = options
    const child = spawn(file, rest, { ...spawnOptions, env: { ...process.env, ...env } })
    this.children.add(child)
    child.once('exit', () => this.children.delete(child))
    child.once('error', () => this.children.delete(child))
    return child
  }
}

/** The node and its workloads; `using network = Network.open(...)` takes all of it away again. */
export class Network implements Disposable {
  readonly node: Namespace
  readonly workloads = new Map<string, Namespace>()
  private readonly stem: string
  private readonly nodeAddresses: readonly string[]
  private readonly children = new Set<ChildProcess>()
  private readonly atExit = () => this[Symbol.dispose]()
  private disposed = false

  private constructor(settings: NetworkSettings) {
    this.stem = uniqueStem(settings.prefix)
    this.nodeAddresses = settings.nodeAddresses ?? ['10.77.0.1/16', 'fd77::1/64']
    this.node = new Namespace(`${this.stem}-node`, this.nodeAddresses, this.children)
    process.once('exit', this.atExit)
  }

  /** Builds the node. Fails with NamespaceError, leaving nothing behind. */
  static open(settings: NetworkSettings): Network {
    removeLeftovers(settings.prefix)
    const network = new Network(settings)
    try {
      network.buildNode()
    } catch (error) {
      network[Symbol.dispose]()
      throw error
    }
    return network
  }

  private buildNode(): void {
    const { name } = this.node
    succeed(['ip', 'netns', 'add', name])
    const addresses = this.nodeAddresses.map((a) => addressCommand(a, 'br0'))
    batch(name, ['link set lo up', 'link add br0 type bridge', 'link set br0 up', ...addresses])
    sysctl(this.node, { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' })
  }

  /** Adds a workload: eth0 with the addresses, joined to the node's bridge. */
  add(label: string, settings: WorkloadSettings): Namespace {
    const name = `${this.stem}-${label}`
    const workload = new Namespace(name, settings.addresses, this.children)
    this.workloads.set(label, workload)
    writeEtc(name, 'hosts', settings.hosts)
    writeEtc(name, 'resolv.conf', settings.resolv)
    succeed(['ip', 'netns', 'add', name])
    sysctl(workload, {
      'net/ipv6/conf/default/accept_dad': '0',
      'net/ipv4/ip_unprivileged_port_start': '0',
    })
    const port = `v${this.workloads.size}`
    batch(this.node.name, [
      `link add ${port} type veth peer name eth0 netns ${name}`,
      `link set ${port} master br0 up`,
    ])
    const addresses = settings.addresses.map((a) => addressCommand(a, 'eth0'))
    batch(name, ['link set lo up', 'link set eth0 up', ...addresses, ...this.routes(settings)])
    return workload
  }

  private routes(settings: WorkloadSettings): string[] {
    if (settings.defaultRoutes === false) return []
    const families = new Set(settings.addresses.map((a) => a.includes(':')))
    return this.node.addresses
      .filter((gateway) => families.has(gateway.includes(':')))
      .map((gateway) => `route add default via ${gateway} dev eth0`)
  }

  /** Kills what runs in the namespaces and removes them; never throws. */
  [Symbol.dispose](): void {
    if (this.disposed) return
    this.disposed = true
    process.off('exit', this.atExit)
    for (const child of this.children) child.kill('SIGKILL')
    for (const { name } of [...this.workloads.values(), this.node]) destroyNamespace(name)
  }
}

/** Why namespaces cannot be made here, or undefined when they can. */
export function namespacesUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  if (findTool('ip') === undefined) return 'ip (package iproute2) is not installed'
  return undefined
}

/** Removes namespaces of this prefix whose process is gone. */
export function removeLeftovers(prefix: string): void {
  const pattern = new RegExp(`^${RegExp.escape(prefix)}-(\\d+)-`)
  const listed = runCommand(['ip', 'netns', 'list']).stdout.split('\n')
  for (const line of listed) {
    const name = line.split(' ')[0] ?? ''
    const pid = pattern.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) destroyNamespace(name)
  }
}

let networks = 0

/** Process id and a count: names of parallel runs, and of two networks of one run, never collide. */
function uniqueStem(prefix: string): string {
  return `${prefix}-${process.pid}-${++networks}`
}

function destroyNamespace(name: string): void {
  for (const pid of runCommand(['ip', 'netns', 'pids', name]).stdout.split('\n').filter(Boolean))
    endProcess(Number(pid))
  runCommand(['ip', 'netns', 'del', name])
  rmSync(join('/etc/netns', name), { recursive: true, force: true })
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself meanwhile
  }
}

/** Programs of `ip netns exec` find these in place of /etc/NAME. */
function writeEtc(namespace: string, file: string, content: string | undefined): void {
  if (content === undefined) return
  const folder = join('/etc/netns', namespace)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, file), content)
}

function addressCommand(address: string, device: string): string {
  return `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`
}

function batch(namespace: string, commands: readonly string[]): void {
  succeed(['ip', '-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

function sysctl(namespace: Namespace, settings: Readonly<Record<string, string>>): void {
  const writes = Object.entries(settings).map(([key, value]) => `echo ${value} > /proc/sys/${key}`)
  namespace.must(['sh', '-ec', writes.join('\n')])
}

function identityPrefix(as: Identity | undefined): string[] {
  if (as === undefined) return []
  const groups = as.groups?.length ? `--groups=${as.groups.join(',')}` : '--clear-groups'
  return ['setpriv', `--reuid=${as.uid}`, `--regid=${as.gid}`, groups]
}

function withoutPrefix(address: string): string {
  return address.split('/')[0]!
}

function runCommand(argv: readonly string[], options: RunOptions = {}): RunResult {
  const [file = '', ...rest] = argv
  const ended = spawnSync(file, rest, {
    encoding: 'utf8',
    env: { ...process.env, ...options.env },
    maxBuffer: 64 << 20,
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  })
  const stderr = ended.error ? `${ended.error.message}\n${ended.stderr ?? ''}` : ended.stderr
  return { status: ended.status, stdout: ended.stdout ?? '', stderr }
}

function succeed(argv: readonly string[], options: RunOptions = {}): string {
  const { status, stdout, stderr } = runCommand(argv, options)
  if (status === 0) return stdout
  const input = options.input === undefined ? '' : `\n${options.input}`
  throw new NamespaceError(`${argv.join(' ')}: status ${status}: ${stderr.trim()}${input}`)
}
