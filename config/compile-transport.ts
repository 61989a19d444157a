/** How connections are dressed: TLS of the client, a tunnel through a proxy, TLS that ends here. */
import type { MergedRule } from './compile-policies.ts'
import type { MeshService, Of } from './compile-registry.ts'
import type { ClientTls, ServerTls, Tunnel } from './kinds.ts'
import type {
  ClientTlsSpec,
  PortProtocol,
  ServerTlsSpec,
  TlsVersion,
  TunnelSpec,
} from './snapshot.ts'

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

const clientsOf = { SIMPLE: 'none', OPTIONAL_MUTUAL: 'optional', MUTUAL: 'required' } as const

const versions: Readonly<Record<string, TlsVersion>> = {
  TLSV1_0: 'TLSv1',
  TLSV1_1: 'TLSv1.1',
  TLSV1_2: 'TLSv1.2',
  TLSV1_3: 'TLSv1.3',
}

/** Undefined: TLS does not end here. */
export function serverTlsSpec(tls: ServerTls | undefined): ServerTlsSpec | undefined {
  const mode = tls?.mode
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') return undefined
  return {
    serverCertificate: tls?.serverCertificate ?? '',
    privateKey: tls?.privateKey ?? '',
    caCertificates: tls?.caCertificates ?? '',
    caCrl: tls?.caCrl ?? '',
    clients: clientsOf[mode],
    verify: tls?.insecureSkipVerify !== true,
    certificateHashes: tls?.verifyCertificateHash ?? [],
    keyHashes: tls?.verifyCertificateSpki ?? [],
    minVersion: versions[tls?.minProtocolVersion ?? ''] ?? 'TLSv1.2',
    maxVersion: versions[tls?.maxProtocolVersion ?? ''] ?? 'TLSv1.3',
    cipherSuites: tls?.cipherSuites ?? [],
  }
}

/** What a port of that protocol carries inside its TLS. */
export function insideOf(protocol: string): PortProtocol {
  return protocol === 'HTTPS' ? 'http' : 'tcp'
}
