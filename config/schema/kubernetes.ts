/** Service, EndpointSlice, Pod and Namespace: what a sidecar needs of them, the rest passes by. */
import { didYouMean } from '../diagnostics.ts'
import type { EndpointSliceSpec, PodSpec, ServiceSpec } from '../kinds.ts'
import { labels, list } from './collections.ts'
import { dnsLabel } from './formats.ts'
import { ignored, need, object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import {
  anything,
  boolean,
  enumeration,
  integer,
  portNumber,
  string,
  type Type,
  text,
} from './scalars.ts'

/** A port number, or the name of a container's port. */
const targetPort: Type<number | string> = {
  read(raw, reading) {
    if (raw.kind === 'scalar' && typeof raw.value === 'number')
      return integer(0, 65_535).read(raw, reading)
    return string(dnsLabel).read(raw, reading)
  },
}

const TRANSPORTS = ['TCP', 'UDP', 'SCTP']

/** Kubernetes refuses others; people write application protocols here, which are then ignored. */
const transport: Type<string> = {
  read(raw, reading) {
    const value = string((name) =>
      TRANSPORTS.includes(name)
        ? undefined
        : {
            warning: true,
            message: `"${name}" is not one of ${TRANSPORTS.join(', ')}: it is read as TCP`,
            hint: 'Name the port (http-web) or set appProtocol to say what it speaks.',
          },
    ).read(raw, reading)
    return value === undefined || TRANSPORTS.includes(value) ? value : 'TCP'
  },
}

interface WrittenPort {
  readonly port: number
  readonly targetPort?: number | string
}

const servicePort: Type = object<WrittenPort>(
  {
    name: or(
      string((name) => (name === '' ? undefined : dnsLabel(name))),
      '',
    ),
    port: need(portNumber, 'the port number is missing'),
    targetPort,
    protocol: or(transport, 'TCP'),
    appProtocol: text,
    nodePort: ignored(integer(0, 65_535)),
  },
  {
    unknown: 'warning',
    into: (value) => ({ ...value, targetPort: value.targetPort || value.port }),
  },
)

type WrittenService = Omit<ServiceSpec, 'clusterIPs'> & {
  readonly clusterIP?: string
  readonly clusterIPs?: readonly string[]
}

const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode']

function distribution(value: string): Verdict {
  if (DISTRIBUTIONS.includes(value)) return undefined
  const message = `"${value}" is not one of ${DISTRIBUTIONS.join(', ')}: it has no effect`
  return { warning: true, message, hint: didYouMean(value, DISTRIBUTIONS) }
}

const IGNORED = [
  'sessionAffinityConfig',
  'loadBalancerIP',
  'loadBalancerSourceRanges',
  'loadBalancerClass',
  'externalIPs',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'ipFamilies',
  'ipFamilyPolicy',
  'allocateLoadBalancerNodePorts',
]

export const service: Type = object<WrittenService>(
  {
    type: or(enumeration(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']), 'ClusterIP'),
    selector: or(labels, {}),
    clusterIP: text,
    clusterIPs: list(text),
    externalName: text,
    publishNotReadyAddresses: or(boolean, false),
    internalTrafficPolicy: or(enumeration(['Cluster', 'Local']), 'Cluster'),
    ports: or(list(servicePort), []),
    trafficDistribution: string(distribution),
    sessionAffinity: ignored(text),
    ...Object.fromEntries(IGNORED.map((name) => [name, ignored(anything)])),
  },
  { unknown: 'warning', rules: [checkPorts, checkExternalName], into: withClusterIPs },
)

function withClusterIPs({ clusterIP, clusterIPs, ...rest }: WrittenService): ServiceSpec {
  const all = [clusterIP ?? '', ...(clusterIPs ?? [])].filter((address) => address !== '')
  return { ...rest, clusterIPs: [...new Set(all)] }
}

function checkPorts(spec: WrittenService, place: Place): void {
  const numbers = new Set<string>()
  const names = new Set<string>()
  for (const [index, { name, port, protocol }] of spec.ports.entries()) {
    const key = `${protocol} ${port}`
    if (port !== undefined && numbers.has(key))
      place.error(['ports', index, 'port'], `the port ${port} is listed twice`)
    numbers.add(key)
    if (spec.ports.length > 1 && name === '')
      place.warn(['ports', index], 'a Service with several ports needs a name for each')
    else if (names.has(name) && name !== '')
      place.error(['ports', index, 'name'], `the port name "${name}" is used twice`)
    names.add(name)
  }
}

function checkExternalName(spec: WrittenService, place: Place): void {
  if (spec.type === 'ExternalName' && (spec.externalName ?? '') === '')
    place.error([], 'a Service of type ExternalName needs externalName')
}

// --- EndpointSlice --------------------------------------------------------------------------------
interface WrittenEndpoint {
  readonly addresses: readonly string[]
  readonly conditions?: { readonly ready?: boolean; readonly terminating?: boolean }
}

const endpoint: Type = object<WrittenEndpoint>(
  {
    addresses: need(list(text), 'the addresses are missing'),
    conditions: object({ ready: boolean, terminating: boolean }, { unknown: 'silent' }),
    targetRef: object(
      { kind: or(text, ''), name: or(text, ''), namespace: text },
      { unknown: 'silent' },
    ),
    nodeName: text,
    zone: text,
  },
  {
    unknown: 'silent',
    into: ({ conditions, ...rest }) => ({
      ...rest,
      addresses: rest.addresses ?? [],
      ready: conditions?.ready ?? true,
      terminating: conditions?.terminating ?? false,
    }),
  },
)

/** Reads the whole object: an EndpointSlice has no spec. */
export const endpointSlice: Type = object<EndpointSliceSpec>(
  {
    addressType: need(enumeration(['IPv4', 'IPv6', 'FQDN']), 'the address type is missing'),
    ports: or(
      list(
        object(
          { name: or(text, ''), port: portNumber, protocol: or(text, 'TCP') },
          { unknown: 'silent' },
        ),
      ),
      [],
    ),
    endpoints: or(list(endpoint), []),
  },
  { unknown: 'silent' },
)

// --- Pod ------------------------------------------------------------------------------------------
interface WrittenPod {
  readonly spec?: Pick<PodSpec, 'serviceAccountName' | 'containers'> & {
    readonly nodeName?: string
  }
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly podIPs?: ReadonlyArray<{ readonly ip?: string }>
    readonly conditions?: ReadonlyArray<{ readonly type?: string; readonly status?: string }>
  }
}

const quiet = { unknown: 'silent' } as const

/** Reads the whole object: a Pod's addresses are in its status. */
export const pod: Type = object<WrittenPod>(
  {
    spec: object(
      {
        serviceAccountName: or(text, 'default'),
        nodeName: text,
        containers: or(
          list(
            object(
              {
                name: or(text, ''),
                ports: or(
                  list(
                    object(
                      {
                        name: or(text, ''),
                        containerPort: need(portNumber, 'the port is missing'),
                      },
                      quiet,
                    ),
                  ),
                  [],
                ),
              },
              quiet,
            ),
          ),
          [],
        ),
      },
      quiet,
    ),
    status: object(
      {
        phase: text,
        podIP: text,
        podIPs: list(object({ ip: text }, quiet)),
        conditions: list(object({ type: text, status: text }, quiet)),
      },
      quiet,
    ),
  },
  { unknown: 'silent', into: podSpec },
)

function podSpec({ spec, status }: WrittenPod): PodSpec {
  const all = [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)]
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
  return {
    serviceAccountName: spec?.serviceAccountName ?? 'default',
    ...(spec?.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
    containers: spec?.containers ?? [],
    addresses: [...new Set(all.filter((ip): ip is string => ip !== undefined && ip !== ''))],
    ready: ready === undefined || ready === 'True',
    phase: status?.phase ?? '',
  }
}

export const namespace: Type = object({}, { unknown: 'silent' })
