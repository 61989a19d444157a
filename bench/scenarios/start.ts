/** From launch until a proxy would serve. */
import type { Lab } from '../lab.ts'
import { meshPlan, type PeerName, type Plan } from '../peers/peer.ts'
import { type Measure, Samples, type Scenario } from './scenario.ts'

const ready: Measure = { name: 'ready after', unit: 's', lessIsBetter: true }
const measured: readonly PeerName[] = ['outrider', 'envoy', 'nginx', 'haproxy']

async function starts(lab: Lab, plan: Plan, names: readonly PeerName[]): Promise<Samples> {
  const samples = new Samples()
  for (let round = 0; round < lab.options.rounds; round++)
    for (const name of names) {
      const running = await lab.alone(name, plan)
      if (running === undefined) continue
      samples.add(name, ready.name, running.readyAfterMs / 1000)
      await running.stop()
    }
  return samples
}

export const largePlan: Plan = { ...meshPlan, hosts: 10_000, endpointsPerHost: 10, workers: 2 }

export const start: readonly Scenario[] = [
  {
    name: 'start',
    title: 'Start to ready, ten hosts',
    measures: [ready],
    claims: [{ measure: ready.name, most: 0.6 }],
    run: (lab) => starts(lab, { ...meshPlan, hosts: 10 }, measured),
  },
  {
    name: 'start-10k',
    title: 'Start to ready, 10,000 hosts with ten endpoints each, two workers',
    measures: [ready],
    claims: [{ measure: ready.name, most: 4 }],
    run: (lab) => starts(lab, largePlan, ['outrider', 'envoy']),
  },
]
