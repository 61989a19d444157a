/** What is tried again, how often, where, and when it ends: retries and timeouts. */
import { type Behaviour, destination, type Endpoint, retries as policy, to } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { firstThen, ok, type Script, statuses } from '../upstream.ts'

interface Policy {
  readonly attempts?: number
  readonly perTryTimeout?: string
  readonly timeout?: string
}

/** One service under `retryOn`; a GET unless the client is another. */
function retried(
  name: string,
  host: string,
  retryOn: string,
  endpoints: readonly Endpoint[],
  more: Partial<Behaviour> & { policy?: Policy } = {},
): Behaviour {
  const { policy: { attempts = 2, perTryTimeout, timeout } = {}, ...rest } = more
  const perTry = perTryTimeout === undefined ? {} : { per_try_timeout: perTryTimeout }
  const rule = {
    ...(timeout === undefined ? {} : { timeout }),
    retries: { attempts, retryOn, ...(perTryTimeout === undefined ? {} : { perTryTimeout }) },
    route: [destination(host)],
  }
  const settings = { retry_policy: policy(retryOn, attempts, perTry), timeout: timeout ?? '0s' }
  return {
    name,
    host,
    services: { [host]: endpoints },
    istio: { http: [rule] },
    envoy: { routes: [{ match: { prefix: '/' }, route: to(host, settings) }] },
    client: asks({}),
    ...rest,
  }
}

const reset: Script = (call) => call.reset()
const close: Script = (call) => {
  call.socket.end()
}
const never: Script = () => {}
const grpc =
  (status: number): Script =>
  (call) =>
    call.reply(200, '', { 'content-type': 'application/grpc', 'grpc-status': String(status) })
const asksGrpc = asks({ method: 'POST', fields: { 'content-type': 'application/grpc' }, body: 'x' })
const large = 'x'.repeat(1_100_000)

export const retries: readonly Behaviour[] = [
  {
    name: 'without a rule a 503 is not repeated',
    host: 'default503',
    services: { default503: [statuses(503, 200)] },
    client: asks({}),
  },
  {
    name: 'without a rule a refused connection is tried at another endpoint',
    host: 'defaultrefused',
    services: { defaultrefused: ['refused', ok] },
    client: asks({}, {}, {}, {}),
    // who is drawn first is chance
    ignores: [/attempt/],
  },
  retried('5xx covers 500, and the third attempt wins', 'five', '5xx', [statuses(500, 502, 200)]),
  retried('5xx: the last reply is the client’s when the attempts are used up', 'used', '5xx', [
    statuses(500, 502, 503),
  ]),
  retried('gateway-error does not cover 500', 'gateway500', 'gateway-error', [statuses(500, 200)]),
  retried('gateway-error covers 502, 503 and 504', 'gateway', 'gateway-error', [
    statuses(502, 503, 200),
  ]),
  retried('gateway-error covers a reset', 'gatewayreset', 'gateway-error', [firstThen(reset, ok)]),
  retried('5xx covers a connection closed without a reply', 'fiveclosed', '5xx', [
    firstThen(close, ok),
  ]),
  retried('retriable-4xx covers 409 only', 'four', 'retriable-4xx', [statuses(409, 404, 200)]),
  retried('a status code in retryOn', 'codes', 'connect-failure,429,503', [
    statuses(429, 503, 200),
  ]),
  retried('reset covers a reset', 'onreset', 'reset', [firstThen(reset, ok)]),
  retried('reset covers a refused connection', 'resetrefused', 'reset', ['refused']),
  retried('connect-failure does not cover a reset', 'connectreset', 'connect-failure', [
    firstThen(reset, ok),
  ]),
  retried('connect-failure covers a refused connection', 'connect', 'connect-failure', ['refused']),
  retried(
    'reset-before-request does not cover a connection that closes after the request',
    'before',
    'reset-before-request',
    [firstThen(close, ok)],
  ),
  {
    name: 'attempts: 0 repeats nothing, not even what is repeated by default',
    host: 'zero',
    services: { zero: ['refused'] },
    istio: { http: [{ retries: { attempts: 0 }, route: [destination('zero')] }] },
    envoy: { routes: [{ match: { prefix: '/' }, route: { cluster: 'zero', timeout: '0s' } }] },
    client: asks({}),
  },
  retried('attempts: 5 counts six in all', 'five-more', '5xx', [statuses(503)], {
    policy: { attempts: 5 },
  }),
  retried('a POST is repeated with its body', 'post', '5xx', [statuses(503, 200)], {
    client: asks({ method: 'POST', body: 'again' }),
  }),
  retried('a body of more than 1 MiB is not repeated', 'heavy', '5xx', [statuses(503, 200)], {
    client: asks({ method: 'POST', body: large }),
    ignores: ['upstream 1: body'],
  }),
  retried('x-envoy-ratelimited stops retries', 'limited', '5xx', [
    firstThen((call) => call.reply(503, 'slow down', { 'x-envoy-ratelimited': 'true' }), ok),
  ]),
  retried('envoy-ratelimited covers just that', 'ratelimited', 'envoy-ratelimited', [
    firstThen((call) => call.reply(503, 'slow down', { 'x-envoy-ratelimited': 'true' }), ok),
  ]),
  retried(
    'grpc unavailable in a trailers-only reply is repeated',
    'grpc',
    'unavailable',
    [firstThen(grpc(14), grpc(0))],
    { client: asksGrpc },
  ),
  retried(
    'grpc internal is not covered by unavailable',
    'grpcother',
    'unavailable',
    [firstThen(grpc(13), grpc(0))],
    { client: asksGrpc },
  ),
  retried(
    'grpc cancelled, deadline-exceeded, resource-exhausted and internal each cover their status',
    'grpcall',
    'cancelled,deadline-exceeded,resource-exhausted,internal',
    [(call) => grpc([1, 4, 8, 13, 0][call.total - 1] ?? 0)(call)],
    { client: asksGrpc, policy: { attempts: 5 } },
  ),
  retried('nothing is repeated after an interim reply', 'interim', '5xx', [
    firstThen((call) => {
      call.raw('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
      call.reply(503, 'after hints')
    }, ok),
  ]),
  retried('nothing is repeated after the reply began', 'begun', '5xx', [
    firstThen((call) => {
      call.raw('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
      setImmediate(() => setImmediate(() => call.reset()))
    }, ok),
  ]),
  {
    name: 'a retry goes to another endpoint',
    host: 'elsewhere',
    services: {
      elsewhere: ['one', 'two', 'three'].map(
        (name): Script =>
          (call) =>
            call.reply(503, name),
      ),
    },
    istio: {
      http: [{ retries: { attempts: 2, retryOn: '5xx' }, route: [destination('elsewhere')] }],
      // with two draws of chance Envoy now and then returns to where it was
      policy: { loadBalancer: { simple: 'ROUND_ROBIN' } },
    },
    envoy: {
      routes: [{ match: { prefix: '/' }, route: to('elsewhere', { retry_policy: policy('5xx') }) }],
      cluster: { lb_policy: 'ROUND_ROBIN' },
    },
    client: async (client) => {
      await client.ask({})
      const ends = new Set(client.seen.map(({ endpoint }) => endpoint))
      client.notes['endpoints'] = String(ends.size)
    },
    // which comes first is chance
    ignores: [/endpoint$/, /body$/, /content-length$/],
  },
  retried('the timeout of the route ends it with 504 and flag UT', 'late', '5xx', [never], {
    policy: { timeout: '1s' },
    client: async (client) => {
      await client.timed('reply', 1_000, client.ask({}))
    },
  }),
  retried(
    'perTryTimeout that is covered is repeated, until the route’s timeout',
    'tries',
    '5xx',
    [never],
    {
      policy: { timeout: '1.5s', perTryTimeout: '0.6s', attempts: 9 },
      client: async (client) => {
        await client.timed('reply', 1_500, client.ask({}))
      },
      // the third try begins when the pause before it allows
      ignores: [/^upstream [3-9]/, 'upstream: requests', 'log 1: attempts'],
    },
  ),
  retried(
    'perTryTimeout covered by 5xx: the next try answers',
    'second',
    '5xx',
    [firstThen(never, ok)],
    {
      policy: { perTryTimeout: '0.6s' },
      client: async (client) => {
        await client.timed('reply', 600, client.ask({}))
      },
    },
  ),
  retried('perTryTimeout not covered: 504 after one try', 'onetry', 'connect-failure', [never], {
    policy: { perTryTimeout: '0.6s' },
    client: async (client) => {
      await client.timed('reply', 600, client.ask({}))
    },
  }),
  retried(
    'perTryTimeout does not cut a reply under way',
    'underway',
    '5xx',
    [
      (call) => {
        call.raw('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf')
        setTimeout(() => call.raw('full'), 900)
      },
    ],
    { policy: { perTryTimeout: '0.6s' } },
  ),
  retried(
    'the route’s timeout does cut it',
    'cutshort',
    '5xx',
    [(call) => call.raw('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf')],
    { policy: { timeout: '1s' } },
  ),
  retried('the route’s timeout begins when the request is whole', 'slowbody', '5xx', [ok], {
    policy: { timeout: '1s' },
    client: async (client) => {
      const wire = await client.wire()
      wire.send('POST / HTTP/1.1\r\nHost: slowbody\r\ncontent-length: 8\r\n\r\nhalf')
      await new Promise((done) => setTimeout(done, 1_300))
      wire.send('full')
      await wire.answer()
    },
  }),
  {
    name: 'a body that outgrows what is kept while a retry waits',
    host: 'outgrown',
    services: { outgrown: [firstThen((call) => call.reply(503, 'early'), ok)] },
    istio: {
      http: [
        {
          retries: { attempts: 1, retryOn: '5xx', backoff: '60s' },
          route: [destination('outgrown')],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: to('outgrown', {
            retry_policy: policy('5xx', 1, { retry_back_off: { base_interval: '60s' } }),
          }),
        },
      ],
    },
    client: async (client) => {
      const wire = await client.wire()
      wire.send('POST / HTTP/1.1\r\nHost: outgrown\r\ncontent-length: 3000000\r\n\r\nbegin')
      await client.arrived(1)
      // the reply must have reached the proxy: it is not seen from outside when
      await new Promise((done) => setTimeout(done, 300))
      wire.send('x'.repeat(2_000_000))
      await wire.answer()
    },
    ignores: [/^reply 1: (?!status)/, /^log 1: (?!status)/],
    differs: [
      {
        why: 'no-507',
        at: { 'reply 1: status': ['503', '507'], 'log 1: status': ['503', '507'] },
      },
    ],
  },
]
