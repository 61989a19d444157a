/**
 * Which traffic is captured: every option once, with its flag, environment variable, the annotation a
 * Pod says it by, its default and its reader. The command line and the injector work from this table.
 */
import { ports, proxyId } from '../config/ports.ts'
import {
  type Everything,
  InvalidValue,
  type PortRange,
  readAddress,
  readAllOrList,
  readCidr,
  readFlag,
  readId,
  readInterface,
  readList,
  readPort,
  readPortRange,
  readProxyId,
  readWord,
} from './values.ts'

export interface CaptureOptions {
  readonly interceptionMode: 'redirect' | 'none'
  readonly outboundPort: number
  readonly inboundPort: number
  readonly tunnelPort: number
  /** Owners whose traffic is the proxy's own. */
  readonly proxyUids: readonly number[]
  readonly proxyGids: readonly number[]
  readonly includeInboundPorts: Everything | readonly PortRange[]
  /** The proxy's own ports are added to these. */
  readonly excludeInboundPorts: readonly PortRange[]
  readonly excludeInboundSources: readonly string[]
  readonly inboundLocalOnly: boolean
  readonly includeOutboundIpRanges: Everything | readonly string[]
  readonly excludeOutboundIpRanges: readonly string[]
  readonly includeOutboundPorts: readonly PortRange[]
  readonly excludeOutboundPorts: readonly PortRange[]
  readonly excludeOutboundUids: readonly number[]
  readonly excludeOutboundGids: readonly number[]
  readonly excludeInterfaces: readonly string[]
  readonly rerouteVirtualInterfaces: readonly string[]
  readonly dnsCapture: 'off' | 'servers' | 'all'
  readonly dnsPort: number
  readonly dnsServers: readonly string[]
  readonly ipv6: 'auto' | 'on' | 'off'
  readonly dropInvalid: boolean
  readonly preserveExisting: boolean
  readonly backend: BackendChoice
}

export type BackendChoice = 'auto' | 'iptables-nft' | 'iptables-legacy' | 'iptables'
export type OptionName = keyof CaptureOptions

export interface CaptureOption<N extends OptionName = OptionName> {
  readonly name: N
  /** Without the dashes: `include-inbound-ports`. */
  readonly flag: string
  /** `OUTRIDER_INCLUDE_INBOUND_PORTS`. */
  readonly env: string
  /** Annotations that say it, the current name first. */
  readonly annotations: readonly string[]
  /** What the value looks like: `PORTS`. */
  readonly placeholder: string
  readonly defaultText: string
  readonly help: string
  /** Throws InvalidValue. */
  readonly read: (text: string) => CaptureOptions[N]
}

const sidecar = 'traffic.sidecar.istio.io/'
const backends = ['auto', 'iptables-nft', 'iptables-legacy', 'iptables'] as const

type Row<N extends OptionName> = Omit<CaptureOption<N>, 'name' | 'flag' | 'env' | 'annotations'> & {
  /** Only where the flag is not the name in kebab-case. */
  readonly flag?: string
  readonly annotations?: readonly string[]
}

function option<N extends OptionName>(name: N, row: Row<N>): CaptureOption<N> {
  const flag = row.flag ?? name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)
  const env = `OUTRIDER_${flag.replaceAll('-', '_').toUpperCase()}`
  return { annotations: [], ...row, name, flag, env }
}

function portOption<N extends 'outboundPort' | 'inboundPort' | 'tunnelPort' | 'dnsPort'>(
  name: N,
  port: number,
  help: string,
): CaptureOption<N> {
  return option(name, {
    placeholder: 'PORT',
    defaultText: String(port),
    help,
    read: readPort as Row<N>['read'],
  })
}

const portList = (text: string) => readList(text, readPortRange)
const cidrList = (text: string) => readList(text, readCidr)
const idList = (text: string) => readList(text, readId)
const interfaceList = (text: string) => readList(text, readInterface)

function proxyIdList(text: string): number[] {
  const ids = readList(text, readProxyId)
  if (ids.length > 0) return ids
  throw new InvalidValue("at least one id is needed, or the proxy's own traffic would return to it")
}

function readMode(text: string): 'redirect' | 'none' {
  const mode = readWord(text, ['redirect', 'tproxy', 'none'] as const)
  if (mode !== 'tproxy') return mode
  throw new InvalidValue(
    'TPROXY is not implemented yet: use REDIRECT (applications see 127.0.0.6 as peer)',
  )
}

function readBackend(text: string): BackendChoice {
  if (text.trim().toLowerCase() === 'nft')
    throw new InvalidValue(
      'rules in native nft form are not supported: use iptables-nft, which works on the same tables',
    )
  return readWord(text, backends)
}

/** Every option, in the order help shows them. */
export const captureOptionTable: readonly CaptureOption[] = [
  option('interceptionMode', {
    annotations: ['sidecar.istio.io/interceptionMode'],
    placeholder: 'MODE',
    defaultText: 'REDIRECT',
    help: 'REDIRECT, or NONE: capture nothing (removes rules that are there)',
    read: readMode,
  }),
  option('includeInboundPorts', {
    annotations: [`${sidecar}includeInboundPorts`],
    placeholder: 'PORTS',
    defaultText: '*',
    help: "inbound ports to capture: * for all, '' for none",
    read: (text) => readAllOrList(text, readPortRange),
  }),
  option('excludeInboundPorts', {
    annotations: [`${sidecar}excludeInboundPorts`],
    placeholder: 'PORTS',
    defaultText: '',
    help: "inbound ports left alone, besides the proxy's own",
    read: portList,
  }),
  option('excludeInboundSources', {
    placeholder: 'CIDRS',
    defaultText: '',
    help: 'clients whose inbound connections are left alone',
    read: cidrList,
  }),
  option('inboundLocalOnly', {
    placeholder: 'BOOL',
    defaultText: 'true',
    help: 'leave alone what is only forwarded through this network namespace',
    read: readFlag,
  }),
  option('includeOutboundIpRanges', {
    annotations: [`${sidecar}includeOutboundIPRanges`],
    placeholder: 'CIDRS',
    defaultText: '*',
    help: "destinations to capture: * for all, '' for none",
    read: (text) => readAllOrList(text, readCidr),
  }),
  option('excludeOutboundIpRanges', {
    annotations: [`${sidecar}excludeOutboundIPRanges`],
    placeholder: 'CIDRS',
    defaultText: '',
    help: 'destinations left alone',
    read: cidrList,
  }),
  option('includeOutboundPorts', {
    annotations: [`${sidecar}includeOutboundPorts`],
    placeholder: 'PORTS',
    defaultText: '',
    help: 'outbound ports to capture whatever the address (exclusions still win)',
    read: portList,
  }),
  option('excludeOutboundPorts', {
    annotations: [`${sidecar}excludeOutboundPorts`],
    placeholder: 'PORTS',
    defaultText: '',
    help: 'outbound ports left alone',
    read: portList,
  }),
  option('excludeOutboundUids', {
    placeholder: 'UIDS',
    defaultText: '',
    help: 'users whose outbound connections are left alone',
    read: idList,
  }),
  option('excludeOutboundGids', {
    placeholder: 'GIDS',
    defaultText: '',
    help: 'groups whose outbound connections are left alone',
    read: idList,
  }),
  option('excludeInterfaces', {
    annotations: [`${sidecar}excludeInterfaces`],
    placeholder: 'NAMES',
    defaultText: '',
    help: 'interfaces left alone in both directions',
    read: interfaceList,
  }),
  option('rerouteVirtualInterfaces', {
    annotations: ['istio.io/reroute-virtual-interfaces', `${sidecar}kubevirtInterfaces`],
    placeholder: 'NAMES',
    defaultText: '',
    help: 'interfaces of guests (virtual machines): what enters there counts as outbound',
    read: interfaceList,
  }),
  option('proxyUids', {
    flag: 'proxy-uid',
    placeholder: 'UIDS',
    defaultText: String(proxyId),
    help: 'users the proxy runs as: their traffic is never captured',
    read: proxyIdList,
  }),
  option('proxyGids', {
    flag: 'proxy-gid',
    placeholder: 'GIDS',
    defaultText: String(proxyId),
    help: 'groups the proxy runs as',
    read: proxyIdList,
  }),
  portOption('outboundPort', ports.outbound, 'where the proxy listens for outbound connections'),
  portOption('inboundPort', ports.inbound, 'where the proxy listens for inbound connections'),
  portOption('tunnelPort', ports.tunnel, 'port of mesh tunnels, never captured'),
  option('dnsCapture', {
    placeholder: 'WHICH',
    defaultText: 'off',
    help: 'DNS queries to capture: off, servers (those of resolv.conf), all',
    read: (text) => readWord(text, ['off', 'servers', 'all'] as const),
  }),
  portOption('dnsPort', ports.dns, 'where the proxy listens for DNS'),
  option('dnsServers', {
    placeholder: 'ADDRESSES',
    defaultText: '',
    help: 'name servers for --dns-capture servers; default: those of /etc/resolv.conf',
    read: (text) => readList(text, readAddress),
  }),
  option('ipv6', {
    flag: 'ipv6',
    placeholder: 'WHEN',
    defaultText: 'auto',
    help: 'rules for IPv6: on, off, auto (when an interface besides lo has an IPv6 address)',
    read: (text) => readWord(text, ['auto', 'on', 'off'] as const),
  }),
  option('dropInvalid', {
    placeholder: 'BOOL',
    defaultText: 'false',
    help: 'drop TCP packets that belong to no known connection',
    read: readFlag,
  }),
  option('preserveExisting', {
    placeholder: 'BOOL',
    defaultText: 'false',
    help: 'leave connections that are open already uncaptured (for late installation)',
    read: readFlag,
  }),
  option('backend', {
    placeholder: 'NAME',
    defaultText: 'auto',
    help: `how rules are written: ${backends.join(', ')}`,
    read: readBackend,
  }),
]
