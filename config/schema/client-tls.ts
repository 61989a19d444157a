/** TLS towards a destination: checked as Istio does. */

import { list } from './collections.ts'
import { object, or } from './object.ts'
import { Code, type Place } from './reading.ts'
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
    subjectAltNames: or(list(text), []),
    sni: text,
    insecureSkipVerify: boolean,
  },
  { rules: [checkVerification, checkFiles, tellUnusable] },
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

function tellUnusable(tls: ClientTls, place: Place): void {
  if (tls.mode === 'ISTIO_MUTUAL')
    place.warn(
      ['mode'],
      'ISTIO_MUTUAL needs a mesh certificate, which this proxy does not have yet: requests are refused, not sent in plain text',
      'Use DISABLE for plain text, or SIMPLE or MUTUAL with files.',
      Code.NotYet,
    )
  if (!isSet(tls.credentialName)) return
  place.warn(
    ['credentialName'],
    'is not read from files: without workloadSelector there is no TLS at all, as with Istio; with one requests are refused',
    'Use caCertificates, and clientCertificate and privateKey for MUTUAL.',
    Code.NotYet,
  )
}
