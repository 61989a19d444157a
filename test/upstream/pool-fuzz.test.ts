import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { endpointSpec, poolSettings, Request, rest, World } from './fakes.ts'

const specs = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => endpointSpec(address))

/** Anything may happen at any time; after every step all counts must agree with what is true. */
class Scenario {
  readonly world = new World()
  readonly requests = new Set<Request>()
  private readonly random: Random
  private readonly maxConnections: number
  private readonly maxPending: number
  readonly cluster
  /** Every endpoint that ever was, because removed ones finish. */
  private readonly endpoints = new Set<Endpoint>()

  constructor(seed: number) {
    this.random = new Random(seed)
    this.maxConnections = this.random.below(3) === 0 ? 4294967295 : 1 + this.random.below(5)
    this.maxPending = this.random.below(2) === 0 ? 4294967295 : this.random.below(4)
    const connectionPool = poolSettings({
      maxConnections: this.maxConnections,
      maxPendingRequests: this.maxPending,
      maxRequestsPerConnection: this.random.below(3),
      maxConnectionDurationMs: this.random.below(2) === 0 ? undefined : 300,
    })
    this.cluster = this.world.cluster({ connectionPool }, specs)
  }

  async step(): Promise<void> {
    const { cluster, random } = this
    for (const endpoint of cluster.endpoints) this.endpoints.add(endpoint)
    switch (random.below(11)) {
      case 0:
      case 1:
      case 2: {
        const pick = cluster.pick({ originalDestination: undefined, tried: [] })
        if (pick.kind === 'endpoint')
          this.requests.add(new Request(pick.endpoint, random.below(8) > 0))
        break
      }
      case 3:
        this.any((request) => request.waits)?.ticket?.cancel()
        break
      case 4:
      case 5:
        this.anyDial()?.connect()
        break
      case 6:
        this.anyDial()?.fail()
        break
      case 7:
      case 8:
        this.running()?.codec?.finish()
        break
      case 9:
        this.running()?.codec?.breakOff()
        break
      default:
        await this.seldom()
    }
  }

  private async seldom(): Promise<void> {
    const { cluster, random, world } = this
    const what = random.below(4)
    if (what === 0) world.pass(random.below(400))
    else if (what === 1) await rest()
    else if (what === 2) cluster.update(specs.filter(() => random.below(3) > 0))
    else this.idleCodec()?.close()
  }

  private any(wanted: (request: Request) => boolean): Request | undefined {
    const found = [...this.requests].filter(wanted)
    return found[this.random.below(Math.max(1, found.length))]
  }

  private running(): Request | undefined {
    return this.any((request) => isRunning(request))
  }

  private anyDial() {
    const { open } = this.world.dialer
    return open[this.random.below(Math.max(1, open.length))]
  }

  private idleCodec() {
    const all = new Set([...this.requests].map((request) => request.codec))
    for (const codec of all)
      if (codec !== undefined && codec.capacity === 1 && !codec.destroyed) return codec
    return undefined
  }

  /** The first count that is wrong, or undefined. */
  wrong(): string | undefined {
    const { cluster, world } = this
    const running = new Set([...this.requests].filter(isRunning).map((request) => request.codec))
      .size
    let active = 0
    let connections = 0
    let waiters = 0
    let dials = 0
    for (const endpoint of this.endpoints) {
      active += endpoint.active
      connections += endpoint.counts.connections
      waiters += endpoint.waiters
      dials += endpoint.dials
    }
    const { limits } = cluster
    const facts: Array<[what: string, is: number, should: number]> = [
      ['active', active, running + waiters],
      ['requests limit', limits.requests.used, active],
      ['connections limit', limits.connections.used, connections],
      ['dials', dials, world.dialer.open.length],
    ]
    for (const [what, is, should] of facts)
      if (is !== should) return `${what} is ${is}, should be ${should}`
    if (connections > this.maxConnections) return `${connections} connections`
    if (limits.pending.used < 0 || limits.pending.used > waiters)
      return `${limits.pending.used} pending of ${waiters} waiting`
    return undefined
  }

  /** Everything gets its end; then nothing may be left. */
  async finish(): Promise<void> {
    for (let i = 0; i < 500; i++) {
      this.world.dialer.open[0]?.connect()
      this.running()?.codec?.finish()
      if (i % 5 === 0) await rest()
    }
    this.world.pass(5_000)
  }
}

/** Its codec carries it still: the latest request on a codec that is busy. */
function isRunning(request: Request): boolean {
  const { codec } = request
  return codec !== undefined && codec.capacity === 0 && !codec.destroyed && !codec.closed
}

t.test(
  'whatever happens in whatever order, the counts stay true and come back to zero',
  async (t) => {
    for (let seed = 1; seed <= 150; seed++) {
      const scenario = new Scenario(seed)
      for (let step = 0; step < 300; step++) {
        await scenario.step()
        const wrong = scenario.wrong()
        if (wrong !== undefined) {
          t.fail(`seed ${seed}, step ${step}: ${wrong}`)
          return
        }
      }
      await scenario.finish()
      const waiting = [...scenario.requests].filter((one) => one.waits && one.ticket?.queued)
      const { held, limits } = scenario.cluster
      const left = [held.connections, held.dials, held.waiters, waiting.length, limits.pending.used]
      if (left.some((count) => count !== 0) || scenario.world.wheel.size !== 0) {
        t.fail(`seed ${seed}: left over ${left.join(' ')}, ${scenario.world.wheel.size} timers`)
        return
      }
    }
    t.pass('150 scenarios of 300 steps')
  },
)
