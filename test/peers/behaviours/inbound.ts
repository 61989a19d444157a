/** The other side: what the sidecar of an application does with the requests it gets. */
import type { Behaviour, Endpoint } from '../behaviour.ts'
import { asks, says } from '../client-steps.ts'
import { firstThen, ok, statuses } from '../upstream.ts'

function received(
  name: string,
  host: string,
  client: Behaviour['client'],
  endpoint: Endpoint = ok,
  more: Partial<Behaviour> = {},
): Behaviour {
  return { name, host, inbound: true, services: { [host]: [endpoint] }, client, ...more }
}

export const inbound: readonly Behaviour[] = [
  received(
    'whatever the host and the path, the application gets it',
    'inany',
    asks({}, { host: 'inany.default', path: '/a/../b?c' }, { host: 'unknown.example' }),
  ),
  received(
    'fields about the caller: the attempt count is left alone, certificates of others are removed',
    'infields',
    asks({
      fields: {
        'x-envoy-attempt-count': '3',
        'x-forwarded-client-cert': 'By=spiffe://a;URI=spiffe://b',
        'x-forwarded-for': '10.1.1.1',
        'x-forwarded-proto': 'https',
        'x-request-id': 'given',
        'x-envoy-retry-on': '5xx',
        'x-envoy-internal': 'true',
        'x-envoy-expected-rq-timeout-ms': '80',
      },
    }),
    ok,
    {
      differs: [
        {
          why: 'caller-waits',
          at: { 'upstream 1: x-envoy-expected-rq-timeout-ms': ['80', undefined] },
        },
      ],
    },
  ),
  received('a 503 of the application is not repeated', 'in503', asks({}), statuses(503, 200)),
  received(
    'a connection that breaks is not repeated',
    'inreset',
    asks({ method: 'POST', body: 'x' }),
    firstThen((call) => call.reset(), ok),
  ),
  received('an application that is not there: 503 with flag UF', 'inrefused', asks({}), 'refused'),
  received(
    'a websocket reaches the application',
    'insocket',
    async (client) => {
      const wire = await client.wire()
      await wire.ask({ fields: { connection: 'upgrade', upgrade: 'websocket' } })
      await wire.heard('hello')
      wire.send('ping')
      await wire.heard('echo ping')
      client.notes['tunnel'] = wire.raw
    },
    (call) => call.tunnel((bytes) => call.raw(`echo ${bytes}`), 'hello'),
    {
      logs: 1,
      differs: [
        {
          why: 'service-time',
          at: { 'reply 1: x-envoy-upstream-service-time': ['a number', undefined] },
        },
        {
          why: 'tunnel-end',
          at: {
            'log 1: flags': ['-', 'DC'],
            'log 1: details': ['via_upstream', 'downstream_remote_disconnect'],
          },
        },
      ],
    },
  ),
  received(
    'upgrades to something else do not reach the application',
    'inupgrade',
    says('GET / HTTP/1.1\r\nHost: inupgrade\r\nConnection: Upgrade\r\nUpgrade: spdy/3\r\n\r\n'),
  ),
  received(
    'two lengths are refused before the application sees anything',
    'inlengths',
    says('GET / HTTP/1.1\r\nHost: inlengths\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'),
  ),
  received(
    'a body of 2 MiB passes whole',
    'inlarge',
    asks({ method: 'POST', body: 'x'.repeat(2_000_000) }),
  ),
]
