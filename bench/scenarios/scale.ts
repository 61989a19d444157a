/** A mesh of 10,000 hosts and 100,000 endpoints: memory, cost of a request, and what a change costs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Lab } from '../lab.ts'
import { Asker, Probe, type ProbeReply, quantile } from '../load/probe.ts'
import { costOf } from '../load/wrk.ts'
import { service, slice } from '../peers/mesh-yaml.ts'
import { type RunningOutrider, startOutrider } from '../peers/outrider.ts'
import { endpointAddress, mainHost, type PeerName } from '../peers/peer.ts'
import { withoutPriority } from '../program.ts'
import { cpuPerRequest, type Measure, Samples, type Scenario } from './scenario.ts'
import { largePlan } from './start.ts'

const resident: Measure = { name: 'RSS', unit: 'MiB', lessIsBetter: true }
const settleMs = 5_000
const measured: readonly PeerName[] = ['outrider', 'envoy']

async function memory(lab: Lab): Promise<Samples> {
  await lab.rest()
  const samples = new Samples()
  for (const name of measured) {
    const running = await lab.alone(name, largePlan)
    if (running === undefined) continue
    await pause(settleMs)
    samples.add(name, resident.name, running.program?.residentMiB())
    await running.stop()
  }
  return samples
}

const smallPlan = { ...largePlan, hosts: 10, endpointsPerHost: 1 }

async function cost(lab: Lab): Promise<Samples> {
  await lab.rest()
  const samples = new Samples()
  const folder = lab.folder('wrk')
  const load = { path: '/100', host: mainHost, connections: 64 }
  const all = []
  for (const name of measured)
    for (const [row, plan] of [
      [`${name}, 10 hosts`, smallPlan],
      [name, largePlan],
    ] as const) {
      const peer = await lab.peer(name)?.start(plan, lab)
      if (peer !== undefined) all.push({ row, peer })
    }
  for (const { peer } of all) await costOf(peer, { ...load, port: peer.port, seconds: 4 }, folder)
  for (let round = 0; round < lab.options.rounds; round++)
    for (const { row, peer } of all) {
      const seconds = lab.options.roundSeconds
      const { requests, cpuMicroseconds: cpu } = await costOf(
        peer,
        { ...load, port: peer.port, seconds },
        folder,
      )
      samples.add(row, cpuPerRequest.name, cpu && cpu / requests)
    }
  await Promise.all(all.map(({ peer }) => peer.stop()))
  return samples
}

const ms = (name: string): Measure => ({ name, unit: 'ms', lessIsBetter: true })
const endpointLive = ms('endpoint live')
const routeLive = ms('route live')
const stall = ms('p99.9')
const worst = ms('worst')

/** The probe goes on after a change is live, so that what comes later is seen too. */
const aftermathMs = 2_000

async function reload(lab: Lab): Promise<Samples> {
  await lab.rest()
  const samples = new Samples()
  const outrider = await withoutPriority(() => startOutrider(largePlan, lab))
  const change = new Change(outrider, lab)
  change.write()
  await change.untilLive()
  await pause(settleMs)
  await quiet(samples, 'outrider, no change', outrider.port)
  for (let round = 0; round < lab.options.rounds; round++) {
    samples.add('outrider', endpointLive.name, await watched(samples, outrider, change, 'endpoint'))
    samples.add('outrider', routeLive.name, await watched(samples, outrider, change, 'route'))
  }
  await quiet(samples, 'direct', lab.backend.port)
  await outrider.stop()
  return samples
}

async function quiet(samples: Samples, row: string, port: number): Promise<void> {
  const probe = new Probe(port, mainHost)
  await pause(aftermathMs)
  await probe[Symbol.asyncDispose]()
  addStalls(samples, row, probe)
}

function addStalls(samples: Samples, row: string, { tookMs }: Probe): void {
  samples.add(row, stall.name, quantile(tookMs, 0.999))
  samples.add(row, worst.name, Math.max(...tookMs))
}

/** Makes a change under a steady probe; returns how long it took to be live. */
async function watched(
  samples: Samples,
  { port }: RunningOutrider,
  change: Change,
  kind: 'endpoint' | 'route',
): Promise<number> {
  const probe = new Probe(port, mainHost)
  await pause(200)
  change.turn(kind)
  const began = performance.now()
  change.write()
  await change.untilLive()
  const took = performance.now() - began
  await pause(aftermathMs)
  await probe[Symbol.asyncDispose]()
  addStalls(samples, 'outrider', probe)
  return took
}

/** One service of the mesh whose endpoint and route are changed back and forth. */
class Change {
  private readonly outrider: RunningOutrider
  private readonly lab: Lab
  private isMoved = false
  private generation = 0

  constructor(outrider: RunningOutrider, lab: Lab) {
    this.outrider = outrider
    this.lab = lab
  }

  turn(kind: 'endpoint' | 'route'): void {
    if (kind === 'endpoint') this.isMoved = !this.isMoved
    else this.generation++
  }

  write(): void {
    const { port, sinkPort } = this.lab.backend
    const target = this.isMoved ? sinkPort : port
    const route = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: moving, namespace: default }
spec:
  hosts: [moving]
  http:
    - headers: { response: { set: { x-generation: "${this.generation}" } } }
      route: [{ destination: { host: moving, port: { number: 8080 } } }]
`
    const endpoints = slice('moving', 'http', [endpointAddress(0)], target)
    const text = [service('moving', 'http', '10.96.1.3', port), endpoints, route].join('---\n')
    writeFileSync(join(this.outrider.configFolder, 'moving.yaml'), text)
  }

  async untilLive(): Promise<void> {
    using asker = new Asker(this.outrider.port, 'moving:8080')
    while (!this.isIn(await asker.ask())) await pause(1)
  }

  private isIn({ head, body }: ProbeReply): boolean {
    const isHere = (body === 'ok') === this.isMoved && !/^HTTP\/1.1 [45]/.test(head)
    return isHere && head.includes(`x-generation: ${this.generation}`)
  }
}

export const scale: readonly Scenario[] = [
  {
    name: 'scale-rss',
    title: 'Memory with 10,000 hosts and 100,000 endpoints, two workers',
    measures: [resident],
    claims: [{ measure: resident.name, most: 250 }],
    run: memory,
  },
  {
    name: 'scale-cost',
    title: 'CPU per request with 10,000 hosts and with ten, 64 connections, two workers',
    measures: [cpuPerRequest],
    claims: [{ measure: cpuPerRequest.name, against: 'outrider, 10 hosts', most: 1.15 }],
    run: cost,
  },
  {
    name: 'scale-reload',
    title: 'A change with 10,000 hosts and 100,000 endpoints, seen by a probe every millisecond',
    measures: [endpointLive, routeLive, stall, worst],
    claims: [
      { measure: endpointLive.name, most: 200 },
      { measure: stall.name, most: 20 },
    ],
    run: reload,
  },
]
