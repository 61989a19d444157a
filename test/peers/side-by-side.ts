/** Runs behaviours against Outrider and real Envoy, both with the same upstreams, and compares. */
import t, { type Test } from 'tap'
import { load } from '../../config/load.ts'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { Envoy, whyNoEnvoy } from '../support/envoy.ts'
import { Sidecar } from '../support/sidecar.ts'
import { SilentPort } from '../support/silent-port.ts'
import type { Behaviour, Endpoint } from './behaviour.ts'
import { Dialogue } from './dialogue.ts'
import { everywhereReason } from './differences.ts'
import {
  envoyClusters,
  envoyListeners,
  istioYaml,
  opaqueServices,
  type Places,
  tcpPort,
} from './mesh.ts'
import {
  alignLocalReplies,
  differencesOf,
  type LogLine,
  type Observation,
  observationOf,
} from './observation.ts'
import { ok, type Seen, Upstreams } from './upstream.ts'

/** How many behaviours run at once: most of their time is waiting. */
const atOnce = 8
const limitMs = 30_000
/** Nobody has this address: Services without clusterIP are told apart by Host. */
const dialed = '10.96.0.80'

interface Side {
  readonly name: string
  readonly upstreams: ReadonlyMap<Behaviour, Upstreams>
  readonly portFor: (behaviour: Behaviour) => number
  /** The lines about connections from this address, when there are `count`. */
  readonly log: (address: string, count: number) => Promise<LogLine[]>
}

/** A test per behaviour; each must differ exactly as it says. */
export async function compareWithEnvoy(behaviours: readonly Behaviour[]): Promise<void> {
  const skip = whyNoEnvoy()
  if (skip !== false) {
    t.test('side by side with Envoy', { skip }, async () => {})
    return
  }
  const folder = t.testdir()
  const ours = await startUpstreams(behaviours)
  const theirs = await startUpstreams(behaviours)
  const yaml = istioYaml(behaviours, ours.places)
  const { problems } = load([{ path: 'test.yaml', text: yaml }])
  const errors = problems.filter(({ severity }) => severity === 'error')
  t.same(errors, [], 'what Istio would refuse proves nothing')
  const sidecar = await Sidecar.start({ yaml, captured: true })
  const doors = new Map([['', await sidecar.portFor(dialed, 80)]])
  const opaque = opaqueServices(behaviours)
  for (const [name, address] of opaque) doors.set(name, await sidecar.portFor(address, tcpPort))
  for (const { dials, host, inbound } of behaviours)
    if (dials !== undefined) doors.set(host, await sidecar.portFor(dials.address, dials.port))
    else if (inbound)
      doors.set(host, await sidecar.portFor(...ours.places.get(host)![0]!, 'inbound'))
  const clusters = envoyClusters(behaviours, theirs.places)
  const envoy = await Envoy.start(folder, envoyListeners(behaviours), clusters)
  t.teardown(async () => {
    for (const upstreams of [...ours.all.values(), ...theirs.all.values()]) upstreams.close()
    await envoy[Symbol.asyncDispose]()
    await sidecar[Symbol.asyncDispose]()
    await (await silentPort)?.[Symbol.asyncDispose]()
  })
  const sides = [outriderSide(sidecar, doors, ours.all), envoySide(envoy, theirs.all)] as const
  const outcomes = startAll(behaviours, sides)
  for (const behaviour of behaviours)
    await t.test(behaviour.name, { timeout: 90_000 }, async (t) => {
      const [outrider, peer] = await outcomes.get(behaviour)!
      judge(t, behaviour, outrider, peer)
    })
}

function judge(t: Test, behaviour: Behaviour, ours: Observation, theirs: Observation): void {
  const { differs = [], ignores = [] } = behaviour
  const found = differencesOf(...alignLocalReplies(ours, theirs))
  const isIgnored = (path: string) =>
    ignores.some((each) => (typeof each === 'string' ? each === path : each.test(path)))
  const rest = Object.fromEntries(
    [...found]
      .filter(([path, both]) => !isIgnored(path) && everywhereReason(path, ...both) === undefined)
      .map(([path, both]) => [path, [...both]]),
  )
  const listed = Object.fromEntries(
    differs.flatMap(({ at }) => Object.entries(at).map(([path, both]) => [path, [...both]])),
  )
  t.strictSame(rest, listed, 'differs as listed, [Outrider, Envoy], and in nothing else')
  if (process.env['OUTRIDER_PEERS_SHOW'] !== undefined) t.comment(Object.fromEntries(theirs))
}

async function startUpstreams(behaviours: readonly Behaviour[]) {
  const all = new Map<Behaviour, Upstreams>()
  const places = new Map<string, Array<readonly [string, number]>>()
  for (const behaviour of behaviours) {
    const upstreams = new Upstreams()
    all.set(behaviour, upstreams)
    const services = behaviour.services ?? { [behaviour.host]: [ok] }
    for (const [name, scripts] of Object.entries(services)) {
      const ends: Array<readonly [string, number]> = []
      for (const [i, script] of scripts.entries())
        ends.push(await place(upstreams, `${name}#${i + 1}`, script))
      places.set(name, ends)
    }
  }
  return { all, places: places as Places }
}

let silentPort: Promise<SilentPort> | undefined
async function silent(): Promise<number> {
  silentPort ??= SilentPort.open()
  return (await silentPort).port
}

async function place(
  upstreams: Upstreams,
  name: string,
  script: Endpoint,
): Promise<readonly [string, number]> {
  // nothing listens on port 1
  if (script === 'refused') return ['127.0.0.1', 1]
  if (script === 'silent') return ['127.0.0.1', await silent()]
  return ['127.0.0.1', await upstreams.add(name, script)]
}

function startAll(behaviours: readonly Behaviour[], sides: readonly [Side, Side]) {
  const outcomes = new Map<Behaviour, Promise<readonly [Observation, Observation]>>()
  const waiting = [...behaviours]
  let running = 0
  const begin = new Map<Behaviour, () => void>()
  for (const [i, behaviour] of behaviours.entries()) {
    // an address of its own tells its log lines from all others
    const address = `127.1.${i >> 7}.${(i & 127) + 1}`
    const turn = new Promise<void>((done) => begin.set(behaviour, done))
    const outcome = turn
      .then(() =>
        Promise.all([observe(behaviour, address, sides[0]), observe(behaviour, address, sides[1])]),
      )
      .finally(() => {
        running--
        next()
      })
    outcome.catch(() => undefined)
    outcomes.set(behaviour, outcome)
  }
  const next = () => {
    while (running < atOnce && waiting.length > 0) {
      running++
      begin.get(waiting.shift()!)!()
    }
  }
  next()
  return outcomes
}

async function observe(behaviour: Behaviour, address: string, side: Side): Promise<Observation> {
  const upstreams = side.upstreams.get(behaviour)!
  const dialogue = new Dialogue(side.portFor(behaviour), address, behaviour.host, upstreams)
  const limit = new Promise<never>((_, failed) => {
    const timer = setTimeout(() => {
      const { notes, replies } = dialogue
      failed(
        new RangeError(
          `${side.name} is stuck: ${JSON.stringify([notes, replies, upstreams.seen])}`,
        ),
      )
    }, limitMs)
    timer.unref()
  })
  const all = async () => {
    await behaviour.client(dialogue)
    dialogue.close()
    await upstreams.settled()
    const count = behaviour.logs ?? dialogue.replies.filter(({ status }) => status !== 0).length
    return side.log(address, count)
  }
  const log = await Promise.race([all(), limit])
  const seen: Seen[] = upstreams.seen
  return observationOf(dialogue, seen, log)
}

function outriderSide(
  sidecar: Sidecar,
  doors: ReadonlyMap<string, number>,
  upstreams: ReadonlyMap<Behaviour, Upstreams>,
): Side {
  const linesOf = (address: string): LogLine[] =>
    [...sidecar.exchanges, ...sidecar.connections]
      .filter(({ downstreamRemote }) => downstreamRemote.address === address)
      .map((record) => ({
        status: 'status' in record ? record.status : 0,
        flags: flagNames(record.flags),
        details: record.details,
        attempts: 'attempts' in record ? record.attempts : 0,
      }))
  return {
    name: 'Outrider',
    upstreams,
    portFor: ({ host }) => doors.get(host) ?? doors.get('')!,
    log: async (address, count) => {
      while (linesOf(address).length < count) {
        const [exchanges, connections] = [sidecar.exchanges.length, sidecar.connections.length]
        await Promise.race([
          sidecar.recorded(exchanges + 1, connections),
          sidecar.recorded(exchanges, connections + 1),
        ])
      }
      return linesOf(address)
    },
  }
}

function envoySide(envoy: Envoy, upstreams: ReadonlyMap<Behaviour, Upstreams>): Side {
  const linesOf = (address: string): LogLine[] =>
    envoy.lines.filter((line) => line.address === address)
  return {
    name: 'Envoy',
    upstreams,
    portFor: ({ envoy: settings, host, inbound, tcp }) =>
      envoy.port(tcp || inbound ? host : (settings?.listener ?? 'http')),
    log: async (address, count) => {
      await envoy.until(() => linesOf(address).length >= count)
      return linesOf(address)
    },
  }
}
