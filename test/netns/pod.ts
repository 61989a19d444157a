/** A pod under capture with those around it: node, client, server; and programs to call and answer. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { readCaptureOptions } from '../../iptables/option-texts.ts'
import type { OptionName } from '../../iptables/options.ts'
import type { CapturePlan } from '../../iptables/plan.ts'
import { planHere } from '../../iptables/surroundings.ts'
import { type Machine, machineThrough } from '../../iptables/tools.ts'
import { type Identity, type Namespace, type Network, openNetwork } from '../support/netns.ts'
import type { CallResult, HammerResult, Order } from './programs/agent.ts'
import type { Note } from './programs/capture-proxy.ts'

export const at = {
  pod: '10.77.2.2',
  pod6: 'fd77::2:2',
  client: '10.77.1.2',
  client6: 'fd77::1:2',
  node: '10.77.0.1',
  node6: 'fd77::1',
  server: '10.77.3.2',
  server6: 'fd77::3:2',
  excluded: '10.77.3.3',
  excluded6: 'fd77::3:3',
  resolver: '10.77.3.53',
  resolver6: 'fd77::3:53',
  /** Services whose endpoint is the pod itself, and the server; no machine has these addresses. */
  ownVip: '10.96.0.10',
  ownVip6: 'fd96::10',
  serverVip: '10.96.0.20',
} as const

/** Who may call: where it runs, as whom. */
const callers = {
  app: { where: 'pod', as: { uid: 1000, gid: 1000 } },
  root: { where: 'pod', as: undefined },
  proxy: { where: 'pod', as: { uid: 1337, gid: 1337 } },
  'primary group': { where: 'pod', as: { uid: 1000, gid: 1337 } },
  'supplementary group': { where: 'pod', as: { uid: 1000, gid: 1000, groups: [1337] } },
  'excluded user': { where: 'pod', as: { uid: 2000, gid: 2000 } },
  client: { where: 'client', as: undefined },
  node: { where: 'node', as: undefined },
  guest: { where: 'guest', as: undefined },
} as const
export type CallerName = keyof typeof callers
const programs = new URL('./programs/', import.meta.url)

/** A running program that takes numbered lines and answers them. */
class Program {
  private readonly child: ChildProcess
  private readonly waiting = new Map<number, (answer: unknown) => void>()
  private last = 0

  constructor(
    namespace: Namespace,
    file: string,
    args: readonly string[],
    as?: Identity | undefined,
  ) {
    const argv = [process.execPath, fileURLToPath(new URL(file, programs)), ...args]
    this.child = namespace.spawn(argv, {
      ...(as ? { as } : {}),
      env: { NODE_OPTIONS: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const space = line.indexOf(' ')
      this.waiting.get(Number(line.slice(0, space)))?.(JSON.parse(line.slice(space + 1)))
    })
    this.child.on('exit', (status) => {
      for (const answer of this.waiting.values()) answer({ error: `${file} ended: ${status}` })
    })
  }

  ready(): Promise<unknown> {
    return new Promise((done) => this.waiting.set(0, done))
  }

  ask(text: string): Promise<unknown> {
    const number = ++this.last
    return new Promise((done) => {
      this.waiting.set(number, (answer) => {
        this.waiting.delete(number)
        done(answer)
      })
      this.child.stdin?.write(`${number} ${text}\n`)
    })
  }

  end(): Promise<void> {
    return new Promise((done) => {
      this.child.once('exit', () => done())
      this.child.kill('SIGKILL')
    })
  }
}

/** Somebody who calls. */
export class Agent {
  private readonly program: Program

  constructor(program: Program) {
    this.program = program
  }

  order(order: Order): Promise<unknown> {
    return this.program.ask(JSON.stringify(order))
  }

  async call(address: string, port: number, localPort?: number): Promise<CallResult> {
    const order = { do: 'call', address, port } as const
    return (await this.order(localPort ? { ...order, localPort } : order)) as CallResult
  }

  async udp(
    address: string,
    port: number,
    text: string,
    how: { connected?: boolean; localPort?: number } = {},
  ) {
    const { connected = false, localPort } = how
    const order = { do: 'udp', address, port, text, connected } as const
    return (await this.order(localPort ? { ...order, localPort } : order)) as CallResult
  }

  async stopHammer(): Promise<HammerResult> {
    return (await this.order({ do: 'stop' })) as HammerResult
  }
}

export class Pod implements Disposable {
  readonly network: Network
  readonly pod: Namespace
  readonly machine: Machine
  private readonly agents = new Map<CallerName, Agent>()
  private proxy: Program | undefined

  private constructor(network: Network, pod: Namespace) {
    this.network = network
    this.pod = pod
    this.machine = machineThrough((argv) => pod.command(argv))
  }

  /** Everything but the rules: programs answer when this returns. Without programs, only rules. */
  static async open({ programs = true } = {}): Promise<Pod> {
    const network = openNetwork([`${at.node}/16`, `${at.node6}/64`])
    const pod = new Pod(
      network,
      network.add('pod', { addresses: [`${at.pod}/16`, `${at.pod6}/64`] }),
    )
    if (!programs) return pod
    // the node itself refuses calls to services: an escaped connection fails at once
    network.node.must(['ip', 'route', 'add', 'local', '10.96.0.0/16', 'dev', 'lo'])
    network.node.must(['ip', '-6', 'route', 'add', 'local', 'fd96::/16', 'dev', 'lo'])
    network.add('client', { addresses: [`${at.client}/16`, `${at.client6}/64`] })
    const servers = [at.server, at.excluded, at.resolver].map((address) => `${address}/16`)
    const servers6 = [at.server6, at.excluded6, at.resolver6].map((address) => `${address}/64`)
    const server = network.add('server', { addresses: [...servers, ...servers6] })
    await Promise.all([
      pod.startReplier(pod.pod, 'app', appSockets, callers.app.as),
      pod.startReplier(server, 'server', serverSockets),
      pod.startProxy(),
    ])
    return pod
  }

  async startReplier(
    where: Namespace,
    name: string,
    sockets: readonly string[],
    as?: Identity | undefined,
  ) {
    await new Program(where, 'replier.ts', [name, ...sockets], as).ready()
  }

  /** The caller of that name, started when first asked for. */
  async agent(name: CallerName): Promise<Agent> {
    const known = this.agents.get(name)
    if (known !== undefined) return known
    const { where, as } = callers[name]
    const namespace = where === 'node' ? this.network.node : this.network.workloads.get(where)
    if (namespace === undefined) throw new TypeError(`there is no ${where} here`)
    const program = new Program(namespace, 'agent.ts', [], as)
    await program.ready()
    const agent = new Agent(program)
    this.agents.set(name, agent)
    return agent
  }

  async startProxy(): Promise<void> {
    const endpoints = [
      `${at.ownVip}=${at.pod}`,
      `${at.ownVip6}=${at.pod6}`,
      `${at.serverVip}=${at.server}`,
    ]
    this.proxy = new Program(this.pod, 'capture-proxy.ts', endpoints, callers.proxy.as)
    await this.proxy.ready()
  }

  async stopProxy(): Promise<void> {
    await this.proxy?.end()
  }

  /** What the proxy saw since last asked: `in 10.77.2.2 8080: forwarded`. */
  async seen(): Promise<string[]> {
    const notes = (await this.proxy?.ask('take')) as Note[]
    return notes.map(({ captured, outcome }) => `${captured}: ${outcome}`)
  }

  plan(given: Partial<Record<OptionName, string>>): Promise<CapturePlan> {
    const texts = Object.entries(given).map(([name, text]) => [name, { text, source: name }])
    const { options, problems } = readCaptureOptions(Object.fromEntries(texts))
    if (problems.length > 0) throw new TypeError(problems[0]!.message)
    return planHere(options, this.machine)
  }

  /** Runs the command line in the pod. */
  cli(args: readonly string[], through: readonly string[] = [], env: Record<string, string> = {}) {
    const main = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))
    return this.pod.run([...through, process.execPath, main, 'iptables', ...args], { env })
  }

  /** Rules of all backends, without what changes by itself and tables with nothing in them. */
  rules(): string {
    const programs = ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy']
    const texts = programs.map((name) => this.pod.run([`${name}-save`]).stdout)
    return texts
      .join('')
      .replaceAll(/^#.*\n/gm, '')
      .replaceAll(/ \[\d+:\d+\]/g, '')
      .replaceAll(/^\*\w+\n(?::\w+ ACCEPT\n)*COMMIT\n/gm, '')
  }

  [Symbol.dispose](): void {
    this.network[Symbol.dispose]()
  }
}

const appSockets = [
  'tcp 0.0.0.0 8080',
  'tcp 127.0.0.1 8081',
  `tcp ${at.pod} 8082`,
  'tcp ::1 8084',
  `tcp ${at.pod6} 8085`,
  'tcp :: 8086',
  'tcp :: 9000',
]

const serverSockets = [
  'tcp :: 80',
  'tcp :: 8443',
  'tcp :: 9999',
  `udp ${at.resolver} 53`,
  `udp ${at.resolver6} 53`,
  `udp ${at.server} 53`,
  `udp ${at.server} 5353`,
]
