import t from 'tap'
import { partyLabels } from '../../proxy/telemetry/catalogue.ts'
import { ConnectionRecord, ExchangeRecord, Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Exposition } from '../../proxy/telemetry/exposition.ts'
import { InstrumentReader } from '../../proxy/telemetry/instrument-reader.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { canonicalService, directionOf, partyValues } from '../../proxy/telemetry/parties.ts'
import { Recorder } from '../../proxy/telemetry/recorder.ts'

const own = {
  name: 'productpage-v1',
  namespace: 'default',
  serviceAccount: 'productpage',
  labels: { app: 'productpage', version: 'v1' },
  addresses: ['10.0.0.1'],
}
const reviews = {
  name: 'outbound|9080|v2|reviews.shop.svc.cluster.local',
  service: 'reviews.shop.svc.cluster.local',
  serviceName: 'reviews',
  serviceNamespace: 'shop',
}
const inbound = {
  name: 'inbound|9080||',
  service: 'productpage.default.svc.cluster.local',
  serviceName: 'productpage',
  serviceNamespace: 'default',
}
const peer = { workload: 'reviews-v2', labels: { app: 'reviews', version: 'v2' } }
const here = { address: '10.0.0.1', port: 9080 }
const there = { address: '10.0.0.9', port: 40_000 }

function setup() {
  const reader = new InstrumentReader()
  const instruments = new Instruments((message) => reader.receive(1, message))
  const recorder = new Recorder(instruments, own)
  const text = async () => {
    instruments.flush()
    return new Exposition(reader).prometheus()
  }
  return { reader, instruments, recorder, text }
}

function exchange(direction: 'inbound' | 'outbound', status: number): ExchangeRecord {
  const record = new ExchangeRecord(direction, 1_700_000_000_000, 0, here, there)
  record.status = status
  return record
}

/** The samples of one metric: label values of interest, and the value. */
function samples(text: string, name: string): Array<[Record<string, string>, number]> {
  const found: Array<[Record<string, string>, number]> = []
  for (const line of text.split('\n')) {
    const match = /^(\w+)\{(.*)\} (\S+)$/.exec(line)
    if (match === null || match[1] !== name) continue
    const labels: Record<string, string> = {}
    for (const [, label, value] of match[2]!.matchAll(/(\w+)="([^"]*)"/g)) labels[label!] = value!
    found.push([labels, Number(match[3])])
  }
  return found
}

t.test('an outbound exchange is counted with all of Istio standard labels', async (t) => {
  const { recorder, text } = setup()
  const record = exchange('outbound', 200)
  record.clusterMetrics = recorder.clusterMetrics(reviews, peer)
  record.duration = 12.7
  record.requestBytes = 100
  record.requestHeadBytes = 50
  record.responseBytes = 2_000
  recorder.finishExchange(record)
  recorder.finishExchange(record)
  const all = await text()
  t.same(samples(all, 'istio_requests_total'), [
    [
      {
        reporter: 'source',
        source_workload: 'productpage-v1',
        source_canonical_service: 'productpage',
        source_canonical_revision: 'v1',
        source_workload_namespace: 'default',
        source_principal: 'unknown',
        source_app: 'productpage',
        source_version: 'v1',
        source_cluster: 'unknown',
        destination_workload: 'reviews-v2',
        destination_workload_namespace: 'shop',
        destination_principal: 'unknown',
        destination_app: 'reviews',
        destination_version: 'v2',
        destination_service: 'reviews.shop.svc.cluster.local',
        destination_canonical_service: 'reviews',
        destination_canonical_revision: 'v2',
        destination_service_name: 'reviews',
        destination_service_namespace: 'shop',
        destination_cluster: 'unknown',
        connection_security_policy: 'unknown',
        request_protocol: 'http',
        response_code: '200',
        grpc_response_status: '',
        response_flags: '-',
      },
      2,
    ],
  ])
  const sums = ['duration_milliseconds', 'bytes'].map(
    (name) => samples(all, `istio_request_${name}_sum`)[0]![1],
  )
  t.same(sums, [24, 300], 'whole milliseconds; bytes with heads')
  const buckets = samples(all, 'istio_request_duration_milliseconds_bucket')
  t.equal(buckets.length, 20)
  t.equal(buckets.find(([labels]) => labels['le'] === '10')![1], 0)
  t.equal(buckets.find(([labels]) => labels['le'] === '25')![1], 2)
  t.equal(buckets.find(([labels]) => labels['le'] === '+Inf')![1], 2)
})

t.test('an inbound exchange names us as the destination', async (t) => {
  const { recorder, text } = setup()
  const record = exchange('inbound', 404)
  record.clusterMetrics = recorder.clusterMetrics(inbound)
  recorder.finishExchange(record)
  const [[labels]] = samples(await text(), 'istio_requests_total') as [
    [Record<string, string>, number],
  ]
  t.match(labels, {
    reporter: 'destination',
    source_workload: 'unknown',
    source_canonical_revision: 'latest',
    destination_workload: 'productpage-v1',
    destination_service: 'productpage.default.svc.cluster.local',
    destination_service_namespace: 'default',
    connection_security_policy: 'none',
  })
})

t.test('each outcome has its series: status, flags, gRPC status', async (t) => {
  const { recorder, text } = setup()
  const metrics = recorder.clusterMetrics(reviews, peer)
  const outcomes: Array<[status: number, flags: number, grpc: number | undefined]> = [
    [200, 0, undefined],
    [503, Flag.UF | Flag.URX, undefined],
    [200, 0, 0],
    [200, 0, 14],
    [200, 0, -1],
    [0, Flag.DC, undefined],
  ]
  for (let round = 0; round < 3; round++)
    for (const [status, flags, grpc] of outcomes) {
      const record = exchange('outbound', status)
      record.clusterMetrics = metrics
      record.flags = flags
      record.grpc = grpc !== undefined
      record.grpcStatus = grpc ?? -1
      recorder.finishExchange(record)
    }
  const seen = samples(await text(), 'istio_requests_total').map(([labels, count]) => [
    labels['request_protocol'],
    labels['response_code'],
    labels['response_flags'],
    labels['grpc_response_status'],
    count,
  ])
  t.same(seen, [
    ['http', '200', '-', '', 3],
    ['http', '503', 'UF,URX', '', 3],
    ['grpc', '200', '-', '0', 3],
    ['grpc', '200', '-', '14', 3],
    ['grpc', '200', '-', '', 3],
    ['http', '0', 'DC', '', 3],
  ])
})

t.test('without a cluster the destination is unknown, whatever the Host was', async (t) => {
  const { recorder, text } = setup()
  const record = exchange('outbound', 404)
  record.authority = 'made-up-1234.example'
  record.flags = Flag.NR
  recorder.finishExchange(record)
  const [[labels, count]] = samples(await text(), 'istio_requests_total') as [
    [Record<string, string>, number],
  ]
  t.equal(count, 1)
  t.match(labels, { destination_service: 'unknown', destination_service_name: 'unknown' })
})

t.test('clusters without a service are named by themselves', async (t) => {
  const at = (label: (typeof partyLabels)[number]) => partyLabels.indexOf(label)
  const passthrough = {
    name: 'PassthroughCluster',
    service: '',
    serviceName: '',
    serviceNamespace: '',
  }
  const values = partyValues('outbound', own, passthrough, undefined)
  t.equal(values.length, partyLabels.length)
  t.equal(values[at('destination_service_name')], 'PassthroughCluster')
  t.equal(values[at('destination_service')], 'unknown')
  t.equal(directionOf('InboundPassthroughCluster'), 'inbound')
  t.equal(directionOf('inbound|80||'), 'inbound')
  t.equal(directionOf('PassthroughCluster'), 'outbound')
  t.equal(directionOf(reviews.name), 'outbound')
})

t.test('canonical names come from the labels in Istio order', async (t) => {
  t.equal(canonicalService({ app: 'a', 'app.kubernetes.io/name': 'b' }, 'w'), 'b')
  t.equal(canonicalService({ app: 'a', 'service.istio.io/canonical-name': 'c' }, 'w'), 'c')
  t.equal(canonicalService({}, 'w'), 'w')
  t.equal(canonicalService({}, ''), 'unknown')
})

t.test('a TCP connection counts opened, bytes as they come, closed', async (t) => {
  const { recorder, text } = setup()
  const record = new ConnectionRecord('outbound', 0, 0, here, there)
  record.clusterMetrics = recorder.clusterMetrics(reviews, peer)
  recorder.connectionOpened(record)
  record.receivedBytes = 10
  record.sentBytes = 20
  recorder.connectionProgress(record)
  record.receivedBytes = 15
  record.sentBytes = 200
  const count = async (name: string) => samples(await text(), `istio_tcp_${name}_total`)[0]?.[1]
  t.equal(await count('received_bytes'), 10)
  t.equal(await count('connections_opened'), 1)
  recorder.finishConnection(record)
  t.equal(await count('received_bytes'), 15)
  t.equal(await count('sent_bytes'), 200)
  t.equal(await count('connections_opened'), 1)
  t.equal(await count('connections_closed'), 1)
  const [[labels]] = samples(await text(), 'istio_tcp_sent_bytes_total') as [
    [Record<string, string>, number],
  ]
  t.equal(labels['request_protocol'], 'tcp')
  t.notOk('response_code' in labels)
})

t.test('the log is told of every record', async (t) => {
  const { instruments } = setup()
  const told: string[] = []
  const recorder = new Recorder(instruments, own, {
    exchange: (record) => told.push(`exchange ${record.status}`),
    connection: (record) => told.push(`connection ${record.receivedBytes}`),
    close: async () => void told.push('closed'),
  })
  recorder.finishExchange(exchange('inbound', 201))
  recorder.finishConnection(new ConnectionRecord('inbound', 0, 0, here, there))
  await recorder.close()
  recorder.finishExchange(exchange('inbound', 202))
  t.same(told, ['exchange 201', 'connection 0', 'closed'])
})

t.test('client connections and requests are gauged by direction', async (t) => {
  const { recorder, instruments, reader } = setup()
  recorder.downstreamOpened('inbound')
  recorder.downstreamOpened('inbound')
  recorder.downstreamClosed('inbound')
  recorder.downstreamRefused('outbound')
  recorder.requestStarted('outbound')
  recorder.requestStarted('outbound')
  recorder.requestEnded('outbound')
  recorder.protocolError('inbound', 'http1.invalid_characters')
  recorder.protocolDetected('inbound', 'http')
  instruments.flush()
  t.equal(reader.value('downstreamConnections', ['inbound']), 2)
  t.equal(reader.value('downstreamActive', ['inbound']), 1)
  t.equal(reader.value('downstreamShed', ['outbound']), 1)
  t.equal(reader.value('downstreamRequestsActive', ['outbound']), 1)
  t.equal(reader.value('downstreamProtocolErrors', ['inbound', 'http1.invalid_characters']), 1)
  t.equal(reader.value('detectedProtocols', ['inbound', 'http']), 1)
})

t.test('the plain view leaves out labels that say nothing, and can be filtered', async (t) => {
  const { recorder, instruments, reader } = setup()
  const record = exchange('outbound', 200)
  record.clusterMetrics = recorder.clusterMetrics(reviews, peer)
  record.duration = 30
  recorder.finishExchange(record)
  instruments.flush()
  const plain = new Exposition(reader).plain(/^istio_request(s_total|_duration)/)
  t.equal(plain.split('\n').length, 3)
  t.match(plain, /^istio_requests_total\{reporter="source".*response_code="200".*\}: 1$/m)
  t.match(plain, /duration.*: count=1 sum=30 p50<=50 p90<=50 p99<=50$/m)
  t.notMatch(plain, 'unknown')
  t.equal(new Exposition(reader).plain(/nothing at all/), '')
})

t.test('label values are escaped for Prometheus', async (t) => {
  const { instruments, text } = setup()
  instruments.gauge('configInfo', ['a"b\\c\nd']).set(1)
  t.match(await text(), 'outrider_config_info{version="a\\"b\\\\c\\nd"} 1')
})

t.test('what is only worth knowing when somebody looks is set then', async (t) => {
  const { instruments, reader } = setup()
  const refresh = () => {
    instruments.gauge('workers').set(2)
    instruments.flush()
  }
  const exposition = new Exposition(reader, refresh)
  t.match(await exposition.prometheus(), '# TYPE outrider_workers gauge\noutrider_workers 2')
  t.match(exposition.plain(), /^outrider_workers: 2$/m)
})
