/** What every proxy under measurement has in common: the world it is given and what is asked of it. */
import type { Program } from '../program.ts'

export const peerNames = ['direct', 'outrider', 'envoy', 'nginx', 'haproxy'] as const
export type PeerName = (typeof peerNames)[number]

/** The world a proxy is configured for; equal plans share running proxies. */
export interface Plan {
  /** HTTP is routed by host; TCP is forwarded blindly. */
  readonly protocol: 'http' | 'tcp'
  /** Other hosts in the routing table, besides the one requests go to. */
  readonly hosts: number
  readonly endpointsPerHost: number
  readonly workers: number
  readonly accessLog: boolean
}

export const meshPlan: Plan = {
  protocol: 'http',
  hosts: 200,
  endpointsPerHost: 1,
  workers: 1,
  accessLog: false,
}

/** What the backend is to the proxies: `hosts` all lead there. */
export interface Backend {
  /** 100-byte replies, files, and (on `sinkPort`) uploads. */
  readonly port: number
  readonly sinkPort: number
}

export interface Ground {
  readonly backend: Backend
  /** A folder of this proxy's own for its files. */
  folder(name: string): string
  /** A free port. */
  port(): Promise<number>
}

export interface RunningPeer {
  readonly name: PeerName
  /** Where load goes for what the backend serves. */
  readonly port: number
  /** Where load goes for what the sink takes. */
  readonly sinkPort: number
  /** The `Host` (authority) that leads to the sink. */
  readonly sinkHost: string
  /** Undefined for `direct`: there is no proxy to measure. */
  readonly program: Program | undefined
  /** From launch until it could serve. */
  readonly readyAfterMs: number
  stop(): Promise<void>
}

export interface Peer {
  readonly name: PeerName
  /** Its version, or undefined when this machine lacks it. */
  version(): string | undefined
  start(plan: Plan, ground: Ground): Promise<RunningPeer>
}

export const mainHost = 'web:8080'
export const sinkHost = 'sink:8080'
export const hostName = (index: number): string => `host-${index}`

/** Loopback addresses the backend listens on: endpoints of one host that all answer. */
export const endpointAddress = (index: number): string => `127.0.0.${index + 1}`

/** Retries as they are configured in every proxy that knows the conditions. */
export const retries = { on: 'connect-failure,refused-stream,unavailable,cancelled', attempts: 2 }
