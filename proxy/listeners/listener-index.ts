/**
 * Finds the listener for a captured connection's original destination: exact address, then the
 * longest prefix, then every address of the port (Envoy's virtual listener matching).
 */
import type { OutboundListenerSpec } from '../../config/snapshot.ts'
import { CidrSet, prefixLength } from '../net/cidr.ts'

interface PortListeners<Live> {
  readonly exact: Map<string, Live>
  /** Longest prefix first. */
  readonly prefixes: Array<{ readonly bits: number; readonly set: CidrSet; readonly live: Live }>
  any: Live | undefined
}

export class ListenerIndex<Live> {
  private readonly ports = new Map<number, PortListeners<Live>>()

  constructor(specs: readonly OutboundListenerSpec[], make: (spec: OutboundListenerSpec) => Live) {
    for (const spec of specs) this.add(spec, make(spec))
    for (const { prefixes } of this.ports.values()) prefixes.sort((a, b) => b.bits - a.bits)
  }

  find(address: string, port: number): Live | undefined {
    const listeners = this.ports.get(port)
    if (listeners === undefined) return undefined
    const exact = listeners.exact.get(address)
    if (exact !== undefined) return exact
    for (const prefix of listeners.prefixes) if (prefix.set.contains(address)) return prefix.live
    return listeners.any
  }

  /** The listener of a port for every address: where explicit mode looks first. */
  anyAddress(port: number): Live | undefined {
    return this.ports.get(port)?.any
  }

  private add(spec: OutboundListenerSpec, live: Live): void {
    const listeners: PortListeners<Live> = this.ports.get(spec.port) ?? {
      exact: new Map(),
      prefixes: [],
      any: undefined,
    }
    this.ports.set(spec.port, listeners)
    if (spec.addresses.length === 0) listeners.any = live
    for (const address of spec.addresses) {
      if (!address.includes('/')) listeners.exact.set(address, live)
      else
        listeners.prefixes.push({ bits: prefixLength(address), set: new CidrSet([address]), live })
    }
  }
}
