/** How connections to a service are dressed: TLS of the client, a tunnel through a proxy. */
import type { MergedRule } from './compile-policies.ts'
import type { MeshService, Of } from './compile-registry.ts'
import type { ClientTls, Tunnel } from './kinds.ts'
import type { ClientTlsSpec, TunnelSpec } from './snapshot.ts'

/** Undefined: plain text. Without a workloadSelector Istio's sidecars ignore TLS by credentialName. */
export function clientTlsSpec(
  tls: ClientTls | undefined,
  service: MeshService,
  rule: MergedRule | undefined,
): ClientTlsSpec | undefined {
  if (tls === undefined || tls.mode === 'DISABLE') return undefined
  const { caCertificates = '', caCrl = '', credentialName = '', mode } = tls
  const byName = [credentialName, caCertificates].find((name) => name.startsWith('configmap://'))
  if (credentialName !== '' && byName === undefined && rule?.selector === undefined)
    return undefined
  return {
    mode,
    sni: (tls.sni ?? '').toLowerCase(),
    subjectAltNames: acceptedNames(tls, service),
    caCertificates,
    caCrl,
    clientCertificate: tls.clientCertificate ?? '',
    privateKey: tls.privateKey ?? '',
    verify: tls.insecureSkipVerify !== true,
    unusable: unusable(mode, byName ?? credentialName),
  }
}

function unusable(mode: ClientTlsSpec['mode'], credential: string): string {
  if (mode === 'ISTIO_MUTUAL')
    return 'mode ISTIO_MUTUAL needs a mesh certificate, and there is none'
  return credential === '' ? '' : `the credential ${credential} cannot be read: it is not a file`
}

/** Where the rule names none, the ServiceEntries' hold, outside the mesh. */
function acceptedNames(tls: ClientTls, service: MeshService): readonly string[] {
  const [source] = service.sources
  if (tls.subjectAltNames.length > 0 || !service.external || source.kind !== 'ServiceEntry')
    return tls.subjectAltNames
  const entries = service.sources as readonly Of<'ServiceEntry'>[]
  return [...new Set(entries.flatMap(({ spec }) => spec.subjectAltNames))]
}

export function tunnelSpec(tunnel: Tunnel | undefined): TunnelSpec | undefined {
  if (tunnel === undefined) return undefined
  const { protocol, targetHost, targetPort } = tunnel
  const host = targetHost.includes(':') ? `[${targetHost}]` : targetHost
  return { method: protocol === 'POST' ? 'POST' : 'CONNECT', target: `${host}:${targetPort}` }
}
