/** What a proxy adds to the latency of a steady stream of requests: its percentiles minus those without it. */
import type { Lab } from '../lab.ts'
import { paceWithFortio, percentiles } from '../load/fortio.ts'
import { loadWithWrk } from '../load/wrk.ts'
import { mainHost, meshPlan, peerNames, type RunningPeer } from '../peers/peer.ts'
import { findTool } from '../tools.ts'
import { type Measure, Samples, type Scenario } from './scenario.ts'

const connections = 16
const measures: readonly Measure[] = percentiles.map((percentile) => ({
  name: `p${percentile}`,
  unit: 'us added',
  lessIsBetter: true,
}))

function openLoop(perSecond: number): Scenario {
  return {
    name: `latency-${perSecond / 1000}k`,
    title: `Latency added at ${perSecond.toLocaleString('en-US')} requests/s, 16 connections`,
    measures,
    claims: ['p50', 'p90', 'p99'].map((measure) => ({ measure, against: 'envoy', most: 1 })),
    run: (lab) => pace(lab, perSecond),
  }
}

async function pace(lab: Lab, perSecond: number): Promise<Samples> {
  const samples = new Samples()
  if (findTool('fortio') === undefined) throw new Error('fortio is not on this machine')
  const peers = await lab.running(meshPlan, peerNames)
  const folder = lab.folder('fortio')
  for (const { port } of peers)
    await loadWithWrk({ port, path: '/100', host: mainHost, connections, seconds: 3 }, folder)
  const seconds = Math.max(5, lab.options.roundSeconds)
  for (let round = 0; round < lab.options.rounds; round++) {
    let without: ReadonlyMap<number, number> | undefined
    for (const peer of peers) {
      const latency = await measure(peer, perSecond, seconds, folder)
      if (peer.name === 'direct') without = latency
      for (const percentile of percentiles) {
        const base = peer.name === 'direct' ? 0 : (without?.get(percentile) ?? 0)
        samples.add(peer.name, `p${percentile}`, (latency.get(percentile) ?? Number.NaN) - base)
      }
    }
  }
  return samples
}

async function measure(peer: RunningPeer, perSecond: number, seconds: number, folder: string) {
  const paced = await paceWithFortio(
    { port: peer.port, path: '/100', host: mainHost, connections, perSecond, seconds },
    folder,
  )
  if (paced.achievedPerSecond < perSecond * 0.9)
    console.error(
      `${peer.name}: only ${paced.achievedPerSecond.toFixed(0)} requests/s went through`,
    )
  return paced.latency
}

export const latency: readonly Scenario[] = [openLoop(1000), openLoop(8000)]
