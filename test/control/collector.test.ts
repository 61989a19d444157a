import t from 'tap'
import { Collector, type SelfView } from '../../proxy/control/collector.ts'
import { type InstrumentMessage, Instruments } from '../../proxy/telemetry/instruments.ts'
import type { ClusterStatus } from '../../proxy/worker/messages.ts'

/** The instruments of a worker thread, announcing to the collector. */
function worker(collector: Collector, id: number): Instruments {
  const announce = (message: InstrumentMessage): void => collector.receive(id, message)
  return new Instruments(announce)
}

const nobody = (): ReturnType<SelfView> => ({ version: '', workers: 0, restarts: 0 })

function cluster(name: string, requests: number, more: object = {}): ClusterStatus {
  const endpoint = {
    address: '10.0.0.1:80',
    ejected: '',
    healthy: true,
    weight: 1,
    locality: '',
    priority: 0,
    activeRequests: 1,
    connections: 2,
    idleConnections: 1,
    requests,
    failures: 0,
    ...more,
  }
  const endpoints = [endpoint]
  return { name, origin: 'web.yaml:1', policyOrigin: '', loadBalancer: 'RANDOM', endpoints }
}

t.test('counts of a dead worker stay, what it held at the moment does not', (t) => {
  const collector = new Collector(async () => new Map(), nobody)
  const labels = ['inbound']
  for (const life of [1, 2]) {
    const instruments = worker(collector, 0)
    instruments.counter('downstreamConnections', labels).add(10)
    instruments.gauge('downstreamActive', labels).set(3)
    instruments.flush()
    t.equal(collector.reader.value('downstreamConnections', labels), 10 * life)
    t.equal(collector.reader.value('downstreamActive', labels), 3)
    collector.workerGone(0)
    t.equal(collector.reader.value('downstreamActive', labels), 0)
  }
  t.equal(collector.reader.value('downstreamConnections', labels), 20)
  t.end()
})

t.test('clusters of all workers are merged by name and endpoint', async (t) => {
  const answers = new Map([
    [0, [cluster('web', 5), cluster('only-here', 1)]],
    [1, [cluster('web', 7, { healthy: false })]],
  ])
  const merged = await new Collector(async () => answers, nobody).clusters()
  t.same(
    merged.map(({ name }) => name),
    ['only-here', 'web'],
  )
  t.match(merged[1]?.endpoints, [{ requests: 12, connections: 4, healthy: false }])
  t.equal(merged[1]?.endpoints.length, 1)
})

t.test('gauges are added up by name', async (t) => {
  const answers = new Map([
    [0, { open: 3, waiting: 1 }],
    [1, { open: 4 }],
  ])
  t.same(await new Collector(async () => answers, nobody).stats(), {
    workers: 2,
    totals: { open: 7, waiting: 1 },
  })
})
