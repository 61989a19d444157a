/**
 * The demo without privileges: every workload has a loopback address of its own, and applications
 * reach their sidecar as HTTP proxy (http_proxy), which they need not be changed for.
 */
import {
  identityFlags,
  type Member,
  members,
  outrider,
  servicePort,
  serviceProgram,
} from './members.ts'
import { ask, type Ground, type Launch } from './mesh.ts'

/** Ports of the n-th sidecar; all listen on 127.0.0.1. */
const base = { outbound: 15_101, admin: 15_201, health: 15_301, metrics: 15_401 }

export class Loopback implements Ground {
  readonly description =
    'without root: workloads on loopback addresses (127.0.77.x), sidecars addressed as HTTP proxy'
  readonly pageUrl: string

  constructor() {
    this.pageUrl = `http://${this.addressOf(members[0]!)}:${servicePort}/productpage`
  }

  addressOf(member: Member): string {
    return `127.0.77.${members.indexOf(member) + 11}`
  }

  application(member: Member): Launch {
    const proxy = `http://127.0.0.1:${base.outbound + members.indexOf(member)}`
    const listen = `${this.applicationAddress(member)}:${servicePort}`
    const version = member.app === 'reviews' ? [member.version] : []
    return {
      argv: [process.execPath, serviceProgram(member.program), listen, ...version],
      env: { http_proxy: proxy, HTTP_PROXY: proxy, no_proxy: '', NODE_USE_ENV_PROXY: '1' },
    }
  }

  sidecar(member: Member, folders: readonly string[]): Launch {
    const n = members.indexOf(member)
    const argv = [
      ...[process.execPath, outrider, 'run', '--explicit'],
      ...folders.flatMap((folder) => ['--config', folder]),
      ...identityFlags(member, this.addressOf(member)),
      ...['--app', `${this.applicationAddress(member)}:${servicePort}`],
      ...['--outbound-port', String(base.outbound + n), '--admin-port', String(base.admin + n)],
      ...['--health-port', String(base.health + n), '--metrics-port', String(base.metrics + n)],
      ...['--access-log', 'stdout', '--settle-time', '0s', '--drain-time', '1s'],
    ]
    return { argv }
  }

  async ready(member: Member): Promise<boolean> {
    const port = base.health + members.indexOf(member)
    return (await ask(`http://127.0.0.1:${port}/healthz/ready`)).status === 200
  }

  async capture(): Promise<void> {
    // Nothing is captured: applications were told their proxy.
  }

  async openPage(): Promise<void> {
    // The page's sidecar listens on an address of this machine.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is left behind.
  }

  private applicationAddress(member: Member): string {
    return `127.0.77.${members.indexOf(member) + 111}`
  }
}
