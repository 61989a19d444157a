/** Every metric of the proxy in one list: what it is called, what it means, which labels it carries. */

export type MetricKind = 'counter' | 'gauge' | 'histogram'

export interface MetricSpec {
  /** The name under which Prometheus sees it. */
  readonly name: string
  readonly kind: MetricKind
  readonly help: string
  /** Label values are always given in this order. */
  readonly labels: readonly string[]
}

/** Istio's buckets, for milliseconds and bytes alike; the last bucket is open. */
export const histogramBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
]

/** Who called whom: the labels that all of Istio's standard metrics share. */
export const partyLabels = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'connection_security_policy',
] as const

const httpLabels = [
  ...partyLabels,
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
] as const
const tcpLabels = [...partyLabels, 'request_protocol', 'response_flags'] as const
const cluster = ['cluster_name'] as const
const direction = ['direction'] as const

function counter(name: string, help: string, labels: readonly string[] = []): MetricSpec {
  return { name, kind: 'counter', help, labels }
}
function gauge(name: string, help: string, labels: readonly string[] = []): MetricSpec {
  return { name, kind: 'gauge', help, labels }
}
function histogram(name: string, help: string, labels: readonly string[] = []): MetricSpec {
  return { name, kind: 'histogram', help, labels }
}

export const catalogue = {
  // Istio's standard metrics
  requests: counter('istio_requests_total', 'HTTP requests, counted when they end.', httpLabels),
  requestDuration: histogram(
    'istio_request_duration_milliseconds',
    'From the first byte of the request to the end of the reply, ms.',
    httpLabels,
  ),
  requestBytes: histogram('istio_request_bytes', 'Size of requests, with heads.', httpLabels),
  responseBytes: histogram('istio_response_bytes', 'Size of replies, with heads.', httpLabels),
  tcpOpened: counter('istio_tcp_connections_opened_total', 'TCP connections opened.', tcpLabels),
  tcpClosed: counter('istio_tcp_connections_closed_total', 'TCP connections closed.', tcpLabels),
  tcpSent: counter('istio_tcp_sent_bytes_total', 'Bytes sent to the client.', tcpLabels),
  tcpReceived: counter('istio_tcp_received_bytes_total', 'Bytes read from the client.', tcpLabels),
  build: gauge('istio_build', 'Always 1; the labels name the version.', ['component', 'tag']),

  // the side of our clients
  downstreamConnections: counter(
    'outrider_downstream_connections_total',
    'Connections accepted.',
    direction,
  ),
  downstreamActive: gauge(
    'outrider_downstream_connections_active',
    'Connections open now.',
    direction,
  ),
  downstreamShed: counter(
    'outrider_downstream_connections_shed_total',
    'Connections closed at once because a limit was reached.',
    direction,
  ),
  downstreamRequestsActive: gauge(
    'outrider_downstream_requests_active',
    'Requests being answered now.',
    direction,
  ),
  downstreamProtocolErrors: counter(
    'outrider_downstream_protocol_errors_total',
    'Requests refused because of what the client sent.',
    ['direction', 'detail'],
  ),
  detectedProtocols: counter(
    'outrider_detected_protocols_total',
    'Connections whose protocol was found by looking at the first bytes.',
    ['direction', 'protocol'],
  ),

  // the side of upstreams, per cluster
  upstreamConnections: counter(
    'outrider_upstream_connections_total',
    'Connections made to endpoints.',
    cluster,
  ),
  upstreamActive: gauge(
    'outrider_upstream_connections_active',
    'Connections to endpoints open or being made now.',
    cluster,
  ),
  upstreamConnectFailures: counter(
    'outrider_upstream_connect_failures_total',
    'Connections that could not be made.',
    ['cluster_name', 'reason'],
  ),
  upstreamConnectMs: histogram(
    'outrider_upstream_connect_milliseconds',
    'Time to make a connection, ms.',
    cluster,
  ),
  upstreamClosed: counter(
    'outrider_upstream_connections_closed_total',
    'Connections to endpoints that ended, by why.',
    ['cluster_name', 'reason'],
  ),
  upstreamRequests: counter(
    'outrider_upstream_requests_total',
    'Requests given to a connection.',
    cluster,
  ),
  upstreamRequestsActive: gauge(
    'outrider_upstream_requests_active',
    'Requests waiting for or using a connection now.',
    cluster,
  ),
  upstreamPending: gauge(
    'outrider_upstream_requests_pending',
    'Requests waiting for a connection now.',
    cluster,
  ),
  upstreamOverflow: counter(
    'outrider_upstream_overflow_total',
    'Requests or connections refused by a connectionPool limit.',
    ['cluster_name', 'limit'],
  ),
  upstreamReuseRaces: counter(
    'outrider_upstream_reuse_races_total',
    'Kept connections that the endpoint closed just when they were used again.',
    cluster,
  ),
  upstreamRetries: counter('outrider_upstream_retries_total', 'Requests sent again.', cluster),
  upstreamRetriesSkipped: counter(
    'outrider_upstream_retries_skipped_total',
    'Retries that a rule wanted and that were not made, by why.',
    ['cluster_name', 'reason'],
  ),
  routeRequests: counter(
    'outrider_route_requests_total',
    'Requests of routes that have a statPrefix, by the first digit of their status.',
    ['stat_prefix', 'response_class'],
  ),
  upstreamMirrored: counter(
    'outrider_upstream_mirrored_total',
    'Copies of requests for mirrors: answered, failed, or dropped because they would have taken too much.',
    ['cluster_name', 'result'],
  ),
  upstreamUnpicked: counter(
    'outrider_upstream_none_healthy_total',
    'Requests for which no endpoint could be used.',
    cluster,
  ),

  outlierActive: gauge(
    'outrider_outlier_ejections_active',
    'Endpoints that outlier detection keeps out of service now.',
    cluster,
  ),
  outlierEjections: counter(
    'outrider_outlier_ejections_total',
    'Endpoints ejected by outlier detection, by what was counted.',
    ['cluster_name', 'reason'],
  ),
  outlierRefused: counter(
    'outrider_outlier_ejections_refused_total',
    'Ejections that maxEjectionPercent did not allow.',
    cluster,
  ),

  faultsInjected: counter(
    'outrider_faults_injected_total',
    'Requests and tries disturbed on purpose.',
    ['kind'],
  ),

  // configuration
  configReloads: counter('outrider_config_reloads_total', 'Times the files were read.', ['result']),
  configGeneration: gauge('outrider_config_generation', 'Snapshots put in force since the start.'),
  configProblems: gauge('outrider_config_problems', 'Problems in the files now.', ['severity']),
  configLoaded: gauge(
    'outrider_config_last_success_timestamp_seconds',
    'When the running snapshot was put in force.',
  ),
  configInfo: gauge('outrider_config_info', 'Always 1; the label names the snapshot.', ['version']),

  // ourselves
  workers: gauge('outrider_workers', 'Worker threads running.'),
  workerRestarts: counter('outrider_worker_restarts_total', 'Worker threads replaced.'),
  receiveBufferBytes: gauge(
    'outrider_receive_buffer_bytes',
    'Memory held by receive buffers in use.',
  ),
  accessLogLines: counter('outrider_access_log_lines_total', 'Access log lines written.'),
  accessLogDropped: counter(
    'outrider_access_log_dropped_total',
    'Access log lines lost because the destination was too slow or broken.',
  ),
  seriesRefused: counter(
    'outrider_metric_series_refused_total',
    'Metric series not made because there are too many.',
  ),
  memory: gauge('process_resident_memory_bytes', 'Resident memory of the whole process.'),
  cpu: counter('process_cpu_seconds_total', 'CPU time of the whole process.'),
  started: gauge('process_start_time_seconds', 'When the process started.'),
} as const satisfies Record<string, MetricSpec>

export type MetricId = keyof typeof catalogue
