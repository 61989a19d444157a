/** The ServiceEntry that would make an unknown destination known, as YAML for people to copy. */
import { isIP } from 'node:net'

export interface Stranger {
  /** What the client named: Host or server name; `` when it named nothing. */
  readonly host: string
  /** Where it dialed; undefined where only the name is known. */
  readonly address: string | undefined
  readonly port: number
  readonly protocol: 'HTTP' | 'TLS' | 'TCP'
}

export function serviceEntryText(stranger: Stranger): string {
  const { address, port, protocol } = stranger
  const host = stranger.host.replace(/^\[|\]$/g, '').toLowerCase()
  const named = host !== '' && isIP(host) === 0
  const literal = named ? '' : host || (address ?? '')
  const name = (named ? host : `address-${literal}`).replace(/[^a-z0-9]+/g, '-')
  const lines = [
    'apiVersion: networking.istio.io/v1',
    'kind: ServiceEntry',
    `metadata: { name: ${name.replace(/^-|-$/g, '')} }`,
    'spec:',
    `  hosts: [${JSON.stringify(hostOf(host, named, protocol, name))}]`,
    `  ports: [{ number: ${port}, name: ${protocol.toLowerCase()}, protocol: ${protocol} }]`,
    `  resolution: ${named ? 'DNS' : 'NONE'}`,
    '  location: MESH_EXTERNAL',
  ]
  if (protocol === 'TCP' && literal !== '')
    lines.splice(5, 0, `  addresses: [${JSON.stringify(literal)}]`)
  return lines.join('\n')
}

/** HTTP is told apart by Host, so that an address stands for itself; TCP needs only some name. */
function hostOf(
  host: string,
  named: boolean,
  protocol: Stranger['protocol'],
  name: string,
): string {
  return named || protocol !== 'TCP' ? host || `${name}.external` : `${name}.external`
}
