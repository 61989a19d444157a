/** The listening sockets of one worker: opened as its first act, followed by what configuration adds. */
import { checkAdoption } from '../net/adopt.ts'
import { Listener } from '../net/listener.ts'
import type { WorkerSettings } from './messages.ts'
import type { Acceptor, Runtime } from './runtime.ts'

export class Doors {
  private readonly settings: WorkerSettings
  private readonly runtime: Runtime
  private readonly onFailure: (what: string, message: string) => void
  private readonly outbound: Listener[] = []
  private readonly inbound: Listener[] = []
  /** Explicit mode: one per address and port of the workload. */
  private readonly ofWorkload = new Map<string, Listener | undefined>()
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

  /** Explicit mode with an application: the workload's own ports come and go with the configuration. */
  async follow(): Promise<void> {
    const { snapshot } = this.runtime
    if (!this.settings.explicit || this.settings.app === undefined) return
    if (snapshot === undefined || this.closedInbound) return
    const wanted = new Set<string>()
    for (const address of snapshot.workload.addresses)
      for (const { port } of snapshot.inbound.ports) wanted.add(`${address} ${port}`)
    for (const [key, listener] of this.ofWorkload) {
      if (wanted.has(key)) continue
      listener?.close()
      this.ofWorkload.delete(key)
    }
    for (const key of wanted) if (!this.ofWorkload.has(key)) await this.openFor(key)
  }

  closeInbound(): void {
    this.closedInbound = true
    for (const listener of [...this.inbound, ...this.ofWorkload.values()]) listener?.close()
  }

  closeOutbound(): void {
    for (const listener of this.outbound) listener.close()
  }

  private async openFor(key: string): Promise<void> {
    const [address = '', port] = key.split(' ')
    this.ofWorkload.set(key, undefined)
    try {
      this.ofWorkload.set(
        key,
        await this.listen(address, Number(port), false, this.runtime.inbound),
      )
    } catch (error) {
      this.onFailure(`inbound listener ${address}:${port}`, (error as Error).message)
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
