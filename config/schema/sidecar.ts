/** Sidecar: which services a workload sees, and on which ports it listens. */
import type { SidecarSpec } from '../kinds.ts'
import { list } from './collections.ts'
import { connectionPool } from './connection-pool.ts'
import { ipAddress, protocolName, unixPath } from './formats.ts'
import { need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { destination } from './route-destination.ts'
import { enumeration, integer, portNumber, string, type Type, text } from './scalars.ts'
import { checkIngressTls, serverTls } from './server-tls.ts'
import { workloadSelector } from './shared.ts'
import { checkEgress, type EgressView, egressHosts } from './sidecar-egress.ts'

const captureMode = or(enumeration(['DEFAULT', 'IPTABLES', 'NONE']), 'DEFAULT')
const protocol: Type = {
  read: (raw, reading) => string(protocolName).read(raw, reading)?.toUpperCase(),
}

const portFields = { protocol: or(protocol, ''), name: or(text, '') }

const ingressPort: Type = object<object>(
  {
    ...portFields,
    number: need(portNumber, 'the port number is missing'),
    targetPort: integer(0, 65_535),
  },
  {
    rules: [
      (_, place) => {
        if (place.has('targetPort'))
          place.error(['targetPort'], 'is not possible here', 'Use defaultEndpoint.')
      },
    ],
  },
)
const egressPort: Type = object({
  ...portFields,
  number: or(integer(0, 65_535), 0),
  targetPort: integer(0, 65_535),
})

function defaultEndpoint(value: string): Verdict {
  if (value === '') return undefined
  if (value.startsWith('unix://')) return unixPath(value.slice('unix://'.length))
  const [, host, port] = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|):(.*)$/.exec(value) ?? []
  if (host === undefined || port === undefined)
    return {
      message: `"${value}" is not an endpoint of this workload`,
      hint: 'Use 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT, :PORT or unix:///PATH.',
    }
  return /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535
    ? undefined
    : `"${port}" in "${value}" is not a port`
}

interface Ingress {
  readonly bind: string
  readonly captureMode: string
  readonly defaultEndpoint: string
  readonly port?: { readonly number: number; readonly protocol: string; readonly name: string }
  readonly tls?: unknown
}

const ingress: Type = object<Ingress>(
  {
    port: need(ingressPort, 'the port is missing'),
    bind: or(
      string((address) => (address === '' ? undefined : ipAddress(address))),
      '',
    ),
    captureMode,
    defaultEndpoint: or(string(defaultEndpoint), ''),
    tls: serverTls,
    connectionPool,
  },
  {
    rules: [
      (value, place) => checkIngressTls(value.port?.protocol ?? '', value.tls, place),
      warnHttpPool,
      checkOwnListener,
    ],
  },
)

function warnHttpPool(value: Ingress, place: Place): void {
  const { port } = value
  if (port === undefined || !place.hasAt(['connectionPool', 'http'])) return
  if (['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTP_PROXY', ''].includes(port.protocol)) return
  place.warn(
    ['connectionPool', 'http'],
    `port ${port.number} speaks ${port.protocol}: the http settings have no effect`,
  )
}

/** A port of its own that delivers to where it was called would call itself. */
function checkOwnListener({ bind, captureMode, defaultEndpoint }: Ingress, place: Place): void {
  if (captureMode !== 'NONE') {
    if (bind !== '')
      place.warn(
        ['bind'],
        'has no effect without captureMode NONE: captured traffic has its address',
      )
    return
  }
  const elsewhere = /^(unix:|127\.0\.0\.1:|\[::1\]:)/.test(defaultEndpoint)
  if (!elsewhere)
    place.warn(
      ['captureMode'],
      'NONE opens the port itself: without a defaultEndpoint on loopback or a unix socket nothing is opened',
      'Add defaultEndpoint: 127.0.0.1:PORT, with another port than this one.',
    )
}

const egress: Type = object<EgressView>({
  port: egressPort,
  bind: or(text, ''),
  captureMode,
  hosts: need(egressHosts, 'at least one host is needed'),
})

const outboundTrafficPolicy: Type = object<{ mode: string }>(
  {
    mode: or(enumeration(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']), 'REGISTRY_ONLY'),
    egressProxy: {
      type: destination,
      deprecated: 'Route such hosts by a VirtualService instead.',
    },
  },
  {
    rules: [
      (value, place) => {
        if (value.mode === 'ALLOW_ANY_DYNAMIC_DNS')
          place.error(['mode'], 'ALLOW_ANY_DYNAMIC_DNS is possible in MeshConfig only')
        if (!place.has('egressProxy')) return
        if (value.mode !== 'ALLOW_ANY') place.error(['egressProxy'], 'needs mode ALLOW_ANY')
        if (!place.hasAt(['egressProxy', 'port']))
          place.error(['egressProxy'], 'the port is missing')
      },
    ],
  },
)

/** `namespace`: that of the object, which egress hosts can name by `.`. */
export function sidecar(namespace: string): Type {
  return object<SidecarSpec>(fields, {
    rules: [
      checkPresence,
      checkIngress,
      (spec, place) => checkEgress(spec.egress ?? [], namespace, place),
    ],
  })
}

const fields = {
  workloadSelector: workloadSelector('labels'),
  ingress: or(list(ingress), []),
  egress: list(egress),
  outboundTrafficPolicy,
  inboundConnectionPool: connectionPool,
}

function checkPresence(_: SidecarSpec, place: Place): void {
  const written =
    place.count('ingress') > 0 ||
    place.count('egress') > 0 ||
    place.has('outboundTrafficPolicy') ||
    place.has('inboundConnectionPool')
  if (!written)
    place.error(
      [],
      'a Sidecar needs egress, ingress, outboundTrafficPolicy or inboundConnectionPool',
    )
}

function checkIngress(spec: SidecarSpec, place: Place): void {
  const seen = new Set<number>()
  for (const [index, { port }] of spec.ingress.entries()) {
    if (port?.number === undefined) continue
    if (seen.has(port.number))
      place.error(['ingress', index, 'port', 'number'], `the port ${port.number} is listed twice`)
    seen.add(port.number)
  }
}
