/** ServiceEntry: a service that Kubernetes does not know, inside or outside the mesh. */
import type { ServiceEntrySpec, WorkloadEntrySpec } from '../kinds.ts'
import { list } from './collections.ts'
import {
  addressOrCidr,
  dnsLabel,
  fqdn,
  isAddress,
  protocolName,
  wildcardDomain,
} from './formats.ts'
import { named, need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { enumeration, portNumber, string, type Type, text } from './scalars.ts'
import { checkExportTo, exportTo, workloadSelector } from './shared.ts'
import { endpoint } from './workload-entry.ts'

const port: Type = object({
  number: need(portNumber, 'the port number is missing'),
  name: need(string(dnsLabel), 'the port name is missing'),
  protocol: named('protocol', upperCase(string(protocolName)), ''),
  targetPort: portNumber,
})

function upperCase(type: Type<string>): Type<string> {
  return { read: (raw, reading) => type.read(raw, reading)?.toUpperCase() }
}

function entryHost(host: string): Verdict {
  if (host === '*')
    return { message: 'the host * would be every host', hint: 'Name the host, or *.example.com.' }
  return isAddress(host) ? undefined : wildcardDomain(host)
}

/** `namespace`: that of the object, which exportTo can name by `.`. */
export function serviceEntry(namespace: string, usesWaypoint: boolean): Type {
  return object<ServiceEntrySpec>(fields, {
    rules: [
      ...rules,
      (spec, place) => {
        if (usesWaypoint && spec.resolution === 'DYNAMIC_DNS' && spec.location === 'MESH_INTERNAL')
          place.error(['location'], 'MESH_INTERNAL is not possible with DYNAMIC_DNS and a waypoint')
      },
      (spec, place) => checkExportTo(spec.exportTo, namespace, place, { none: true }),
    ],
  })
}

const fields = {
  hosts: need(list(string(entryHost)), 'at least one host is needed'),
  addresses: or(list(string(addressOrCidr)), []),
  ports: or(list(port), []),
  location: or(enumeration(['MESH_EXTERNAL', 'MESH_INTERNAL']), 'MESH_EXTERNAL'),
  resolution: or(enumeration(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']), 'NONE'),
  endpoints: or(list(endpoint), []),
  workloadSelector: workloadSelector('labels'),
  exportTo: or(exportTo, []),
  subjectAltNames: or(list(text), []),
}

const rules = [
  checkHosts,
  checkPorts,
  checkSelector,
  checkAddresses,
  checkResolution,
  checkEndpointPorts,
  checkShared,
]

type Entry = ServiceEntrySpec & { readonly hosts?: readonly string[] }

function checkHosts(spec: Entry, place: Place): void {
  if (place.has('hosts') && spec.hosts?.length === 0)
    place.error(['hosts'], 'at least one host is needed')
  if (spec.resolution === 'DYNAMIC_DNS') return
  for (const [index, host] of (spec.hosts ?? []).entries())
    if (/^\*[^.]/.test(host))
      place.warn(
        ['hosts', index],
        `"${host}" is a partial wildcard, which does not work`,
        `Write *.${host.slice(1)}.`,
      )
}

function checkPorts(spec: Entry, place: Place): void {
  const numbers = new Set<number>()
  const names = new Set<string>()
  for (const [index, { number, name }] of spec.ports.entries()) {
    if (number !== undefined && numbers.has(number))
      place.error(['ports', index, 'number'], `the port ${number} is listed twice`)
    if (name !== undefined && names.has(name))
      place.error(['ports', index, 'name'], `the port name "${name}" is used twice`)
    numbers.add(number)
    names.add(name)
  }
}

function checkSelector(spec: Entry, place: Place): void {
  if (!place.has('workloadSelector')) return
  if (place.has('endpoints'))
    place.error(['endpoints'], 'cannot be combined with workloadSelector', 'Keep one of them.')
  if (spec.resolution === 'NONE')
    place.warn(['workloadSelector'], 'has no effect with resolution NONE', 'Use resolution STATIC.')
}

function checkAddresses(spec: Entry, place: Place): void {
  const cidrs = spec.resolution === 'NONE' || spec.resolution === 'STATIC'
  for (const [index, address] of spec.addresses.entries())
    if (address.includes('/') && !cidrs)
      place.error(
        ['addresses', index],
        `the CIDR ${address} is possible with resolution NONE or STATIC only`,
      )
}

function checkResolution(spec: Entry, place: Place): void {
  switch (spec.resolution) {
    case 'NONE':
      if (spec.endpoints.length > 0)
        place.error(
          ['endpoints'],
          'resolution NONE has no endpoints',
          'Use resolution STATIC or DNS.',
        )
      break
    case 'STATIC':
      checkStatic(spec, place)
      break
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      checkDns(spec, place)
      break
    case 'DYNAMIC_DNS':
      checkDynamic(spec, place)
      break
  }
}

function checkStatic(spec: Entry, place: Place): void {
  let unix = false
  for (const [index, { address }] of spec.endpoints.entries()) {
    if (address.startsWith('unix://')) unix = true
    else if (address !== '' && !isAddress(address))
      place.error(
        ['endpoints', index, 'address'],
        `"${address}" is not an IP address`,
        'Use resolution DNS for host names.',
      )
  }
  if (unix && spec.ports.length !== 1)
    place.error(['ports'], 'an endpoint with a unix socket needs exactly one port')
}

function checkDns(spec: Entry, place: Place): void {
  if (spec.resolution === 'DNS_ROUND_ROBIN' && spec.endpoints.length > 1)
    place.error(['endpoints'], 'DNS_ROUND_ROBIN has at most one endpoint', 'Use resolution DNS.')
  for (const [index, { address }] of spec.endpoints.entries())
    if (address !== '' && !isAddress(address) && fqdn(address) !== undefined)
      place.error(
        ['endpoints', index, 'address'],
        `"${address}" is neither a host name nor an IP address`,
      )
  if (spec.endpoints.length > 0 || place.has('workloadSelector')) return
  for (const [index, host] of (spec.hosts ?? []).entries())
    if (fqdn(host) !== undefined)
      place.error(
        ['hosts', index],
        `"${host}" cannot be resolved`,
        'Without endpoints the hosts themselves are resolved: list endpoints, or write host names without wildcard.',
      )
}

const DYNAMIC_PROTOCOLS = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'TLS', 'HTTPS']

function checkDynamic(spec: Entry, place: Place): void {
  for (const [index, host] of (spec.hosts ?? []).entries())
    if (!host.startsWith('*'))
      place.error(
        ['hosts', index],
        `DYNAMIC_DNS is for wildcard hosts, "${host}" is none`,
        'Use resolution DNS.',
      )
  for (const name of ['endpoints', 'addresses'] as const)
    if (spec[name].length > 0) place.error([name], 'are not possible with resolution DYNAMIC_DNS')
  for (const [index, { protocol }] of spec.ports.entries())
    if (!DYNAMIC_PROTOCOLS.includes(protocol))
      place.error(
        ['ports', index],
        'DYNAMIC_DNS is possible for HTTP, HTTP2, GRPC and TLS ports only',
      )
}

function checkEndpointPorts(spec: Entry, place: Place): void {
  const names = new Set(spec.ports.map(({ name }) => name))
  for (const [index, { ports }] of spec.endpoints.entries() as Iterable<
    [number, WorkloadEntrySpec]
  >)
    for (const name of Object.keys(ports))
      if (!names.has(name))
        place.error(
          ['endpoints', index, 'ports', name],
          `the entry has no port named "${name}"`,
          `Known: ${[...names].join(', ')}.`,
        )
}

const WITH_HOST = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTP_PROXY']

/** Opaque connections show their address only: it cannot stand for several hosts. */
function checkShared(spec: Entry, place: Place): void {
  const opaque = spec.ports.some(({ protocol }) => !WITH_HOST.includes(protocol))
  if (opaque && spec.addresses.length > 0 && (spec.hosts?.length ?? 0) > 1)
    place.warn(
      ['hosts'],
      'several hosts share the addresses: TCP and TLS traffic cannot tell them apart',
      'Write one ServiceEntry per host.',
    )
}
