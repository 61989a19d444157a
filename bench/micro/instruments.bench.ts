/** Counting: one handle, and everything that a finished exchange adds to. */
import { ExchangeRecord, Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Exposition } from '../../proxy/telemetry/exposition.ts'
import { InstrumentReader } from '../../proxy/telemetry/instrument-reader.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { Recorder } from '../../proxy/telemetry/recorder.ts'
import { clusterSpec, endpointSpec, ownWorkload } from '../../test/upstream/fakes.ts'
import { measure } from './measure.ts'

const reader = new InstrumentReader()
const instruments = new Instruments((message) => reader.receive(1, message))
const counter = instruments.counter('upstreamRequests', ['a'])
const histogram = instruments.histogram('upstreamConnectMs', ['a'])

measure('count one', 5_000_000, () => counter.add())
let ms = 0
measure('observe 0 to 63 ms', 5_000_000, () => {
  histogram.observe(ms)
  ms = (ms + 1) & 63
})

const recorder = new Recorder(instruments, ownWorkload)
const here = { address: '10.0.0.1', port: 80 }
const record = new ExchangeRecord('outbound', 0, 0, here, here)
record.clusterMetrics = recorder.clusterMetrics(clusterSpec(), endpointSpec('10.0.0.7'))
record.status = 200
record.duration = 3.2
record.responseBytes = 100
measure('finish an exchange, same outcome as the one before', 2_000_000, () => {
  recorder.finishExchange(record)
})
let turn = 0
measure('finish an exchange, outcomes alternate', 2_000_000, () => {
  turn ^= 1
  record.status = turn === 0 ? 200 : 503
  record.flags = turn === 0 ? 0 : Flag.UF
  recorder.finishExchange(record)
})

for (let i = 0; i < 1_000; i++) {
  record.clusterMetrics = recorder.clusterMetrics({ ...clusterSpec(), serviceName: `s${i}` })
  recorder.finishExchange(record)
}
instruments.flush()
const exposition = new Exposition(reader)
const began = performance.now()
const text = await exposition.prometheus()
const took = performance.now() - began
console.log(
  `exposition of 1,000 services: ${took.toFixed(0)} ms, ${(text.length / 1e6).toFixed(1)} MB`,
)
