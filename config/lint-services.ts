/** Services, ServiceEntries and DestinationRules: names of ports, missing addresses, empty subsets. */
import type { ServicePort } from './kinds.ts'
import {
  fullHost,
  isVisible,
  type MeshIndex,
  type Of,
  originText,
  selects,
  type Target,
} from './mesh-index.ts'

export function lintServices(index: MeshIndex): void {
  for (const service of index.of('Service')) lintPortNames(service, index)
  for (const entry of index.of('ServiceEntry'))
    for (const [position, { protocol }] of entry.spec.ports.entries())
      lintHttp2(entry, position, protocol.toLowerCase(), index)
  for (const entry of index.of('ServiceEntry')) lintAddresses(entry, index)
  lintProtocols(index)
  for (const rule of index.of('DestinationRule')) lintRuleHost(rule, index)
}

// --- port names -------------------------------------------------------------------------------------
const PROTOCOLS = ['http', 'http2', 'https', 'grpc', 'tcp', 'tls', 'mongo', 'redis', 'mysql', 'udp']
const SYSTEM = ['kube-system', 'kube-public', 'kube-node-lease', 'istio-system']

/** The protocol that a Service port declares, lower case; `` when it is left to detection. */
export function declaredProtocol(port: ServicePort): string {
  if (port.protocol === 'UDP') return 'udp'
  const text = (port.appProtocol ?? port.name).toLowerCase()
  if (text === 'kubernetes.io/h2c') return 'http2'
  if (text === 'kubernetes.io/ws') return 'http'
  if (text === 'kubernetes.io/wss') return 'https'
  if (text.startsWith('grpc-web')) return 'grpc-web'
  const first = text.split('-')[0]!
  return PROTOCOLS.includes(first) ? first : ''
}

/** HTTP/2 is not read yet: such connections are passed on as they are, and no HTTP rule applies. */
function lintHttp2(
  object: Of<'Service'> | Of<'ServiceEntry'>,
  position: number,
  protocol: string,
  index: MeshIndex,
): void {
  if (protocol !== 'grpc' && protocol !== 'http2') return
  index.add(
    'warning',
    'OUT-HTTP2',
    object,
    ['spec', 'ports', position],
    `${protocol} is known, not yet implemented: HTTP/2 connections pass through as TCP to the address they were dialed at, without HTTP rules; HTTP/1.1 works`,
    '',
  )
}

function lintPortNames(service: Of<'Service'>, index: MeshIndex): void {
  if (SYSTEM.includes(service.namespace)) return
  const external = service.spec.type === 'ExternalName'
  for (const [position, port] of service.spec.ports.entries()) {
    const protocol = declaredProtocol(port)
    const path = ['spec', 'ports', position]
    lintHttp2(service, position, protocol, index)
    const named = port.name === '' ? 'the port has no name' : `the port name "${port.name}"`
    if (external && (protocol === '' || protocol === 'tcp'))
      index.add(
        'warning',
        'IST0150',
        service,
        path,
        `${named} makes this ExternalName port plain TCP: it takes every connection to port ${port.port}`,
        'Name it after its protocol, for example https.',
      )
    else if (!external && protocol === '' && port.protocol === 'TCP')
      index.add(
        'info',
        'IST0118',
        service,
        path,
        `${port.name === '' ? named : `${named} declares no protocol`}: it is detected from the first bytes`,
        'Begin the name with a protocol (http-web, tcp-db) or set appProtocol.',
      )
  }
}

// --- ServiceEntry -----------------------------------------------------------------------------------
function lintAddresses(entry: Of<'ServiceEntry'>, index: MeshIndex): void {
  const { addresses, ports, resolution } = entry.spec
  if (addresses.length > 0 || (index.allocatesAddresses && resolution !== 'NONE')) return
  for (const [position, { protocol, number }] of ports.entries())
    if (protocol === '' || protocol === 'TCP')
      index.add(
        'warning',
        'IST0134',
        entry,
        ['spec', 'ports', position],
        `without addresses this TCP port takes every connection to port ${number}, whatever its address`,
        'Add addresses, or a protocol that names its host (HTTP, TLS).',
      )
}

interface Claim {
  readonly entry: Of<'ServiceEntry'>
  readonly position: number
  readonly protocol: string
}

/** The same host and port under two protocols: the older one decides for both. */
function lintProtocols(index: MeshIndex): void {
  const claims = new Map<string, Claim[]>()
  for (const entry of index.of('ServiceEntry'))
    for (const [position, { number, protocol }] of entry.spec.ports.entries())
      for (const host of entry.spec.hosts) {
        const key = `${host}:${number}`
        const list = claims.get(key)
        const claim = { entry, position, protocol }
        if (list === undefined) claims.set(key, [claim])
        else list.push(claim)
      }
  for (const [key, list] of claims) {
    if (list.length < 2) continue
    for (const claim of list) {
      const rival = list.find((other) => other.protocol !== claim.protocol && meet(claim, other))
      if (rival === undefined) continue
      const { entry } = rival
      const message = `${key} has the protocol ${claim.protocol || '(detected)'} here and ${rival.protocol || '(detected)'} in ${entry.namespace}/${entry.name} (${originText(entry)})`
      index.add(
        'warning',
        'IST0177',
        claim.entry,
        ['spec', 'ports', claim.position],
        message,
        'Give both the same protocol.',
      )
    }
  }
}

function meet(a: Claim, b: Claim): boolean {
  const namespaces = [
    ...a.entry.spec.exportTo,
    ...b.entry.spec.exportTo,
    a.entry.namespace,
    b.entry.namespace,
  ]
  return namespaces.some((name) =>
    [a, b].every(
      ({ entry }) =>
        name !== '*' &&
        isVisible(entry.spec.exportTo, entry.namespace, name === '.' ? entry.namespace : name),
    ),
  )
}

// --- DestinationRule --------------------------------------------------------------------------------
function lintRuleHost(rule: Of<'DestinationRule'>, index: MeshIndex): void {
  const host = fullHost(rule.spec.host, rule.namespace)
  if (host.startsWith('*')) return
  const [target] = index.targets(host)
  if (target === undefined) {
    if (index.hasRefused('Service') || index.hasRefused('ServiceEntry')) return
    index.add(
      'warning',
      'IST0174',
      rule,
      ['spec', 'host'],
      `there is no service "${host}" in these files: the rule has no effect`,
    )
    return
  }
  for (const [position, { name, labels }] of rule.spec.subsets.entries()) {
    if (Object.keys(labels).length === 0 || hasMember(target, labels, index)) continue
    const message = `subset "${name}" selects no Pod and no endpoint of ${host} (${originText(target.resource)}): requests to it get 503`
    index.add(
      'warning',
      'IST0173',
      rule,
      ['spec', 'subsets', position],
      message,
      `Its labels: ${Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(', ')}.`,
    )
  }
}

const TOPOLOGY = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
  'kubernetes.io/hostname',
]

function hasMember(
  target: Target,
  subset: Readonly<Record<string, string>>,
  index: MeshIndex,
): boolean {
  // Where an endpoint stands is a label of its node, which is not among these files.
  const wanted = Object.fromEntries(
    Object.entries(subset).filter(([name, value]) => !(TOPOLOGY.includes(name) && value !== '')),
  )
  const { resource } = target
  if (resource.kind === 'ServiceEntry') {
    const { endpoints, workloadSelector } = resource.spec
    if (endpoints.some(({ labels }) => selects(wanted, labels))) return true
    return (
      workloadSelector !== undefined &&
      hasWorkload(workloadSelector, wanted, resource.namespace, index)
    )
  }
  const { selector } = resource.spec
  return (
    Object.keys(selector).length > 0 && hasWorkload(selector, wanted, resource.namespace, index)
  )
}

function hasWorkload(
  selector: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  namespace: string,
  index: MeshIndex,
): boolean {
  for (const name of Object.keys(wanted))
    if (selector[name] !== undefined && selector[name] !== wanted[name]) return false
  return index.selected(namespace, { ...selector, ...wanted }).length > 0
}
