/** How the connections of a cluster are dressed: TLS of the client, and what opens them. */
import type { ClusterSpec } from '../../config/snapshot.ts'
import type { Clock } from '../base/clock.ts'
import { proxyHeader } from '../net/proxy-header.ts'
import { ClientTls } from '../net/tls.ts'
import type { PoolContext } from './pool-context.ts'

interface Surroundings {
  readonly clock: Clock
  note?(key: string, text: string): void
}

/** `current`: the spec in force, whose places may move while the connections stay. */
export function transportOf(
  current: () => ClusterSpec,
  { clock, note }: Surroundings,
): Pick<PoolContext, 'tls' | 'serverName' | 'preface'> {
  const { name, proxyProtocol, service, tls } = current()
  const askedBy = (): string => {
    const { policyOrigin, tlsOrigin = policyOrigin } = current()
    if (tlsOrigin === undefined) return name
    return `${tlsOrigin.kind} ${tlsOrigin.namespace}/${tlsOrigin.name} (${tlsOrigin.file}:${tlsOrigin.line})`
  }
  const stale = (problem: string): void => note?.(`tls ${name} ${problem}`, `${name}: ${problem}`)
  return {
    tls: tls && new ClientTls(tls, clock, askedBy, stale),
    serverName: tls === undefined ? '' : tls.sni || (service.startsWith('*') ? '' : service),
    preface: proxyProtocol && ((local, remote) => proxyHeader(proxyProtocol, local, remote)),
  }
}
