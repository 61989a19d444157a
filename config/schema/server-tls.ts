/** TLS settings of a Sidecar's ingress listener: checked as Istio does. */

import { textOf, within } from '../raw.ts'
import { list } from './collections.ts'
import { ignored, object, or } from './object.ts'
import type { Place } from './reading.ts'
import { boolean, enumeration, type Type, text } from './scalars.ts'

interface ServerTls {
  readonly mode: string
}

const version = enumeration(['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'])

export const serverTls: Type = object<ServerTls>({
  mode: or(
    enumeration([
      'PASSTHROUGH',
      'SIMPLE',
      'MUTUAL',
      'AUTO_PASSTHROUGH',
      'ISTIO_MUTUAL',
      'OPTIONAL_MUTUAL',
    ]),
    'PASSTHROUGH',
  ),
  httpsRedirect: ignored(boolean),
  serverCertificate: text,
  privateKey: text,
  caCertificates: text,
  caCrl: text,
  credentialName: ignored(text),
  credentialNames: ignored(list(text)),
  caCertCredentialName: ignored(text),
  tlsCertificates: ignored(
    list(object({ serverCertificate: text, privateKey: text, caCertificates: text })),
  ),
  subjectAltNames: ignored(list(text)),
  verifyCertificateSpki: or(list(text), []),
  verifyCertificateHash: or(list(text), []),
  minProtocolVersion: version,
  maxProtocolVersion: version,
  cipherSuites: or(list(text), []),
  insecureSkipVerify: boolean,
})

const NOT_IN_A_SIDECAR = ['credentialName', 'credentialNames', 'tlsCertificates', 'subjectAltNames']

/** `protocol`: of the listener's port, upper case. */
export function checkIngressTls(protocol: string, written: unknown, place: Place): void {
  if (!place.has('tls')) return
  const tls = (written ?? {}) as Partial<ServerTls>
  if (protocol !== 'HTTPS' && protocol !== 'TLS')
    place.error(
      ['tls'],
      `needs a port with protocol HTTPS or TLS, not ${protocol || 'a detected one'}`,
    )
  if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH')
    place.error(['tls', 'mode'], `${tls.mode} is not possible in a Sidecar`)
  if (place.hasAt(['tls', 'caCertCredentialName']))
    place.warn(['tls', 'caCertCredentialName'], 'has no effect in a Sidecar', 'Use caCertificates.')
  if (textOf(within(place.raw, 'tls', 'httpsRedirect')) === 'true')
    place.error(['tls', 'httpsRedirect'], 'is not possible in a Sidecar')
  for (const name of NOT_IN_A_SIDECAR)
    if (place.hasAt(['tls', name])) place.error(['tls', name], 'is not possible in a Sidecar')
  if (!['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL'].includes(tls.mode ?? '')) return
  if (NOT_IN_A_SIDECAR.slice(0, 3).some((name) => place.hasAt(['tls', name]))) return
  for (const name of ['serverCertificate', 'privateKey'])
    if (!place.hasAt(['tls', name])) place.error(['tls'], `mode ${tls.mode} needs ${name}`)
  if (tls.mode === 'MUTUAL' && !place.hasAt(['tls', 'caCertificates']))
    place.error(['tls'], 'mode MUTUAL needs caCertificates')
}
