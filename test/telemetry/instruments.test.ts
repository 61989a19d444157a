import { Worker } from 'node:worker_threads'
import t from 'tap'
import { catalogue, histogramBounds, type MetricId } from '../../proxy/telemetry/catalogue.ts'
import { InstrumentReader } from '../../proxy/telemetry/instrument-reader.ts'
import { type InstrumentMessage, Instruments } from '../../proxy/telemetry/instruments.ts'

function thread(reader: InstrumentReader, number: number): Instruments {
  return new Instruments((message) => reader.receive(number, message))
}

t.test('every metric has a name of its own, in Prometheus form, with a help text', async (t) => {
  const names = new Set<string>()
  for (const spec of Object.values(catalogue)) {
    t.match(spec.name, /^[a-z][a-z0-9_]*$/)
    t.ok(spec.help.endsWith('.'))
    t.equal(spec.kind === 'counter', spec.name.endsWith('_total'), spec.name)
    t.equal(new Set(spec.labels).size, spec.labels.length)
    names.add(spec.name)
  }
  t.equal(names.size, Object.keys(catalogue).length)
})

t.test('counters of several threads are added up', async (t) => {
  const reader = new InstrumentReader()
  const threads = [thread(reader, 1), thread(reader, 2)]
  for (const instruments of threads) {
    instruments.counter('upstreamRequests', ['a']).add()
    instruments.counter('upstreamRequests', ['a']).add(2)
    instruments.counter('upstreamRequests', ['b']).add(10)
    instruments.flush()
  }
  t.equal(reader.value('upstreamRequests', ['a']), 6)
  t.equal(reader.value('upstreamRequests', ['b']), 20)
  t.equal(reader.value('upstreamRequests', ['c']), 0)
})

t.test('what a dead thread counted stays, its gauges do not', async (t) => {
  const reader = new InstrumentReader()
  const [dead, alive] = [thread(reader, 1), thread(reader, 2)]
  for (const instruments of [dead, alive]) {
    instruments.counter('upstreamRequests', ['a']).add(5)
    instruments.gauge('upstreamActive', ['a']).add(3)
    instruments.histogram('upstreamConnectMs', ['a']).observe(7)
    instruments.flush()
  }
  reader.threadGone(1)
  dead.counter('upstreamRequests', ['a']).add(100)
  t.equal(reader.value('upstreamRequests', ['a']), 10)
  t.equal(reader.value('upstreamActive', ['a']), 3)
  const [series] = reader.collect().get('upstreamConnectMs')!
  t.equal(series!.values[3], 2, 'both observations in the bucket up to 10')
  t.equal(series!.values.at(-1), 14)
  reader.threadGone(2)
  t.equal(reader.value('upstreamRequests', ['a']), 10)
  t.equal(reader.value('upstreamActive', ['a']), 0)
})

t.test('a histogram counts each value in the first bucket that holds it', async (t) => {
  const reader = new InstrumentReader()
  const instruments = thread(reader, 1)
  const histogram = instruments.histogram('upstreamConnectMs', ['a'])
  for (const bound of histogramBounds) {
    histogram.observe(bound)
    histogram.observe(bound + 0.01)
  }
  histogram.observe(0)
  histogram.observe(-5)
  histogram.observe(Number.NaN)
  instruments.flush()
  const { values } = reader.collect().get('upstreamConnectMs')![0]!
  t.equal(values[0], 4, '0.5 and the three that count as 0')
  for (let i = 1; i < histogramBounds.length; i++) t.equal(values[i], 2)
  t.equal(values[histogramBounds.length], 1, 'beyond the last bound')
})

t.test('the same metric and labels give the same handle', async (t) => {
  const instruments = new Instruments(() => undefined)
  const before = instruments.size
  t.equal(instruments.gauge('upstreamActive', ['a']), instruments.gauge('upstreamActive', ['a']))
  t.not(instruments.gauge('upstreamActive', ['a']), instruments.gauge('upstreamActive', ['b']))
  t.equal(instruments.size, before + 2)
})

t.test('a wrong number of labels is a bug', async (t) => {
  const instruments = new Instruments(() => undefined)
  t.throws(() => instruments.counter('upstreamRequests', []), {
    message: /has the labels cluster_name/,
  })
})

t.test('series are announced once, together, in the next microtask', async (t) => {
  const messages: InstrumentMessage[] = []
  const instruments = new Instruments((message) => messages.push(message))
  instruments.counter('upstreamRequests', ['a'])
  instruments.counter('upstreamRequests', ['b'])
  instruments.counter('upstreamRequests', ['a'])
  t.equal(messages.length, 0)
  await null
  t.equal(messages.length, 1)
  t.equal(messages[0]!.series.length, 3, 'with the count of refused series')
  t.equal(messages[0]!.blocks.length, 1)
})

t.test('thousands of series span blocks and stay apart', async (t) => {
  const reader = new InstrumentReader()
  const instruments = thread(reader, 1)
  const handles = Array.from({ length: 1_000 }, (_, i) => ({
    counter: instruments.counter('upstreamRequests', [`c${i}`]),
    histogram: instruments.histogram('upstreamConnectMs', [`c${i}`]),
  }))
  handles.forEach(({ counter, histogram }, i) => {
    counter.add(i)
    histogram.observe(i)
  })
  instruments.flush()
  for (let i = 0; i < handles.length; i += 37)
    t.equal(reader.value('upstreamRequests', [`c${i}`]), i)
  const sums = reader.collect().get('upstreamConnectMs')!
  t.equal(
    sums.reduce((sum, series) => sum + series.values.at(-1)!, 0),
    (999 * 1_000) / 2,
  )
})

t.test('beyond the most series new ones are refused and counted', async (t) => {
  const reader = new InstrumentReader()
  const instruments = new Instruments((message) => reader.receive(1, message), { maxSeries: 3 })
  instruments.counter('upstreamRequests', ['a']).add()
  instruments.counter('upstreamRequests', ['b']).add()
  instruments.counter('upstreamRequests', ['c']).add()
  instruments.histogram('upstreamConnectMs', ['c']).observe(1)
  instruments.flush()
  t.equal(reader.value('upstreamRequests', ['c']), 0)
  t.equal(reader.value('upstreamRequests', ['a']), 1)
  t.equal(reader.value('seriesRefused'), 2)
  t.equal(reader.size, 3)
})

t.test('a worker counts in memory that the main thread reads', async (t) => {
  const reader = new InstrumentReader()
  const module = new URL('../../proxy/telemetry/instruments.ts', import.meta.url).href
  const source = `
    import { parentPort } from 'node:worker_threads'
    import { Instruments } from ${JSON.stringify(module)}
    const instruments = new Instruments((message) => parentPort.postMessage(message))
    const counter = instruments.counter('upstreamRequests', ['a'])
    parentPort.on('message', () => { counter.add(7); parentPort.postMessage('counted') })`
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`)
  const worker = new Worker(url)
  await new Promise<void>((done) => {
    worker.on('message', (message: InstrumentMessage | 'counted') => {
      if (message === 'counted') done()
      else {
        reader.receive(1, message)
        worker.postMessage('go')
      }
    })
  })
  t.equal(reader.value('upstreamRequests', ['a']), 7)
  await worker.terminate()
})

t.test('every metric can be made', async (t) => {
  const instruments = new Instruments(() => undefined)
  for (const id of Object.keys(catalogue) as MetricId[]) {
    const { kind, labels } = catalogue[id]
    t.ok(
      instruments[kind](
        id,
        labels.map((label) => `a ${label}`),
      ),
    )
  }
})
