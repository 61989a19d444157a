/** How the connections of a cluster are dressed, in words. */
import type { ClusterSpec } from '../../config/snapshot.ts'

/** One line for each thing that is not plain TCP to the endpoint. */
export function transportTexts({ proxyProtocol, service, tls, tunnel }: ClusterSpec): string[] {
  const texts: string[] = []
  if (tls?.unusable) texts.push(`refused with 503 UF: ${tls.unusable}`)
  else if (tls !== undefined) texts.push(tlsText(tls, service))
  if (tunnel !== undefined)
    texts.push(`opaque bytes through a tunnel to ${tunnel.target}, asked for by ${tunnel.method}`)
  if (proxyProtocol !== undefined)
    texts.push(`each connection begins with a PROXY protocol header, ${proxyProtocol}`)
  return texts
}

function tlsText(tls: NonNullable<ClusterSpec['tls']>, service: string): string {
  const { caCertificates, clientCertificate, mode, sni, subjectAltNames, verify } = tls
  const name = sni === '' ? `the request's host, or ${service} for opaque bytes` : sni
  const authorities = caCertificates === '' ? "the system's authorities" : caCertificates
  const wanted = subjectAltNames.length === 0 ? 'that name' : subjectAltNames.join(' or ')
  const judged = verify
    ? `its certificate must be for ${wanted}, by ${authorities}`
    : 'its certificate is not verified'
  const shown = clientCertificate === '' ? '' : `, showing ${clientCertificate}`
  return `in TLS (${mode}), server name ${name}; ${judged}${shown}`
}
