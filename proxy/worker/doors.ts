/** The listening sockets of one worker: opened as its first act, followed by what configuration adds. */
import type { Snapshot } from '../../config/snapshot.ts'
import { checkAdoption } from '../net/adopt.ts'
import { Listener } from '../net/listener.ts'
import type { WorkerSettings } from './messages.ts'
import type { Acceptor, Runtime } from './runtime.ts'

interface Door {
  readonly address: string
  readonly port: number
  readonly acceptor: Acceptor
}

export class Doors {
  private readonly settings: WorkerSettings
  private readonly runtime: Runtime
  private readonly onFailure: (what: string, message: string) => void
  private readonly outbound: Listener[] = []
  private readonly inbound: Listener[] = []
  /** What the configuration asks for; undefined while it is being opened. */
  private readonly followed = new Map<string, Listener | undefined>()
  private adopting = false
  private closedInbound = false

  constructor(
    settings: WorkerSettings,
    runtime: Runtime,
    onFailure: (what: string, message: string) => void,
  ) {
    this.settings = settings
    this.runtime = runtime
    this.onFailure = onFailure
  }

  /** Opens what does not depend on configuration; rejects with the system's error. */
  async open(): Promise<{ outbound: number; inbound: number }> {
    const { binds, explicit, inbound, outbound } = this.settings
    this.adopting = process.env['OUTRIDER_RECEIVE'] !== 'data' && (await checkAdoption())
    const out = await this.listen(outbound.address, outbound.port, !explicit, this.runtime.outbound)
    this.outbound.push(out)
    this.runtime.ownPorts.add(out.address.port)
    for (const { listen, port, service } of binds) {
      const acceptor = this.runtime.bound({ service, port })
      this.outbound.push(await this.listen(listen.address, listen.port, false, acceptor))
    }
    if (inbound === undefined) return { outbound: out.address.port, inbound: 0 }
    const into = await this.listen(inbound.address, inbound.port, true, this.runtime.inbound)
    this.inbound.push(into)
    this.runtime.ownPorts.add(into.address.port)
    return { outbound: out.address.port, inbound: into.address.port }
  }

  /** What the configuration opens comes and goes with it. */
  async follow(): Promise<void> {
    const { snapshot } = this.runtime
    if (snapshot === undefined || this.closedInbound) return
    const wanted = this.wanted(snapshot)
    for (const [key, listener] of this.followed) {
      if (wanted.has(key)) continue
      listener?.close()
      this.followed.delete(key)
    }
    for (const [key, door] of wanted) if (!this.followed.has(key)) await this.openFor(key, door)
  }

  /** By place and what is done there. */
  private wanted(snapshot: Snapshot): Map<string, Door> {
    const { app, explicit, id } = this.settings
    const { direct, inbound, proxy } = this.runtime
    const wanted = new Map<string, Door>()
    const add = (kind: string, door: Door): void => {
      // A unix socket cannot be shared.
      if (id === 0 || !door.address.startsWith('unix://'))
        wanted.set(`${kind} ${door.address} ${door.port}`, door)
    }
    if (explicit && app !== undefined)
      for (const address of snapshot.workload.addresses)
        for (const { port } of snapshot.inbound.ports)
          add('inbound', { address, port, acceptor: inbound })
    else
      for (const { door, port } of snapshot.inbound.ports)
        if (door !== undefined) add('inbound', { address: door, port, acceptor: direct.inbound })
    for (const { address, kind, port } of snapshot.outbound.doors)
      add(kind, { address, port, acceptor: kind === 'proxy' ? proxy : direct.outbound })
    return wanted
  }

  closeInbound(): void {
    this.closedInbound = true
    for (const listener of [...this.inbound, ...this.followedOf('inbound')]) listener.close()
  }

  closeOutbound(): void {
    for (const listener of [...this.outbound, ...this.followedOf('outbound')]) listener.close()
  }

  private followedOf(direction: 'inbound' | 'outbound'): Listener[] {
    const found = [...this.followed].filter(
      ([key]) => key.startsWith('inbound ') === (direction === 'inbound'),
    )
    return found.flatMap(([, listener]) => listener ?? [])
  }

  private async openFor(key: string, { acceptor, address, port }: Door): Promise<void> {
    this.followed.set(key, undefined)
    try {
      const listener = await this.listen(address, port, false, acceptor)
      // It may have been taken back meanwhile.
      if (this.followed.has(key) && !this.closedInbound) this.followed.set(key, listener)
      else listener.close()
    } catch (error) {
      this.followed.delete(key)
      this.onFailure(`listener ${key}`, (error as Error).message)
    }
  }

  private listen(
    address: string,
    port: number,
    captured: boolean,
    acceptor: Acceptor,
  ): Promise<Listener> {
    const reusePort = true
    return Listener.open(
      { address, port, reusePort, captured, adopting: this.adopting },
      (connection) => this.runtime.accept(acceptor, connection),
    )
  }
}
