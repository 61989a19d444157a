/** One access log line from the record to the kernel. */
import { closeSync, openSync } from 'node:fs'
import { Clock } from '../../proxy/base/clock.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { AccessLog } from '../../proxy/telemetry/access-log.ts'
import { ExchangeRecord } from '../../proxy/telemetry/exchange-record.ts'
import { Instruments } from '../../proxy/telemetry/instruments.ts'
import { istioLine } from '../../proxy/telemetry/istio-line.ts'
import { compileJson, compileText } from '../../proxy/telemetry/log-format.ts'
import { measure } from './measure.ts'

const addresses = Array.from({ length: 64 }, (_, i) => ({ address: '10.0.0.1', port: 40_000 + i }))
const records = addresses.map((remote, i) => {
  const record = new ExchangeRecord('outbound', Date.now() + i, 0, addresses[0]!, remote)
  record.method = 'GET'
  record.path = '/api/v1/products/42/reviews?page=2'
  record.authority = 'reviews:9080'
  record.status = 200
  record.details = 'via_upstream'
  record.responseBytes = 100
  record.duration = 3.7
  record.serviceTime = 3.1
  record.userAgent = 'python-requests/2.31.0'
  record.requestId = '5c2d4a1e-8e5f-4b7e-9a57-0f0c6a3f8b11'
  record.upstreamHost = '10.0.0.7:9080'
  record.upstreamLocal = '10.0.0.1:51234'
  record.cluster = 'outbound|9080|v1|reviews.default.svc.cluster.local'
  record.routeName = 'default'
  return record
})
let next = 0
let length = 0
const record = () => {
  next = (next + 1) & 63
  return records[next]!
}

measure('default text, made only', 300_000, () => {
  length += istioLine(record()).length
})
const text = compileText('')
measure('the same format compiled, made only', 300_000, () => {
  length += text.line(record()).length
})
const json = compileJson('')
measure('default JSON, made only', 300_000, () => {
  length += json.line(record()).length
})

const nowhere = openSync('/dev/null', 'w')
for (const encoding of ['TEXT', 'JSON'] as const) {
  const wheel = new TimerWheel(new Clock())
  const settings = { to: nowhere, encoding, format: '' }
  const log = new AccessLog(settings, wheel, new Instruments(() => undefined), console.error)
  measure(`default ${encoding}, to /dev/null`, 300_000, () => log.exchange(record()))
  await log.close()
  wheel.stop()
}
closeSync(nowhere)
if (length === 0) console.log('nothing was made')
