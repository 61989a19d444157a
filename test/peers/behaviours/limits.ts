/** Limits of connectionPool, and what a request over them is told. */
import { type Behaviour, destination, retries, to } from '../behaviour.ts'
import type { Dialogue } from '../dialogue.ts'
import type { Script } from '../upstream.ts'

const breakers = (limits: object) => ({ circuit_breakers: { thresholds: [limits] } })

/** Answers a moment after it was asked, so that requests of one moment overlap. */
const slow: Script = (call) => {
  setTimeout(() => call.reply(200, 'ok'), 400)
}

/** `count` at once; only how often which status came is compared, and by what flags. */
const atOnce = (count: number) => async (client: Dialogue) => {
  await Promise.all(Array.from({ length: count }, () => client.ask({})))
  const statuses = client.replies.map(({ status }) => status)
  client.notes['replies'] = statuses.sort().join(' ')
  client.connections()
}

/** The order of simultaneous requests is chance. */
const anyOrder = [/^(?:reply|log|upstream) \d/]

/** Eight at once fail together; a retry lasts so long that no second one finds room. */
function fewRetries(name: string, host: string, policy: object, limit: object): Behaviour {
  return {
    name,
    host,
    services: {
      [host]: [(call) => void setTimeout(() => call.reply(503, 'busy'), 1_000)],
    },
    istio: {
      policy,
      http: [{ retries: { attempts: 1, retryOn: '5xx' }, route: [destination(host)] }],
    },
    envoy: {
      cluster: breakers(limit),
      routes: [{ match: { prefix: '/' }, route: to(host, { retry_policy: retries('5xx', 1) }) }],
    },
    client: async (client) => {
      await Promise.all(Array.from({ length: 8 }, () => client.ask({})))
    },
    ignores: anyOrder,
  }
}

export const limits: readonly Behaviour[] = [
  {
    name: 'maxConnections: 1 lets requests wait for the one connection',
    host: 'oneconnection',
    services: { oneconnection: [slow] },
    istio: { policy: { connectionPool: { tcp: { maxConnections: 1 } } } },
    envoy: { cluster: breakers({ max_connections: 1 }) },
    client: atOnce(3),
    ignores: anyOrder,
  },
  {
    name: 'http2MaxRequests limits HTTP/1.1 too: 503 with flag UO and x-envoy-overloaded',
    host: 'onerequest',
    services: { onerequest: [slow] },
    istio: { policy: { connectionPool: { http: { http2MaxRequests: 1 } } } },
    envoy: { cluster: breakers({ max_requests: 1 }) },
    client: async (client) => {
      const held = client.ask({ path: '/held' })
      await client.arrived(1)
      await client.ask({ path: '/over' })
      await held
    },
  },
  {
    name: 'http1MaxPendingRequests: who finds the line full gets 503 with flag UO',
    host: 'pending',
    services: { pending: [slow] },
    istio: {
      policy: {
        connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } },
      },
    },
    envoy: { cluster: breakers({ max_connections: 1, max_pending_requests: 1 }) },
    client: async (client) => {
      const held = client.ask({})
      await client.arrived(1)
      await Promise.all([held, client.ask({}), client.ask({}), client.ask({})])
      const statuses = client.replies.map(({ status }) => status)
      client.notes['replies'] = statuses.sort().join(' ')
      const refused = client.replies.filter(({ status }) => status === 503)
      client.notes['overloaded'] = JSON.stringify(
        refused.map(({ fields }) => fields.find(([name]) => name === 'x-envoy-overloaded')?.[1]),
      )
    },
    ignores: anyOrder,
  },
  {
    name: 'maxRequestsPerConnection: 1 uses every connection once',
    host: 'once',
    istio: { policy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } } },
    envoy: {
      cluster: {
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            common_http_protocol_options: { max_requests_per_connection: 1 },
            explicit_http_config: { http_protocol_options: {} },
          },
        },
      },
    },
    client: async (client) => {
      for (let i = 0; i < 3; i++) await client.ask({})
      client.connections()
    },
  },
  {
    name: 'without limits a kept connection is used again',
    host: 'again',
    client: async (client) => {
      for (let i = 0; i < 3; i++) await client.ask({})
      client.connections()
    },
  },
  fewRetries(
    'maxRetries: one retry at a time, the others get the first reply',
    'maxretries',
    { connectionPool: { http: { maxRetries: 1 } } },
    { max_retries: 1 },
  ),
  fewRetries(
    'retryBudget: one retry at a time, the others get the first reply',
    'retrybudget',
    { retryBudget: { percent: 1, minRetryConcurrency: 1 } },
    { retry_budget: { budget_percent: { value: 1 }, min_retry_concurrency: 1 } },
  ),
]
