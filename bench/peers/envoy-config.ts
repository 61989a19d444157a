/** The pieces that every Envoy configuration of this project is made of. */

export const socketAddress = (address: string, port: number) => ({
  socket_address: { address, port_value: port },
})

/** A typed extension; `category`: its message without the package's prefix. */
export const extension = (category: string, name: string, settings: object = {}) => ({
  name,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.${category}`, ...settings },
})

/** A listener on loopback with one filter chain. */
export function listener(name: string, port: number, filter: object): object {
  return {
    name,
    address: socketAddress('127.0.0.1', port),
    filter_chains: [{ filters: [filter] }],
  }
}

export function httpManager(settings: object): object {
  const manager = 'filters.network.http_connection_manager.v3.HttpConnectionManager'
  return extension(manager, 'envoy.filters.network.http_connection_manager', settings)
}

export function tcpProxy(settings: object): object {
  return extension(
    'filters.network.tcp_proxy.v3.TcpProxy',
    'envoy.filters.network.tcp_proxy',
    settings,
  )
}

export const tlsInspector = extension(
  'filters.listener.tls_inspector.v3.TlsInspector',
  'envoy.filters.listener.tls_inspector',
)
export const router = extension('filters.http.router.v3.Router', 'envoy.filters.http.router')
export const cors = extension('filters.http.cors.v3.Cors', 'envoy.filters.http.cors')

export function fault(settings: object = {}): object {
  return extension('filters.http.fault.v3.HTTPFault', 'envoy.filters.http.fault', settings)
}

export function circuitBreakers(limits: object = {}): object {
  const unlimited = 1_000_000
  const none = {
    max_connections: unlimited,
    max_requests: unlimited,
    max_pending_requests: unlimited,
    max_retries: unlimited,
  }
  return { thresholds: [{ ...none, ...limits }] }
}

/** Endpoints as `address:port` pairs of one locality. */
export function loadAssignment(
  name: string,
  endpoints: ReadonlyArray<readonly [address: string, port: number]>,
): object {
  const hosts = endpoints.map(([address, port]) => ({
    endpoint: { address: socketAddress(address, port) },
  }))
  return { cluster_name: name, endpoints: [{ lb_endpoints: hosts }] }
}
