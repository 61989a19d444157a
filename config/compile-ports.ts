/** What a port speaks, from its appProtocol, its name, its number or a declared protocol. */
import type { PortProtocol } from './snapshot.ts'

const SPOKEN: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http2: 'http2',
  https: 'tls',
  tls: 'tls',
  grpc: 'grpc',
  'grpc-web': 'grpc',
  tcp: 'tcp',
  mongo: 'tcp',
  redis: 'tcp',
  mysql: 'tcp',
  http_proxy: 'http',
}

const APP_PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
}

/** SMTP, DNS, MySQL and MongoDB: their servers speak first, or are never HTTP. */
const OPAQUE_PORTS = [25, 53, 3306, 27017]

/** Undefined: UDP and SCTP, which are not proxied. */
export function serviceProtocol(port: {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly appProtocol?: string
}): PortProtocol | undefined {
  if (port.protocol !== 'TCP') return undefined
  const { appProtocol } = port
  if (appProtocol !== undefined && APP_PROTOCOLS[appProtocol] !== undefined)
    return APP_PROTOCOLS[appProtocol]
  const name = (appProtocol ?? port.name).toLowerCase()
  if (name.startsWith('grpc-web')) return 'grpc'
  const word = name.split('-', 1)[0]!
  if (word === 'udp') return undefined
  const spoken = SPOKEN[word]
  if (spoken !== undefined) return spoken
  return OPAQUE_PORTS.includes(port.port) ? 'tcp' : 'auto'
}

/** ServiceEntry and Sidecar ports: only what is written counts. Undefined: UDP. */
export function declaredProtocol(protocol: string): PortProtocol | undefined {
  const name = protocol.toLowerCase()
  if (name === 'udp') return undefined
  return SPOKEN[name] ?? 'auto'
}

export function isHttp(protocol: PortProtocol): boolean {
  return protocol === 'http' || protocol === 'http2' || protocol === 'grpc'
}
