import { connect, type Socket } from 'node:net'
import t from 'tap'
import type { ExchangeRecord } from '../../proxy/telemetry/exchange-record.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { firstThen, type Script, statuses, Upstreams } from '../peers/upstream.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { type Asked, ask, type Reply } from '../support/upstream.ts'

interface Tried {
  readonly reply: Reply
  readonly attempts: number
  readonly record: ExchangeRecord
  readonly upstreams: Upstreams
}

/** One request to service `web` under a rule, and what endpoint and log saw of it. */
async function once(retries: string, script: Script, asked: Asked = {}, more = ''): Promise<Tried> {
  const upstreams = new Upstreams()
  const port = await upstreams.add('a', script)
  const rule = retries === '' ? '' : `, retries: ${retries}`
  const yaml = `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }]${rule}${more} }]
`
  await using sidecar = await Sidecar.start({ yaml })
  const reply = await ask(sidecar.port, { ...asked, headers: { host: 'web', ...asked.headers } })
  await sidecar.recorded(1)
  upstreams.close()
  const [record] = sidecar.exchanges
  return { reply, attempts: upstreams.seen.length, record: record!, upstreams }
}

const closing: Script = (call) => void call.socket.end()
const resetting: Script = (call) => call.reset()
const garbage: Script = (call) => void call.raw('this is no HTTP\r\n\r\n')
const silent: Script = () => undefined
const marked = (status: number, name: string, value: string): Script => {
  return async (call) => {
    await call.whole
    call.reply(status, 'said', { [name]: value })
  }
}
const grpc = { 'content-type': 'application/grpc' }

/** retryOn, how the first attempt ends, attempts seen, status of the client. */
const table: ReadonlyArray<readonly [string, Script, number, number]> = [
  ['5xx', statuses(500, 200), 2, 200],
  ['5xx', statuses(503, 503, 503, 200), 3, 503],
  ['5xx', statuses(499, 200), 1, 499],
  ['5xx', firstThen(closing, statuses(200)), 2, 200],
  ['5xx', firstThen(resetting, statuses(200)), 2, 200],
  ['5xx', firstThen(garbage, statuses(200)), 2, 200],
  ['gateway-error', statuses(502, 504, 200), 3, 200],
  ['gateway-error', statuses(500, 200), 1, 500],
  ['gateway-error', firstThen(resetting, statuses(200)), 2, 200],
  ['reset', firstThen(closing, statuses(200)), 2, 200],
  ['reset', statuses(503, 200), 1, 503],
  ['connect-failure', firstThen(closing, statuses(200)), 1, 503],
  ['reset-before-request', firstThen(closing, statuses(200)), 1, 503],
  ['refused-stream', firstThen(resetting, statuses(200)), 1, 503],
  ['retriable-4xx', statuses(409, 200), 2, 200],
  ['retriable-4xx', statuses(404, 200), 1, 404],
  ['retriable-status-codes', statuses(503, 200), 1, 503],
  ['429,503', statuses(429, 503, 200), 3, 200],
  ['retriable-headers', statuses(503, 200), 1, 503],
  [
    'envoy-ratelimited',
    firstThen(marked(429, 'x-envoy-ratelimited', 'true'), statuses(200)),
    2,
    200,
  ],
  ['5xx,429', firstThen(marked(503, 'x-envoy-ratelimited', 'true'), statuses(200)), 1, 503],
  ['unavailable', firstThen(marked(200, 'grpc-status', '14'), statuses(200)), 2, 200],
  ['cancelled', firstThen(marked(200, 'grpc-status', '1'), statuses(200)), 2, 200],
  ['deadline-exceeded', firstThen(marked(200, 'grpc-status', '4'), statuses(200)), 2, 200],
  ['resource-exhausted', firstThen(marked(200, 'grpc-status', '8'), statuses(200)), 2, 200],
  ['internal', firstThen(marked(200, 'grpc-status', '13'), statuses(200)), 2, 200],
  ['internal', firstThen(marked(200, 'grpc-status', '14'), statuses(201)), 1, 200],
  ['', statuses(503, 200), 1, 503],
  ['', firstThen(marked(200, 'grpc-status', '14'), statuses(200)), 2, 200],
]

t.test('each condition of retryOn repeats what it names and nothing else', async (t) => {
  for (const [retryOn, script, attempts, status] of table) {
    const on = retryOn === '' ? '' : `, retryOn: "${retryOn}"`
    const tried = await once(`{ attempts: 2, backoff: 1ms${on} }`, script)
    const name = `${retryOn || 'default list'}: ${attempts} attempts`
    t.same([tried.attempts, tried.reply.status], [attempts, status], name)
    t.equal(tried.record.attempts, attempts)
  }
})

t.test('attempts are numbered for the upstream, whatever the client says', async (t) => {
  const headers = { 'x-envoy-attempt-count': '7', 'x-envoy-max-retries': '9' }
  const tried = await once('{ attempts: 3, retryOn: 5xx, backoff: 1ms }', statuses(500, 500, 200), {
    headers,
  })
  const counts = tried.upstreams.seen.map(
    ({ fields }) => fields.find(([name]) => name === 'x-envoy-attempt-count')?.[1],
  )
  t.same(counts, ['1', '2', '3'])
  t.notOk(tried.upstreams.seen[0]!.fields.some(([name]) => name === 'x-envoy-max-retries'))
})

t.test('when all retries are used the last reply is given, and log and flag say so', async (t) => {
  const { record, reply } = await once(
    '{ attempts: 2, retryOn: 5xx, backoff: 1ms }',
    statuses(500, 502, 503),
  )
  t.equal(reply.status, 503)
  t.equal(record.flags, Flag.URX)
  t.equal(record.details, 'via_upstream')
  t.equal(record.upstreamFailure, 'not retried: all 2 retries had been made')
})

t.test('a body larger than what is kept is sent once, and log and flag say why', async (t) => {
  const body = 'x'.repeat(2 * 1024 * 1024)
  const script: Script = async (call) => {
    await call.whole
    call.reply(500, String(call.seen.body.length))
  }
  const tried = await once('{ attempts: 2, retryOn: 5xx }', script, { method: 'POST', body })
  t.equal(tried.attempts, 1)
  t.equal(tried.reply.status, 500)
  t.equal(tried.reply.body, String(body.length))
  t.match(tried.record.upstreamFailure, /^not retried: the request body is larger than the 1048576/)
  const cut = await once(
    '{ attempts: 2, retryOn: 5xx }',
    async (call) => {
      await call.whole
      call.reset()
    },
    { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } },
  )
  t.equal(cut.attempts, 1)
  t.match(cut.reply.body, /It was not tried again: the request body is larger than the 1048576/)
})

t.test('a smaller body is sent again whole, POST too', async (t) => {
  const body = 'abcdefgh'.repeat(100_000)
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    const tried = await once(
      '{ attempts: 3, retryOn: 5xx, backoff: 1ms }',
      statuses(503, 503, 201),
      {
        method: 'POST',
        body,
        headers,
      },
    )
    t.equal(tried.reply.status, 201)
    for (const seen of tried.upstreams.seen) t.ok(seen.body === body)
    t.equal(tried.upstreams.seen.length, 3)
  }
})

t.test('after an interim reply has gone down nothing is repeated', async (t) => {
  const tried = await once('{ attempts: 2, retryOn: 5xx }', async (call) => {
    call.raw('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
    await call.whole
    call.reply(503, 'no')
  })
  t.equal(tried.attempts, 1)
  t.match(tried.record.upstreamFailure, /^not retried: an interim reply had already been passed on/)
})

t.test(
  'Retry-After is waited for, and a reply that asks for too much goes to the client',
  async (t) => {
    const after = (seconds: string) => firstThen(marked(503, 'retry-after', seconds), statuses(200))
    const soon = await once('{ attempts: 1, retryOn: 5xx }', after('1'))
    t.equal(soon.reply.status, 200)
    t.ok(soon.record.duration >= 1000, `${soon.record.duration} ms`)
    const late = await once('{ attempts: 1, retryOn: 5xx }', after('120'))
    t.equal(late.reply.status, 503)
    t.equal(late.reply.headers['retry-after'], '120')
    t.match(late.record.upstreamFailure, /^not retried: the reply asks to come back in 120 s/)
    const timed = await once('{ attempts: 1, retryOn: 5xx }', after('2'), {}, ', timeout: 1s')
    t.equal(timed.reply.status, 503)
    const date = new Date(Date.now() + 3_600_000).toUTCString()
    t.equal((await once('{ attempts: 1, retryOn: 5xx }', after(date))).reply.status, 503)
    const past = new Date(Date.now() - 3_600_000).toUTCString()
    t.equal((await once('{ attempts: 1, retryOn: 5xx }', after(past))).reply.status, 200)
  },
)

t.test('what the upstream is told of the time left shrinks from try to try', async (t) => {
  const tried = await once(
    '{ attempts: 3, retryOn: 5xx, backoff: 40ms, perTryTimeout: 2s }',
    statuses(500, 500, 500, 200),
    { headers: { ...grpc, 'grpc-timeout': '1500m' } },
    ', timeout: 1s',
  )
  const told = (name: string) =>
    tried.upstreams.seen.map(({ fields }) => fields.find((field) => field[0] === name)?.[1])
  const left = told('x-envoy-expected-rq-timeout-ms').map(Number)
  t.ok(left[0]! <= 1000 && left[0]! > 900, String(left))
  for (let i = 1; i < left.length; i++) t.ok(left[i]! <= left[i - 1]!, String(left))
  t.ok(left[3]! < left[0]!)
  const grpcLeft = told('grpc-timeout')
  t.equal(grpcLeft[0], '1500m', 'the words of the caller, while they hold')
  t.same(
    grpcLeft.slice(1),
    left.slice(1).map((ms) => `${ms}m`),
  )
})

t.test('the time a gRPC caller gives ends the request with DEADLINE_EXCEEDED', async (t) => {
  const headers = { ...grpc, 'grpc-timeout': '100m' }
  const { record, reply } = await once('', silent, { headers })
  t.equal(reply.status, 200)
  t.equal(reply.headers['grpc-status'], '4')
  t.match(reply.headers['grpc-message'], /upstream request timeout/)
  t.equal(record.flags, Flag.UT)
  t.equal(record.details, 'max_duration_timeout')
  const capped = await once(
    '',
    silent,
    { headers: { ...grpc, 'grpc-timeout': '1H' } },
    ', timeout: 80ms',
  )
  t.equal(capped.reply.headers['grpc-status'], '14')
  t.equal(capped.record.details, 'response_timeout', 'it was the rule that ended it')
  const plain = await once('', silent, { headers: { 'grpc-timeout': '1m' } }, ', timeout: 80ms')
  t.equal(plain.reply.status, 504)
})

t.test('the third try is cut by the timeout of the route', async (t) => {
  const tried = await once(
    '{ attempts: 3, perTryTimeout: 300ms, retryOn: 5xx, backoff: 1ms }',
    silent,
    {},
    ', timeout: 850ms',
  )
  t.equal(tried.reply.status, 504)
  t.equal(tried.attempts, 3)
  t.equal(tried.record.details, 'response_timeout')
  t.equal(tried.record.flags, Flag.UT)
})

t.test('a limit per try is retried only where the rule covers it', async (t) => {
  const on = (list: string) =>
    once(
      `{ attempts: 1, perTryTimeout: 60ms, retryOn: "${list}" }`,
      firstThen(silent, statuses(200)),
    )
  t.equal((await on('gateway-error')).reply.status, 200)
  const not = await on('connect-failure')
  t.equal(not.reply.status, 504)
  t.equal(not.attempts, 1)
  t.equal(not.record.details, 'upstream_per_try_timeout')
  t.equal(not.record.flags, Flag.UT)
})

t.test(
  'a dead upstream is asked at most 1.2 times as much as the clients ask, and 10 a second',
  async (t) => {
    const upstreams = new Upstreams()
    const port = await upstreams.add('a', statuses(503))
    const rules = (more: string) => `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 2, retryOn: 5xx, backoff: 1ms } }]
${more}`
    await using sidecar = await Sidecar.start({ yaml: rules('') })
    const begun = performance.now()
    const asked = 400
    for (let i = 0; i < asked; i += 20)
      await Promise.all(
        Array.from({ length: 20 }, () => ask(sidecar.port, { headers: { host: 'web' } })),
      )
    const seconds = (performance.now() - begun) / 1000
    const most = asked * 1.2 + 10 * (Math.ceil(seconds) + 1)
    t.ok(upstreams.seen.length <= most, `${upstreams.seen.length} of at most ${most}`)
    t.ok(upstreams.seen.length > asked + 10, 'some are repeated')
    await sidecar.recorded(asked)
    const refused = sidecar.exchanges.filter(({ flags }) => (flags & Flag.UO) !== 0)
    t.ok(refused.length > asked / 2)
    t.match(
      refused[0]?.upstreamFailure,
      /^not retried: 20 % of the last second's \d+ requests and 10/,
    )
    const before = upstreams.seen.length
    sidecar.reload(
      rules(`---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, annotations: { outrider.dev/retry-budget: 'off' } }
spec: { host: web }
`),
    )
    for (let i = 0; i < 40; i++) await ask(sidecar.port, { headers: { host: 'web' } })
    t.equal(upstreams.seen.length - before, 120, 'switched off: every request is tried three times')
    upstreams.close()
  },
)

t.test('retryIgnorePreviousHosts decides whether a retry may go where it failed', async (t) => {
  const upstreams = new Upstreams()
  const ports = [await upstreams.add('a', statuses(503)), await upstreams.add('b', statuses(503))]
  const yaml = (ignore: boolean) => `${serviceYaml('web', ports)}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
  - route: [{ destination: { host: web } }]
    retries: { attempts: 1, retryOn: 5xx, backoff: 1ms, retryIgnorePreviousHosts: ${ignore} }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, annotations: { outrider.dev/retry-budget: 'off' } }
spec: { host: web, trafficPolicy: { loadBalancer: { simple: RANDOM } } }
`
  await using sidecar = await Sidecar.start({ yaml: yaml(true) })
  const sameTwice = async () => {
    upstreams.seen.length = 0
    for (let i = 0; i < 30; i++) await ask(sidecar.port, { headers: { host: 'web' } })
    let same = 0
    for (let i = 0; i < upstreams.seen.length; i += 2)
      if (upstreams.seen[i]!.endpoint === upstreams.seen[i + 1]!.endpoint) same++
    return same
  }
  t.equal(await sameTwice(), 0)
  sidecar.reload(yaml(false))
  t.ok((await sameTwice()) > 2, 'chance decides')
  upstreams.close()
})

t.test('an answer that comes before the whole body is repeated with all of it', async (t) => {
  const upstreams = new Upstreams()
  const early: Script = (call) => call.reply(503, 'too early')
  const port = await upstreams.add('a', firstThen(early, statuses(201)))
  const yaml = `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 2, retryOn: 5xx, backoff: 20ms } }]
`
  await using sidecar = await Sidecar.start({ yaml })
  const part = 'x'.repeat(40_000)
  const reply = await new Promise<string>((done) => {
    let sent = 0
    const more = () => {
      socket.write(part)
      if (++sent < 10) setTimeout(more, 4)
    }
    const socket = connect(sidecar.port, '127.0.0.1', () => {
      socket.write(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${10 * part.length}\r\n\r\n`)
      more()
    })
    let got = ''
    socket.on('data', (chunk) => {
      got += chunk.toString('latin1')
      if (got.includes('said 201')) socket.end()
    })
    socket.on('close', () => done(got))
  })
  t.match(reply, /^HTTP\/1\.1 201 /)
  t.equal(upstreams.seen.length, 2)
  t.equal(upstreams.seen[1]?.body.length, 10 * part.length)
  upstreams.close()
})

t.test('a connection whose short reply is followed by a retry is used again', async (t) => {
  const upstreams = new Upstreams()
  const sockets = new Set<Socket>()
  const script = (body: string, sent: string): Script => {
    return async (call) => {
      sockets.add(call.socket)
      await call.whole
      if (call.total === 3) call.reply(200)
      else call.raw(`HTTP/1.1 503 No\r\ncontent-length: ${body.length}\r\n\r\n${sent}`)
    }
  }
  const rules = (port: number) => `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 2, retryOn: 5xx, backoff: 1ms } }]
`
  const whole = await upstreams.add('whole', script('refused', 'refused'))
  await using sidecar = await Sidecar.start({ yaml: rules(whole) })
  t.equal((await ask(sidecar.port, { headers: { host: 'web' } })).status, 200)
  t.equal(sockets.size, 1)
  const { wheel } = sidecar.runtime.services
  const timers = wheel.size
  sockets.clear()
  upstreams.seen.length = 0
  sidecar.reload(rules(await upstreams.add('stalled', script('refused', 'ref'))))
  t.equal((await ask(sidecar.port, { headers: { host: 'web' } })).status, 200)
  t.equal(sockets.size, 3, 'one whose rest does not come is not waited for')
  const open = () => [...sockets].filter((socket) => !socket.destroyed).length
  while (open() > 1) await new Promise(setImmediate)
  while (wheel.size > timers) await new Promise(setImmediate)
  upstreams.close()
})
