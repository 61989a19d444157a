import { connect } from 'node:net'
import t from 'tap'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { type Script, statuses, Upstreams } from '../peers/upstream.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { type Asked, ask } from '../support/upstream.ts'

const ok = statuses(200)

interface Setting {
  /** Of the VirtualService. */
  readonly annotations?: Readonly<Record<string, string>>
  /** The rule's fault; `` for none. */
  readonly fault?: string
  /** What else the rule says. */
  readonly rule?: string
  readonly script?: Script
}

async function setUp({ annotations = {}, fault = '', rule = '', script = ok }: Setting) {
  const upstreams = new Upstreams()
  const port = await upstreams.add('a', script)
  const sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, annotations: ${JSON.stringify(annotations)} }
spec:
  hosts: [web]
  http:
  - name: main
    route: [{ destination: { host: web } }]${fault === '' ? '' : `\n    fault: ${fault}`}${rule === '' ? '' : `\n    ${rule}`}
`,
  })
  const get = (asked: Asked = {}) =>
    ask(sidecar.port, { ...asked, headers: { host: 'web', ...asked.headers } })
  const last = async () => {
    const record = sidecar.exchanges.at(-1)!
    return { record, flags: flagNames(record.flags), details: record.details }
  }
  const close = async () => {
    upstreams.close()
    await sidecar[Symbol.asyncDispose]()
  }
  return { sidecar, upstreams, get, last, close, [Symbol.asyncDispose]: close }
}

t.test('an abort answers instead of the endpoint and is never retried', async (t) => {
  const fault = '{ abort: { httpStatus: 503, percentage: { value: 100 } } }'
  await using mesh = await setUp({ fault, rule: 'retries: { attempts: 3, retryOn: 5xx }' })
  const reply = await mesh.get()
  t.equal(reply.status, 503)
  t.match(reply.body, /^fault filter abort\n\nOn purpose 100 % of these requests are answered 503/)
  t.equal(reply.headers['x-outrider-reason'], 'fault_filter_abort')
  t.match(reply.headers['x-outrider-origin'], /^VirtualService default\/web test.yaml:\d+$/)
  t.equal(mesh.upstreams.seen.length, 0)
  await mesh.sidecar.recorded(1)
  const { record, flags, details } = await mesh.last()
  t.equal(flags, 'FI')
  t.equal(details, 'fault_filter_abort')
  t.equal(record.status, 503)
  t.equal(record.attempts, 0)
  t.match(record.cluster, /^outbound\|80\|\|web/)
})

t.test('gRPC callers get the status in trailers, plain callers 200 with the text', async (t) => {
  const fault = '{ abort: { grpcStatus: NOT_FOUND, percentage: { value: 100 } } }'
  await using mesh = await setUp({ fault })
  const grpc = await mesh.get({ headers: { 'content-type': 'application/grpc' } })
  t.equal(grpc.status, 200)
  t.equal(grpc.headers['grpc-status'], '5')
  t.match(grpc.headers['grpc-message'], /^fault filter abort/)
  const plain = await mesh.get()
  t.equal(plain.status, 200)
  t.match(plain.body, /^fault filter abort\n/)
  const http = '{ abort: { httpStatus: 429, percentage: { value: 100 } } }'
  await using other = await setUp({ fault: http })
  const mapped = await other.get({ headers: { 'content-type': 'application/grpc' } })
  t.equal(mapped.headers['grpc-status'], '14')
})

t.test("a delay comes before the rule's timeout begins, and once, not per try", async (t) => {
  const fault = '{ delay: { fixedDelay: 150ms, percentage: { value: 100 } } }'
  await using mesh = await setUp({
    fault,
    script: statuses(500, 500, 200),
    rule: 'timeout: 100ms\n    retries: { attempts: 2, retryOn: 5xx, backoff: 1ms }',
  })
  const reply = await mesh.get({ method: 'POST', body: 'the whole body' })
  t.equal(reply.status, 200)
  for (const seen of mesh.upstreams.seen) t.equal(seen.body, 'the whole body')
  await mesh.sidecar.recorded(1)
  const { record, flags } = await mesh.last()
  t.equal(flags, 'DI')
  t.equal(record.attempts, 3)
  t.ok(record.duration >= 150 && record.duration < 300, String(record.duration))
})

t.test('a delay that is followed by an abort has both flags', async (t) => {
  const fault = `{ delay: { fixedDelay: 50ms, percent: 100 },
      abort: { httpStatus: 418, percentage: { value: 100 } } }`
  await using mesh = await setUp({ fault })
  t.equal((await mesh.get()).status, 418)
  await mesh.sidecar.recorded(1)
  const { record, flags } = await mesh.last()
  t.equal(flags, 'DI,FI')
  t.ok(record.duration >= 50)
})

t.test('a client that goes while its request is delayed ends it', async (t) => {
  const fault = '{ delay: { fixedDelay: 1h, percentage: { value: 100 } } }'
  await using mesh = await setUp({ fault })
  const socket = connect(mesh.sidecar.port, '127.0.0.1', () =>
    socket.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n'),
  )
  while (mesh.sidecar.runtime.services.wheel.size < 1) await new Promise(setImmediate)
  while (mesh.sidecar.runtime.services.exchanges.size === 0) await new Promise(setImmediate)
  socket.resetAndDestroy()
  await mesh.sidecar.recorded(1)
  const { flags } = await mesh.last()
  t.equal(flags, 'DC,DI')
  t.equal(mesh.upstreams.seen.length, 0)
})

t.test('without percentage nothing happens, a fraction happens as often as it says', async (t) => {
  await using never = await setUp({ fault: '{ abort: { httpStatus: 503 } }' })
  for (let i = 0; i < 20; i++) t.equal((await never.get()).status, 200)
  const fault = '{ abort: { httpStatus: 503, percentage: { value: 12.5 } } }'
  await using some = await setUp({ fault, annotations: { 'outrider.dev/fault-seed': '1' } })
  let aborted = 0
  for (let i = 0; i < 400; i++) if ((await some.get()).status === 503) aborted++
  t.ok(aborted > 30 && aborted < 75, `${aborted} of 400, 50 expected`)
})

t.test('with a seed the same run fails the same way', async (t) => {
  const fault = '{ abort: { httpStatus: 503, percentage: { value: 50 } } }'
  const run = async (seed: string, ids: boolean) => {
    await using mesh = await setUp({ fault, annotations: { 'outrider.dev/fault-seed': seed } })
    const got: number[] = []
    for (let i = 0; i < 64; i++) {
      const headers = ids ? { 'x-request-id': `request-${i}` } : {}
      got.push((await mesh.get({ headers })).status)
    }
    return got.join()
  }
  t.equal(await run('7', true), await run('7', true))
  t.not(await run('7', true), await run('8', true))
  t.equal(await run('7', false), await run('7', false), 'by number, where the client names nothing')
})

t.test('below the retries an abort is like a reply of the endpoint: it is retried', async (t) => {
  const fault = '{ abort: { httpStatus: 503, percentage: { value: 50 } } }'
  await using mesh = await setUp({
    fault,
    annotations: { 'outrider.dev/fault-placement': 'each-try', 'outrider.dev/fault-seed': '3' },
    rule: 'retries: { attempts: 8, retryOn: "503", backoff: 1ms }',
  })
  let attempts = 0
  for (let i = 0; i < 10; i++) {
    t.equal((await mesh.get({ method: 'POST', body: 'x'.repeat(i * 1000) })).status, 200)
    await mesh.sidecar.recorded(i + 1)
    attempts += (await mesh.last()).record.attempts
  }
  t.equal(mesh.upstreams.seen.length, 10)
  t.ok(attempts > 12, `${attempts} attempts`)
  for (const [i, { body }] of mesh.upstreams.seen.entries()) t.equal(body.length, i * 1000)
  t.ok(mesh.sidecar.exchanges.some(({ flags }) => flagNames(flags) === 'FI'))
})

t.test('below the retries an abort that is not retried reaches the client', async (t) => {
  await using mesh = await setUp({
    annotations: { 'outrider.dev/faults': 'abort 507', 'outrider.dev/fault-placement': 'each-try' },
  })
  const reply = await mesh.get()
  t.equal(reply.status, 507)
  t.equal(reply.body, 'fault filter abort')
  await mesh.sidecar.recorded(1)
  t.match(await mesh.last(), { flags: 'FI', details: 'fault_filter_abort' })
})

t.test('below the retries a delay is a slow endpoint: timeouts cut it', async (t) => {
  const annotations = {
    'outrider.dev/faults': 'delay 1h',
    'outrider.dev/fault-placement': 'each-try',
  }
  await using perTry = await setUp({
    annotations,
    rule: 'retries: { attempts: 1, perTryTimeout: 60ms, retryOn: connect-failure }',
  })
  t.equal((await perTry.get()).status, 504)
  await perTry.sidecar.recorded(1)
  t.match(await perTry.last(), { flags: 'UT,DI', details: 'upstream_per_try_timeout' })
  await using route = await setUp({ annotations, rule: 'timeout: 60ms' })
  t.equal((await route.get()).status, 504)
  await route.sidecar.recorded(1)
  t.match(await route.last(), { flags: 'UT,DI', details: 'response_timeout' })
})

t.test('refuse: as if nobody listened', async (t) => {
  await using mesh = await setUp({ annotations: { 'outrider.dev/faults': 'main: refuse' } })
  const reply = await mesh.get()
  t.equal(reply.status, 503)
  t.match(
    reply.body,
    /reset reason: remote connection failure\n\nConnection refused on purpose \(test.yaml:\d+\)/,
  )
  await mesh.sidecar.recorded(1)
  const { record, flags } = await mesh.last()
  t.equal(flags, 'UF,URX,FI')
  t.equal(record.attempts, 3, 'retried as a refused connection is')
  await using other = await setUp({ annotations: { 'outrider.dev/faults': 'other: refuse' } })
  t.equal((await other.get()).status, 200, 'only rules of that name')
})

const large: Script = async (call) => {
  await call.whole
  call.reply(200, 'x'.repeat(200_000))
}

/** What a client reads, and how its connection ends. */
function read(port: number): Promise<{ body: string; how: string; ms: number }> {
  const begun = performance.now()
  return new Promise((done) => {
    let text = ''
    let how = 'FIN'
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'),
    )
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      how = error.code ?? ''
    })
    socket.on('close', () => {
      const body = text.slice(text.indexOf('\r\n\r\n') + 4)
      done({ body, how, ms: performance.now() - begun })
    })
  })
}

t.test('reset and truncate break the reply off behind so many bytes', async (t) => {
  for (const [fault, bytes, how] of [
    ['reset 1000', 1000, 'ECONNRESET'],
    ['truncate 1000', 1000, 'FIN'],
    ['truncate 0', 0, 'FIN'],
    ['truncate 100KiB', 102_400, 'FIN'],
  ] as const) {
    const annotations = { 'outrider.dev/faults': fault }
    await using mesh = await setUp({ annotations, script: large })
    const got = await read(mesh.sidecar.port)
    t.equal(got.body.length, bytes, fault)
    t.equal(got.how, how, fault)
    await mesh.sidecar.recorded(1)
    const { record, flags, details } = await mesh.last()
    t.equal(flags, 'UC,FI')
    t.equal(details, 'upstream_reset_after_response_started{connection_termination}')
    t.equal(record.responseBytes, bytes)
    t.match(record.upstreamFailure, /^broken off on purpose behind \d+ bytes of the body \(Virtual/)
    t.equal(mesh.sidecar.exchanges.length, 1)
  }
})

t.test('slow: the body comes at the pace that was asked for, whole', async (t) => {
  const annotations = { 'outrider.dev/faults': 'slow 400KB/s' }
  await using mesh = await setUp({ annotations, script: large })
  const got = await read(mesh.sidecar.port)
  t.equal(got.body.length, 200_000)
  t.ok(got.ms > 350 && got.ms < 1500, `${got.ms} ms`)
  await mesh.sidecar.recorded(1)
  t.match(await mesh.last(), { flags: 'FI', details: 'via_upstream' })
})

t.test('what is slow on purpose ends with its client', async (t) => {
  const annotations = { 'outrider.dev/faults': 'slow 1B/s' }
  await using mesh = await setUp({ annotations, script: large })
  const socket = connect(mesh.sidecar.port, '127.0.0.1', () =>
    socket.write('GET / HTTP/1.1\r\nHost: web\r\n\r\n'),
  )
  await new Promise((done) => socket.once('data', done))
  socket.resetAndDestroy()
  await mesh.sidecar.recorded(1)
  const { wheel } = mesh.sidecar.runtime.services
  t.equal(wheel.size, 0, 'no timer is left')
})

t.test('a reply that is followed by a retry is not spoilt as well', async (t) => {
  for (const fault of ['truncate 2', 'reset 2', 'slow 10/s']) {
    await using mesh = await setUp({
      annotations: { 'outrider.dev/faults': fault, 'outrider.dev/fault-seed': '1' },
      script: statuses(503, 200),
      rule: 'retries: { attempts: 3, retryOn: 5xx, backoff: 1ms }',
    })
    const { body } = await read(mesh.sidecar.port)
    t.equal(body, fault.startsWith('slow') ? 'said 200' : 'sa', fault)
    await mesh.sidecar.recorded(1)
    t.equal((await mesh.last()).record.attempts, 2)
    const { limits } = mesh.sidecar.runtime.clusters.get(
      'outbound|80||web.default.svc.cluster.local',
    )!
    while (limits.requests.own > 0) await new Promise((done) => setTimeout(done, 5))
    t.equal(mesh.sidecar.exchanges.length, 1)
  }
})
