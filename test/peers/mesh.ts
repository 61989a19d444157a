/** The two configurations of a list of behaviours: Istio's resources, and what Istio would make of them. */
import {
  circuitBreakers,
  cors,
  fault,
  httpManager,
  listener,
  loadAssignment,
  router,
  tcpProxy,
  tlsInspector,
} from '../../bench/peers/envoy-config.ts'
import { envoyLog } from '../support/envoy.ts'
import { type Behaviour, to } from './behaviour.ts'

/** Where the endpoints of a service listen: `address:port` pairs. */
export type Places = ReadonlyMap<string, ReadonlyArray<readonly [address: string, port: number]>>

/** Names may carry a version behind a slash: `shop/v2` is an endpoint of `shop` labelled so. */
export function istioYaml(behaviours: readonly Behaviour[], places: Places): string {
  const opaque = opaqueServices(behaviours)
  const services = [...places].map(([name, ends]) => serviceDocuments(name, ends, opaque.get(name)))
  const rules = behaviours.flatMap(rulesOf)
  const registryOnly = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Sidecar',
    metadata: { name: 'default', namespace: 'default' },
    spec: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
  }
  const documents = [registryOnly, ...rules].map((each) => `---\n${JSON.stringify(each)}\n`)
  return services.join('') + documents.join('')
}

/** TCP services by name, with the address that is dialed to reach them. */
export function opaqueServices(behaviours: readonly Behaviour[]): ReadonlyMap<string, string> {
  const names = behaviours
    .filter(({ tcp }) => tcp)
    .flatMap(({ host, services = {} }) => [host, ...Object.keys(services)])
  return new Map([...new Set(names)].map((name, i) => [name, `10.96.1.${i + 1}`]))
}

export const tcpPort = 9000

function serviceDocuments(
  name: string,
  ends: ReadonlyArray<readonly [string, number]>,
  address: string | undefined,
): string {
  const portName = address === undefined ? 'http' : 'tcp'
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: {
      ...(address === undefined ? {} : { clusterIP: address }),
      ports: [{ name: portName, port: address === undefined ? 80 : tcpPort }],
    },
  }
  const slices = ends.map(([address, port], i) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${i}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    ports: [{ name: portName, port }],
    endpoints: [{ addresses: [address] }],
  }))
  return [service, ...slices].map((each) => `---\n${JSON.stringify(each)}\n`).join('')
}

function rulesOf({ host, istio = {} }: Behaviour): object[] {
  const { http, policy, subsets, tcp, more = [] } = istio
  const metadata = { name: host, namespace: 'default' }
  const apiVersion = 'networking.istio.io/v1'
  const rules: object[] = [...more]
  if (http !== undefined || tcp !== undefined)
    rules.push({ apiVersion, kind: 'VirtualService', metadata, spec: { hosts: [host], http, tcp } })
  if (policy !== undefined || subsets !== undefined)
    rules.push({
      apiVersion,
      kind: 'DestinationRule',
      metadata,
      spec: { host, trafficPolicy: policy, subsets },
    })
  return rules
}

/** Envoy's listeners: one for HTTP as Istio makes it, one that takes HTTP/1.0 besides. */
export function envoyListeners(behaviours: readonly Behaviour[]): object[] {
  const hosts = behaviours.filter(({ inbound, tcp }) => !tcp && !inbound).map(virtualHost)
  const modern = httpManager(managerSettings(hosts))
  const old = httpManager({
    ...managerSettings(hosts),
    http_protocol_options: { accept_http_10: true },
  })
  const others = [...opaqueListeners(behaviours), ...inboundListeners(behaviours)]
  return [listener('http', 0, modern), listener('http10', 0, old), ...others]
}

/** What the sidecar of an application does with its requests: every host goes to it, nothing is repeated. */
function inboundListeners(behaviours: readonly Behaviour[]): object[] {
  return behaviours
    .filter(({ inbound }) => inbound)
    .map(({ host }) => {
      const route = { cluster: host, timeout: '0s', max_grpc_timeout: '0s' }
      const all = { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }
      const manager = { ...managerSettings([]), forward_client_cert_details: 'APPEND_FORWARD' }
      const routes = { name: 'inbound', validate_clusters: false, virtual_hosts: [all] }
      return listener(host, 0, httpManager({ ...manager, route_config: routes }))
    })
}

function opaqueListeners(behaviours: readonly Behaviour[]): object[] {
  return behaviours
    .filter(({ tcp }) => tcp)
    .map(({ host, envoy = {} }) => {
      const log = { stat_prefix: host, access_log: [envoyLog] }
      const proxyTo = (settings: object) => tcpProxy({ ...log, ...settings })
      const plain = listener(host, 0, proxyTo(envoy.tcp ?? { cluster: host }))
      if (envoy.chains === undefined) return plain
      const chains = envoy.chains.map(({ serverNames, cluster }) => ({
        filter_chain_match: { server_names: serverNames },
        filters: [proxyTo({ cluster })],
      }))
      // REGISTRY_ONLY: what no chain takes goes to a cluster without endpoints
      const rest = { filters: [proxyTo({ cluster: 'BlackHoleCluster' })] }
      const inspected = { listener_filters: [tlsInspector], default_filter_chain: rest }
      return { ...plain, ...inspected, filter_chains: chains }
    })
}

function managerSettings(hosts: readonly object[]): object {
  const nowhere = {
    name: 'block_all',
    domains: ['*'],
    routes: [{ match: { prefix: '/' }, direct_response: { status: 502 } }],
  }
  return {
    stat_prefix: 'outbound',
    server_name: 'istio-envoy',
    use_remote_address: false,
    generate_request_id: true,
    normalize_path: true,
    path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    proxy_100_continue: true,
    stream_idle_timeout: '0s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    route_config: {
      name: '80',
      validate_clusters: false,
      ignore_port_in_host_matching: true,
      max_direct_response_body_size_bytes: 1_048_576,
      virtual_hosts: [...hosts, nowhere],
    },
    http_filters: [fault(), cors, router],
    access_log: [envoyLog],
  }
}

function virtualHost({ host, envoy = {} }: Behaviour): object {
  const { routes = [{ match: { prefix: '/' }, route: to(host) }], virtualHost: more = {} } = envoy
  const domains = [
    host,
    `${host}.default`,
    `${host}.default.svc`,
    `${host}.default.svc.cluster.local`,
  ]
  return { name: host, domains, routes, include_request_attempt_count: true, ...more }
}

export function envoyClusters(behaviours: readonly Behaviour[], places: Places): object[] {
  const settings = new Map(behaviours.map(({ host, envoy }) => [host, envoy?.cluster ?? {}]))
  const all = [...places, ['BlackHoleCluster', []] as const]
  return all.map(([name, ends]) => ({
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: circuitBreakers(),
    load_assignment: loadAssignment(name, ends),
    ...settings.get(name),
  }))
}
