/** What a proxy holds resident: at rest, with connections that do nothing, and after load. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Lab } from '../lab.ts'
import { IdleConnections } from '../load/idle-connections.ts'
import { loadWithWrk } from '../load/wrk.ts'
import { mainHost, meshPlan, type PeerName, type Plan } from '../peers/peer.ts'
import { type Measure, Samples, type Scenario } from './scenario.ts'

const resident: Measure = { name: 'RSS', unit: 'MiB', lessIsBetter: true }
const threads = [1, 2]
const measured: readonly PeerName[] = ['outrider', 'envoy', 'nginx', 'haproxy']

const settleMs = 5_000
/** How long after load memory may take to come back. */
const recoverMs = 20_000

const rowOf = (name: string, workers: number) =>
  workers === 1 ? name : `${name}, ${workers} workers`

async function idle(lab: Lab): Promise<Samples> {
  return eachAlone(lab, { ...meshPlan, hosts: 10 }, async () => {})
}

async function connected(lab: Lab): Promise<Samples> {
  const plan = { ...meshPlan, hosts: 10 }
  let held: IdleConnections | undefined
  return eachAlone(
    lab,
    plan,
    async (port) => {
      held = await IdleConnections.open(1000, port, mainHost, '/100')
    },
    () => held?.[Symbol.dispose](),
  )
}

/** Starts each proxy for itself, lets `prepare` happen to it, waits, and looks. */
async function eachAlone(
  lab: Lab,
  plan: Plan,
  prepare: (port: number) => Promise<void>,
  after: () => void = () => {},
): Promise<Samples> {
  const samples = new Samples()
  for (const workers of threads)
    for (const name of measured) {
      if (workers > 1 && name === 'nginx') continue
      const running = await lab.alone(name, { ...plan, workers })
      if (running === undefined) continue
      await prepare(running.port)
      await pause(settleMs)
      samples.add(rowOf(name, workers), resident.name, running.program?.residentMiB())
      after()
      await running.stop()
    }
  return samples
}

const loaded: Measure = { name: 'under load', unit: 'MiB', lessIsBetter: true }
const rested: Measure = { name: 'after rest', unit: 'MiB', lessIsBetter: true }
const grown: Measure = { name: 'growth', unit: 'of idle', lessIsBetter: true }

async function afterLoad(lab: Lab): Promise<Samples> {
  const samples = new Samples()
  const folder = lab.folder('wrk')
  for (const name of measured) {
    const running = await lab.alone(name, meshPlan)
    const program = running?.program
    if (running === undefined || program === undefined) continue
    await pause(settleMs)
    const before = program.residentMiB()
    const seconds = 2 * lab.options.roundSeconds
    for (const path of ['/100', '/64k', '/10m'])
      await loadWithWrk(
        { port: running.port, path, host: mainHost, connections: 64, seconds },
        folder,
      )
    const during = program.residentMiB()
    await pause(recoverMs)
    const after = program.residentMiB()
    samples.add(name, resident.name, before)
    samples.add(name, loaded.name, during)
    samples.add(name, rested.name, after)
    samples.add(name, grown.name, after / before)
    await running.stop()
  }
  return samples
}

export const memory: readonly Scenario[] = [
  {
    name: 'rss-idle',
    title: 'Memory at rest',
    quick: true,
    measures: [resident],
    claims: [{ measure: resident.name, most: 75 }],
    run: idle,
  },
  {
    name: 'rss-1000',
    title: 'Memory with 1,000 idle connections',
    measures: [resident],
    claims: [{ measure: resident.name, of: 'outrider, 2 workers', most: 120 }],
    run: connected,
  },
  {
    name: 'rss-load',
    title: 'Memory after mixed load and 20 s of rest',
    measures: [resident, loaded, rested, grown],
    claims: [{ measure: grown.name, most: 1.25 }],
    run: afterLoad,
  },
]
