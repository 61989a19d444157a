/** Scenarios under closed-loop load: CPU per request and throughput, all proxies in alternating rounds. */
import { type BodyPath, bodies } from '../backend.ts'
import type { Lab } from '../lab.ts'
import { costOf, type Load } from '../load/wrk.ts'
import { mainHost, meshPlan, type Plan, peerNames, type RunningPeer } from '../peers/peer.ts'
import {
  type Claim,
  cpuPerRequest,
  perCore,
  rate,
  Samples,
  type Scenario,
  throughput,
} from './scenario.ts'

interface Shape {
  readonly path: BodyPath
  readonly connections: number
  readonly plan?: Partial<Plan>
  readonly churn?: boolean
  readonly upload?: boolean
}

interface Words {
  readonly name: string
  readonly title: string
  readonly quick?: boolean
  readonly claims?: readonly Claim[]
}

/** Until the engine has compiled what is hot: where only a few thousand requests pass in a second that takes longer. */
function warmUpSeconds({ connections, churn = false }: Shape): number {
  return churn || connections === 1 ? 12 : 3
}

function closedLoop(words: Words, shape: Shape): Scenario {
  const isBulk = bodies[shape.path] >= 64 * 1024
  return {
    claims: [],
    ...words,
    measures: isBulk ? [cpuPerRequest, throughput, perCore] : [cpuPerRequest, rate],
    run: (lab) => alternate(lab, shape, isBulk),
  }
}

async function alternate(lab: Lab, shape: Shape, isBulk: boolean): Promise<Samples> {
  const peers = await lab.running({ ...meshPlan, ...shape.plan }, peerNames)
  const folder = lab.folder('wrk')
  const samples = new Samples()
  const { rounds, roundSeconds } = lab.options
  for (const peer of peers) await costOf(peer, load(peer, shape, warmUpSeconds(shape)), folder)
  for (let round = 0; round < rounds; round++)
    for (const peer of peers) {
      const cost = await costOf(peer, load(peer, shape, roundSeconds), folder)
      const { requests, seconds, cpuMicroseconds: cpu } = cost
      const bytes = requests * bodies[shape.path]
      samples.add(peer.name, cpuPerRequest.name, cpu && cpu / requests)
      if (!isBulk) samples.add(peer.name, rate.name, requests / seconds)
      if (isBulk) samples.add(peer.name, throughput.name, bytes / seconds / 1e9)
      if (isBulk) samples.add(peer.name, perCore.name, cpu && bytes / cpu / 1e3)
    }
  return samples
}

function load(peer: RunningPeer, shape: Shape, seconds: number): Load {
  const { path, connections, churn = false, upload = false } = shape
  return {
    port: upload ? peer.sinkPort : peer.port,
    host: upload ? peer.sinkHost : mainHost,
    path: upload ? '/' : path,
    ...{ connections, seconds, churn },
    ...(upload ? { uploadBytes: bodies[path] } : {}),
  }
}

const cpu = cpuPerRequest.name
const below = (against: string, most: number): Claim => ({ measure: cpu, against, most })
/** The throughput one core reaches. */
const faster = (least: number): Claim => ({ measure: perCore.name, against: 'envoy', least })

export const small: readonly Scenario[] = [
  closedLoop(
    {
      name: 'h1-64',
      title: 'HTTP/1.1, 64 connections, 100-byte replies',
      quick: true,
      claims: [below('envoy', 0.45), below('nginx', 2)],
    },
    { path: '/100', connections: 64 },
  ),
  closedLoop(
    { name: 'h1-1', title: 'HTTP/1.1, one connection', claims: [below('envoy', 0.7)] },
    { path: '/100', connections: 1 },
  ),
  closedLoop(
    { name: 'h1-1000', title: 'HTTP/1.1, 1,000 connections', claims: [below('envoy', 0.4)] },
    { path: '/100', connections: 1000 },
  ),
  closedLoop(
    { name: 'churn', title: 'A new connection for each request', claims: [below('envoy', 1)] },
    { path: '/100', connections: 64, churn: true },
  ),
]

const down = { connections: 16 }
const up = { connections: 16, upload: true }

export const bulk: readonly Scenario[] = [
  closedLoop({ name: 'body-1k', title: 'Bodies of 1 KiB, down' }, { ...down, path: '/1k' }),
  closedLoop(
    { name: 'body-64k', title: 'Bodies of 64 KiB, down', quick: true, claims: [faster(1.7)] },
    { ...down, path: '/64k' },
  ),
  closedLoop(
    { name: 'body-10m', title: 'Bodies of 10 MiB, down', claims: [faster(1.1)] },
    { ...down, path: '/10m' },
  ),
  closedLoop({ name: 'upload-1k', title: 'Bodies of 1 KiB, up' }, { ...up, path: '/1k' }),
  closedLoop(
    { name: 'upload-64k', title: 'Bodies of 64 KiB, up', claims: [faster(1.7)] },
    { ...up, path: '/64k' },
  ),
  closedLoop(
    { name: 'upload-10m', title: 'Bodies of 10 MiB, up', claims: [faster(1.1)] },
    { ...up, path: '/10m' },
  ),
]

export const logged: readonly Scenario[] = [
  closedLoop(
    {
      name: 'h1-64-log',
      title: 'HTTP/1.1, 64 connections, with access log',
      quick: true,
      claims: [below('envoy', 0.45)],
    },
    { path: '/100', connections: 64, plan: { accessLog: true } },
  ),
]

const tcp = { plan: { protocol: 'tcp', hosts: 10 } } as const

export const splice: readonly Scenario[] = [
  closedLoop(
    {
      name: 'tcp-64',
      title: 'TCP, 64 connections, small exchanges',
      claims: [below('envoy', 1.1)],
    },
    { ...tcp, path: '/100', connections: 64 },
  ),
  closedLoop(
    { name: 'tcp-10m', title: 'TCP, 10 MiB at a time', claims: [faster(1.1)] },
    { ...tcp, ...down, path: '/10m' },
  ),
]
