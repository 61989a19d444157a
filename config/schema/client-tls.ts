/** TLS towards a destination: checked as Istio does. */

import { list } from './collections.ts'
import { object, or } from './object.ts'
import type { Place } from './reading.ts'
import { boolean, enumeration, type Type, text } from './scalars.ts'

interface ClientTls {
  readonly mode: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  readonly clientCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly credentialName?: string
  readonly subjectAltNames?: readonly string[]
  readonly insecureSkipVerify?: boolean
  readonly caCrl?: string
}

export const clientTls: Type = object<ClientTls>(
  {
    mode: or(enumeration(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']), 'DISABLE'),
    clientCertificate: text,
    privateKey: text,
    caCertificates: text,
    caCrl: text,
    credentialName: text,
    subjectAltNames: list(text),
    sni: text,
    insecureSkipVerify: boolean,
  },
  { rules: [checkVerification, checkFiles] },
)

function isSet(value: string | readonly string[] | undefined): boolean {
  return value !== undefined && value.length > 0
}

function checkVerification(tls: ClientTls, place: Place): void {
  if (tls.insecureSkipVerify !== true) return
  const names = ['caCertificates', 'subjectAltNames'] as const
  for (const name of names)
    if (isSet(tls[name])) place.error([name], 'has no meaning beside insecureSkipVerify')
  if (isSet(tls.credentialName) && tls.mode === 'SIMPLE')
    place.error(['credentialName'], 'has no meaning beside insecureSkipVerify')
}

function checkFiles(tls: ClientTls, place: Place): void {
  const files = ['clientCertificate', 'privateKey', 'caCertificates'] as const
  const given = files.filter((name) => isSet(tls[name]))
  if (tls.mode === 'ISTIO_MUTUAL') {
    for (const name of [...given, ...(isSet(tls.credentialName) ? ['credentialName'] : [])])
      place.error(
        [name],
        'is not possible with mode ISTIO_MUTUAL, which uses the workload certificate',
      )
    return
  }
  if (isSet(tls.credentialName)) {
    for (const name of given) place.error([name], 'cannot be combined with credentialName')
    return
  }
  if (tls.mode === 'MUTUAL')
    for (const name of ['clientCertificate', 'privateKey'] as const)
      if (!isSet(tls[name])) place.error([], `mode MUTUAL needs ${name}`)
}
