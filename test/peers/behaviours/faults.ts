/** Faults on purpose, as Istio's `fault` asks for them. */
import { type Behaviour, destination, retries, to } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { type Script, statuses } from '../upstream.ts'

const every = { numerator: 1_000_000, denominator: 'MILLION' }
const none = { numerator: 0, denominator: 'MILLION' }

interface Faulty {
  readonly delay?: object
  readonly abort?: object
}

/** A rule with `fault`, and what Istio writes into the route for it. */
function faulty(
  name: string,
  host: string,
  fault: Faulty,
  envoy: Faulty,
  more: Partial<Behaviour> & {
    rule?: object
    action?: Readonly<Record<string, unknown>>
    script?: Script
  } = {},
): Behaviour {
  const { rule = {}, action = {}, script, ...rest } = more
  return {
    name,
    host,
    ...(script === undefined ? {} : { services: { [host]: [script] } }),
    istio: { http: [{ fault, ...rule, route: [destination(host)] }] },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: to(host, action),
          typed_per_filter_config: {
            'envoy.filters.http.fault': {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
              ...envoy,
            },
          },
        },
      ],
    },
    client: asks({}),
    ...rest,
  }
}

const always = { percentage: { value: 100 } }
const grpcCall = asks(
  { method: 'POST', fields: { 'content-type': 'application/grpc' }, body: 'x' },
  {},
)

export const faults: readonly Behaviour[] = [
  faulty(
    'an abort is answered in the place of the application, with flag FI',
    'abort',
    { abort: { httpStatus: 418, ...always } },
    { abort: { http_status: 418, percentage: every } },
    { client: asks({}, { method: 'HEAD' }, { method: 'POST', body: 'x' }) },
  ),
  faulty(
    'an abort is never repeated',
    'abortonce',
    { abort: { httpStatus: 503, ...always } },
    { abort: { http_status: 503, percentage: every } },
    {
      rule: { retries: { attempts: 3, retryOn: '5xx' } },
      action: { retry_policy: retries('5xx', 3) },
    },
  ),
  faulty(
    'an abort of 0 % and one without percentage do nothing',
    'abortnever',
    { abort: { httpStatus: 500, percentage: { value: 0 } } },
    { abort: { http_status: 500, percentage: none } },
  ),
  faulty(
    'an abort with a gRPC status',
    'abortgrpc',
    { abort: { grpcStatus: 'UNAVAILABLE', ...always } },
    { abort: { grpc_status: 14, percentage: every } },
    { client: grpcCall },
  ),
  faulty(
    'an abort with an HTTP status told to a gRPC caller',
    'aborthttp',
    { abort: { httpStatus: 404, ...always } },
    { abort: { http_status: 404, percentage: every } },
    { client: grpcCall },
  ),
  faulty(
    'a delay comes before the timeout of the route, with flag DI',
    'delay',
    { delay: { fixedDelay: '1.2s', ...always } },
    { delay: { fixed_delay: '1.2s', percentage: every } },
    {
      rule: { timeout: '0.8s' },
      action: { timeout: '0.8s' },
      client: async (client) => {
        await client.timed('reply', 1_200, client.ask({}))
      },
    },
  ),
  faulty(
    'a delay happens once, not for each retry',
    'delayonce',
    { delay: { fixedDelay: '1.2s', ...always } },
    { delay: { fixed_delay: '1.2s', percentage: every } },
    {
      rule: { retries: { attempts: 2, retryOn: '5xx' } },
      action: { retry_policy: retries('5xx', 2) },
      script: statuses(500, 500, 200),
      client: async (client) => {
        await client.timed('reply', 1_200, client.ask({}))
      },
    },
  ),
  faulty(
    'a delay and an abort: first the one, then the other',
    'delayabort',
    { delay: { fixedDelay: '0.3s', ...always }, abort: { httpStatus: 500, ...always } },
    {
      delay: { fixed_delay: '0.3s', percentage: every },
      abort: { http_status: 500, percentage: every },
    },
    {
      client: async (client) => {
        await client.timed('reply', 300, client.ask({}))
      },
    },
  ),
  faulty(
    'a client that leaves during the delay is never sent on',
    'delaygone',
    { delay: { fixedDelay: '30s', ...always } },
    { delay: { fixed_delay: '30s', percentage: every } },
    {
      client: async (client) => {
        const wire = await client.wire()
        wire.send(client.text({}))
        // long enough for either proxy to have read it
        await new Promise((done) => setTimeout(done, 600))
        wire.abort()
      },
      logs: 1,
    },
  ),
]
