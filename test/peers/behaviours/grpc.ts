/** gRPC callers over HTTP/1.1: their deadlines, and failures in their own terms. */
import { type Behaviour, destination, retries, to } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { firstThen, ok, type Script } from '../upstream.ts'

const never: Script = () => {}

function called(
  name: string,
  host: string,
  endpoint: Script | 'refused',
  more: Partial<Behaviour> & {
    timeout?: string
    fields?: Record<string, string>
    ms?: number
  } = {},
): Behaviour {
  const { timeout, fields = {}, ms, ...rest } = more
  const rule = timeout === undefined ? {} : { timeout }
  const call = {
    method: 'POST',
    fields: { 'content-type': 'application/grpc', ...fields },
    body: 'x',
  }
  return {
    name,
    host,
    services: { [host]: [endpoint] },
    istio: { http: [{ ...rule, route: [destination(host)] }] },
    envoy: { routes: [{ match: { prefix: '/' }, route: to(host, rule) }] },
    client: async (client) => {
      if (ms === undefined) await client.ask(call)
      else await client.timed('reply', ms, client.ask(call))
    },
    ...rest,
  }
}

const deadline = [
  {
    why: 'grpc-deadline',
    at: {
      'reply 1: grpc-status': ['4', '14'],
      'log 1: details': ['max_duration_timeout', 'response_timeout'],
    },
  },
] as const

export const grpc: readonly Behaviour[] = [
  called('a failed connection is told as status 14', 'grpcrefused', 'refused'),
  called('a broken connection is told as status 14', 'grpcreset', (call) => call.reset()),
  called('garbage from the application is told to a gRPC caller', 'grpcgarbage', (call) =>
    call.raw('garbage\r\n\r\n'),
  ),
  called('the timeout of the route is told to a gRPC caller', 'grpclate', never, {
    timeout: '1s',
    ms: 1_000,
    differs: [
      { why: 'grpc-timeout-made', at: { 'upstream 1: grpc-timeout': [undefined, '1000m'] } },
    ],
  }),
  called('grpc-timeout ends a call', 'grpcdeadline', never, {
    fields: { 'grpc-timeout': '1000m' },
    ms: 1_000,
    differs: deadline,
    // what is left of it when the request is sent
    ignores: ['upstream 1: x-envoy-expected-rq-timeout-ms', 'upstream 1: grpc-timeout'],
  }),
  called('the smaller of grpc-timeout and the timeout of the route holds', 'grpcsmaller', never, {
    fields: { 'grpc-timeout': '60S' },
    timeout: '1s',
    ms: 1_000,
  }),
  called('a status in the head of a reply is passed on', 'grpcstatus', (call) =>
    call.reply(200, '', {
      'content-type': 'application/grpc',
      'grpc-status': '5',
      'grpc-message': 'no such thing',
    }),
  ),
  {
    name: 'grpc-timeout of a plain request is no deadline',
    host: 'notgrpc',
    services: {
      notgrpc: [(call) => void setTimeout(() => call.reply(200, 'late'), 200)],
    },
    client: asks({ fields: { 'grpc-timeout': '50m' } }),
  },
  {
    name: 'no route is told to a gRPC caller as status 12',
    host: 'grpcnoroute',
    istio: {
      http: [{ match: [{ uri: { exact: '/only' } }], route: [destination('grpcnoroute')] }],
    },
    envoy: { routes: [{ match: { path: '/only' }, route: to('grpcnoroute') }] },
    client: asks({
      method: 'POST',
      fields: { 'content-type': 'application/grpc+proto' },
      body: 'x',
    }),
  },
]

/** Kept connections to endpoints, and how retries behave when they do no good. */
export const keeping: readonly Behaviour[] = [
  {
    name: 'a kept connection that the endpoint closed while idle is not used again',
    host: 'idleclosed',
    services: {
      idleclosed: [
        (call) => {
          call.reply(200, 'once')
          call.socket.end()
        },
      ],
    },
    client: async (client) => {
      await client.ask({})
      // the end must have reached the proxy: it is not seen from outside when
      await new Promise((done) => setTimeout(done, 100))
      await client.ask({})
      client.connections()
    },
  },
  {
    name: 'a kept connection that is closed just as it is used again',
    host: 'race',
    services: {
      race: [
        (call) => {
          if (call.seen.connection === 1 && call.total === 2) call.socket.end()
          else call.reply(200, String(call.seen.connection))
        },
      ],
    },
    client: asks({}, {}),
    ignores: [/^upstream 3/, /^reply 2: (?!status)/, /^log 2: (?!status)/],
    differs: [
      {
        why: 'reuse-race',
        at: {
          'reply 2: status': ['200', '503'],
          'log 2: status': ['200', '503'],
          'upstream: requests': ['3', '2'],
        },
      },
    ],
  },
  {
    name: 'Retry-After of a reply that is repeated',
    host: 'after',
    services: {
      after: [firstThen((call) => call.reply(503, 'later', { 'retry-after': '1' }), ok)],
    },
    istio: {
      http: [{ retries: { attempts: 1, retryOn: '5xx' }, route: [destination('after')] }],
    },
    envoy: {
      routes: [{ match: { prefix: '/' }, route: to('after', { retry_policy: retries('5xx', 1) }) }],
    },
    client: async (client) => {
      await client.timed('reply', 1_000, client.ask({}))
    },
    differs: [{ why: 'retry-after', at: { 'note: reply': ['after 1000 ms', 'before 1000 ms'] } }],
  },
  {
    name: 'retries of an endpoint that only fails',
    host: 'budget',
    services: { budget: [(call) => call.reply(503, 'down')] },
    istio: {
      http: [{ retries: { attempts: 2, retryOn: '5xx' }, route: [destination('budget')] }],
    },
    envoy: {
      routes: [
        { match: { prefix: '/' }, route: to('budget', { retry_policy: retries('5xx', 2) }) },
      ],
    },
    client: async (client) => {
      await Promise.all(Array.from({ length: 40 }, () => client.ask({})))
      client.notes['load'] = client.seen.length > 90 ? 'three times' : 'bounded'
    },
    ignores: [/^(?:reply|log|upstream) \d/, 'upstream: requests'],
    differs: [{ why: 'retry-budget', at: { 'note: load': ['bounded', 'three times'] } }],
  },
]
