/**
 * The demo without privileges: every workload has a loopback address of its own, and applications
 * reach their sidecar as HTTP proxy (http_proxy), which they need not be changed for.
 */
import { mustBeFree } from '../../proxy/control/port-check.ts'
import {
  identityFlags,
  type Member,
  members,
  outrider,
  servicePort,
  serviceProgram,
} from './members.ts'
import { ask, type Ground, type Launch } from './mesh.ts'

/** Ports of the n-th sidecar of the first demo; all listen on 127.0.0.1. */
const base = { outbound: 15_101, admin: 15_201, health: 15_301, metrics: 15_401 }
/** So many demos fit beside each other. */
const places = 10

export class Loopback implements Ground {
  readonly description: string
  readonly pageUrl: string
  /** 0 unless another demo runs. */
  private readonly place: number

  private constructor(place: number) {
    this.place = place
    this.description = `without root: workloads on loopback addresses (127.0.${77 + place}.x), sidecars addressed as HTTP proxy`
    this.pageUrl = `http://${this.addressOf(members[0]!)}:${servicePort}/productpage`
  }

  /** At the first place where everything is free; rejects with what holds a port of the last one. */
  static async open(): Promise<Loopback> {
    for (let place = 0; ; place++) {
      const ground = new Loopback(place)
      try {
        for (const member of members) await ground.mustBeFree(member)
        return ground
      } catch (error) {
        if (place === places - 1) throw error
      }
    }
  }

  addressOf(member: Member): string {
    return `127.0.${77 + this.place}.${members.indexOf(member) + 11}`
  }

  application(member: Member): Launch {
    const proxy = `http://127.0.0.1:${this.portsOf(member).outbound}`
    const listen = `${this.applicationAddress(member)}:${servicePort}`
    const version = member.app === 'reviews' ? [member.version] : []
    return {
      argv: [process.execPath, serviceProgram(member.program), listen, ...version],
      env: { http_proxy: proxy, HTTP_PROXY: proxy, no_proxy: '', NODE_USE_ENV_PROXY: '1' },
    }
  }

  sidecar(member: Member, folders: readonly string[]): Launch {
    const { outbound, admin, health, metrics } = this.portsOf(member)
    const argv = [
      ...[process.execPath, outrider, 'run', '--explicit'],
      ...folders.flatMap((folder) => ['--config', folder]),
      ...identityFlags(member, this.addressOf(member)),
      ...['--app', `${this.applicationAddress(member)}:${servicePort}`],
      ...['--outbound-port', `${outbound}`, '--admin-port', `${admin}`],
      ...['--health-port', `${health}`, '--metrics-port', `${metrics}`],
      ...['--access-log', 'stdout', '--settle-time', '0s', '--drain-time', '1s'],
    ]
    return { argv }
  }

  async ready(member: Member): Promise<boolean> {
    const { health } = this.portsOf(member)
    return (await ask(`http://127.0.0.1:${health}/healthz/ready`)).status === 200
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
    return `127.0.${77 + this.place}.${members.indexOf(member) + 111}`
  }

  private portsOf(member: Member): typeof base {
    const n = this.place * 10 + members.indexOf(member)
    const { outbound, admin, health, metrics } = base
    return {
      outbound: outbound + n,
      admin: admin + n,
      health: health + n,
      metrics: metrics + n,
    }
  }

  private async mustBeFree(member: Member): Promise<void> {
    const at = (what: string, port: number, address = '127.0.0.1') =>
      mustBeFree({ what, option: '' }, { address, port })
    for (const [name, port] of Object.entries(this.portsOf(member))) await at(name, port)
    await at('service', servicePort, this.addressOf(member))
    await at('application', servicePort, this.applicationAddress(member))
  }
}
