/** Which route takes a request, and where it goes. */
import { type Behaviour, destination, to } from '../behaviour.ts'
import { asks, paths } from '../client-steps.ts'

/** A rule of a VirtualService whose requests carry `x-route: name` upstream. */
function rule(host: string, name: string, ...match: object[]): object {
  const headers = { request: { set: { 'x-route': name } } }
  return { ...(match.length > 0 ? { match } : {}), headers, route: [destination(host)] }
}

/** The same in Envoy. */
function route(host: string, name: string, match: object): object {
  return { match: { prefix: '/', ...match }, route: to(host), ...setsRequest('x-route', name) }
}

export function setsRequest(key: string, value: string): object {
  const header = { key, value }
  return { request_headers_to_add: [{ header, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }] }
}

const exact = (text: string) => ({ string_match: { exact: text } })
const prefix = (text: string) => ({ string_match: { prefix: text } })
const regex = (text: string) => ({ string_match: { safe_regex: { regex: text } } })

export const routing: readonly Behaviour[] = [
  {
    name: 'a service without rules answers, and its reply is passed on',
    host: 'plain',
    client: asks({ path: '/a?b=c', fields: { 'x-own': 'kept' } }),
  },
  {
    name: 'exact, prefix and regex paths; a regex must match the whole path and never sees the query',
    host: 'uris',
    istio: {
      http: [
        rule('uris', 'exact', { uri: { exact: '/one' } }),
        rule('uris', 'prefix', { uri: { prefix: '/two' } }),
        rule('uris', 'regex', { uri: { regex: '/three/[0-9]+' } }),
        rule('uris', 'rest'),
      ],
    },
    envoy: {
      routes: [
        { ...route('uris', 'exact', {}), match: { path: '/one' } },
        route('uris', 'prefix', { prefix: '/two' }),
        { ...route('uris', 'regex', {}), match: { safe_regex: { regex: '/three/[0-9]+' } } },
        route('uris', 'rest', {}),
      ],
    },
    client: paths(
      ...['/one', '/one?q=1', '/one/', '/ONE', '/two', '/twofold', '/two/x', '/tw'],
      ...['/three/42', '/three/42?x=y', '/three/42/', '/x/three/42', '/%6fne', '/x/../one'],
    ),
  },
  {
    name: 'ignoreUriCase holds for exact and prefix',
    host: 'cases',
    istio: {
      http: [
        rule('cases', 'exact', { uri: { exact: '/One' }, ignoreUriCase: true }),
        rule('cases', 'prefix', { uri: { prefix: '/Two' }, ignoreUriCase: true }),
        rule('cases', 'rest'),
      ],
    },
    envoy: {
      routes: [
        {
          ...route('cases', 'exact', {}),
          match: { path: '/One', case_sensitive: false },
        },
        route('cases', 'prefix', { prefix: '/Two', case_sensitive: false }),
        route('cases', 'rest', {}),
      ],
    },
    client: paths('/one', '/ONE', '/two', '/TWOfold', '/three'),
  },
  {
    name: 'header conditions: exact, prefix, regex, presence, and two lines of one name',
    host: 'headers',
    istio: {
      http: [
        rule('headers', 'exact', { headers: { 'x-user': { exact: 'ann' } } }),
        rule('headers', 'prefix', { headers: { 'x-user': { prefix: 'bo' } } }),
        rule('headers', 'regex', { headers: { 'x-user': { regex: 'c[0-9]*' } } }),
        rule('headers', 'present', { headers: { 'x-flag': {} } }),
        rule('headers', 'rest'),
      ],
    },
    envoy: {
      routes: [
        route('headers', 'exact', { headers: [{ name: 'x-user', ...exact('ann') }] }),
        route('headers', 'prefix', { headers: [{ name: 'x-user', ...prefix('bo') }] }),
        route('headers', 'regex', { headers: [{ name: 'x-user', ...regex('c[0-9]*') }] }),
        route('headers', 'present', { headers: [{ name: 'x-flag', present_match: true }] }),
        route('headers', 'rest', {}),
      ],
    },
    client: asks(
      ...['ann', 'Ann', 'bob', 'c12', 'c12x', 'ann,zed'].map((user) => ({
        fields: { 'x-user': user },
      })),
      { fields: { 'x-flag': '' } },
      { fields: { 'X-User': 'zed\r\nx-user: ann' } },
      { fields: { 'X-FLAG': 'anything', 'x-user': 'dan' } },
      {},
    ),
  },
  {
    name: 'withoutHeaders holds where the header is absent or another',
    host: 'without',
    istio: {
      http: [
        rule('without', 'not', { withoutHeaders: { 'x-user': { exact: 'ann' } } }),
        rule('without', 'rest'),
      ],
    },
    envoy: {
      routes: [
        route('without', 'not', {
          headers: [
            {
              name: 'x-user',
              ...exact('ann'),
              invert_match: true,
              treat_missing_header_as_empty: true,
            },
          ],
        }),
        route('without', 'rest', {}),
      ],
    },
    client: asks({}, { fields: { 'x-user': 'ann' } }, { fields: { 'x-user': 'bob' } }),
  },
  {
    name: 'query conditions: the first of two counts, nothing is decoded',
    host: 'queries',
    istio: {
      http: [
        rule('queries', 'exact', { queryParams: { v: { exact: 'one' } } }),
        rule('queries', 'regex', { queryParams: { v: { regex: '[0-9]+' } } }),
        rule('queries', 'prefix', { queryParams: { v: { prefix: 'pre' } } }),
        rule('queries', 'present', { queryParams: { flag: {} } }),
        rule('queries', 'rest'),
      ],
    },
    envoy: {
      routes: [
        route('queries', 'exact', { query_parameters: [{ name: 'v', ...exact('one') }] }),
        route('queries', 'regex', { query_parameters: [{ name: 'v', ...regex('[0-9]+') }] }),
        route('queries', 'prefix', { query_parameters: [{ name: 'v', ...prefix('pre') }] }),
        route('queries', 'present', { query_parameters: [{ name: 'flag', present_match: true }] }),
        route('queries', 'rest', {}),
      ],
    },
    client: paths(
      ...['/?v=one', '/?v=two&v=one', '/?v=one&v=two', '/?v=%6fne', '/?V=one', '/?v=42', '/?v=42x'],
      ...['/?v=prefix', '/?flag', '/?flag=', '/?x=1&flag=0', '/?', '/'],
    ),
  },
  {
    name: 'method, authority and scheme conditions',
    host: 'others',
    istio: {
      http: [
        rule('others', 'method', { method: { exact: 'DELETE' } }),
        rule('others', 'authority', { authority: { exact: 'others.default' } }),
        rule('others', 'scheme', { scheme: { exact: 'https' } }),
        rule('others', 'rest'),
      ],
    },
    envoy: {
      routes: [
        route('others', 'method', { headers: [{ name: ':method', ...exact('DELETE') }] }),
        route('others', 'authority', {
          headers: [{ name: ':authority', ...exact('others.default') }],
        }),
        route('others', 'scheme', { headers: [{ name: ':scheme', ...exact('https') }] }),
        route('others', 'rest', {}),
      ],
    },
    client: asks(
      { method: 'DELETE' },
      { method: 'PUT', body: '' },
      { host: 'others.default' },
      { host: 'Others.default' },
      { host: 'others.default:80' },
      { fields: { 'x-forwarded-proto': 'https' } },
      { fields: { 'x-forwarded-proto': 'gopher' } },
    ),
  },
  {
    name: 'conditions of one match are joined, matches are alternatives, the first rule wins',
    host: 'order',
    istio: {
      http: [
        rule(
          'order',
          'first',
          { uri: { prefix: '/a' }, headers: { 'x-user': { exact: 'ann' } } },
          { uri: { prefix: '/b' } },
        ),
        rule('order', 'second', { uri: { prefix: '/' } }),
        rule('order', 'never', { uri: { exact: '/c' } }),
      ],
    },
    envoy: {
      routes: [
        route('order', 'first', { prefix: '/a', headers: [{ name: 'x-user', ...exact('ann') }] }),
        route('order', 'first', { prefix: '/b' }),
        route('order', 'second', {}),
        { ...route('order', 'never', {}), match: { path: '/c' } },
      ],
    },
    client: asks(
      { path: '/a' },
      { path: '/a', fields: { 'x-user': 'ann' } },
      { path: '/b' },
      { path: '/c' },
    ),
  },
  {
    name: 'no rule that matches: 404 with flag NR',
    host: 'norule',
    istio: { http: [rule('norule', 'only', { uri: { prefix: '/only' } })] },
    envoy: { routes: [route('norule', 'only', { prefix: '/only' })] },
    client: paths('/only', '/other'),
  },
  {
    name: 'the host matches in any case, with any port, and in all its lengths',
    host: 'named',
    client: asks(
      ...['NAMED', 'named:80', 'named:9999', 'named.default', 'named.default.svc'].map((host) => ({
        host,
      })),
      { host: 'named.default.svc.cluster.local' },
    ),
  },
  {
    name: 'an unknown host is refused with 502 under REGISTRY_ONLY',
    host: 'known',
    client: asks({ host: 'unknown.example' }),
    differs: [
      {
        why: 'reason-code',
        at: { 'log 1: details': ['unknown_destination', 'direct_response'] },
      },
    ],
  },
  {
    name: 'a target in absolute form wins over Host, and its scheme is ignored',
    host: 'absolute',
    client: asks(
      { path: 'http://absolute/there?q', host: 'elsewhere' },
      { path: 'http://absolute', host: 'elsewhere' },
      { path: 'https://absolute/there', host: 'absolute' },
    ),
  },
  {
    name: 'a target in absolute form without a path',
    host: 'pathless',
    client: asks({ path: 'http://pathless?q', host: 'elsewhere' }),
    ignores: [/^upstream/, /^reply 1: (?!status)/, /attempts$/],
    differs: [
      {
        why: 'absolute-query',
        at: {
          'reply 1: status': ['200', '404'],
          'log 1: status': ['200', '404'],
          'log 1: details': ['via_upstream', 'absolute_path_rejected'],
        },
      },
    ],
  },
  {
    name: 'OPTIONS * finds no route',
    host: 'star',
    client: asks({ method: 'OPTIONS', path: '*' }),
    differs: [
      {
        why: 'reason-code',
        at: {
          'log 1: flags': ['NR', '-'],
          'log 1: details': ['route_not_found', 'absolute_path_rejected'],
        },
      },
    ],
  },
  {
    name: 'a subset without endpoints: 503 with flag UH',
    host: 'hollow',
    istio: {
      subsets: [{ name: 'v9', labels: { version: 'v9' } }],
      http: [{ route: [{ destination: { host: 'hollow', subset: 'v9' } }] }],
    },
    envoy: { routes: [{ match: { prefix: '/' }, route: to('hollow-v9') }] },
    services: { hollow: [], 'hollow-v9': [] },
    client: asks({}),
  },
  {
    name: 'a service without endpoints: 503 with flag UH, for gRPC status 14',
    host: 'empty',
    services: { empty: [] },
    client: asks(
      {},
      { method: 'HEAD' },
      { method: 'POST', fields: { 'content-type': 'application/grpc' }, body: 'abc' },
    ),
  },
  {
    name: 'a destination that does not exist: 503 with flag NC',
    host: 'nowhere',
    istio: { http: [{ route: [destination('nowhere.that.exists')] }] },
    envoy: { routes: [{ match: { prefix: '/' }, route: to('nothing') }] },
    client: asks({}),
  },
  {
    name: 'weights: all of the traffic to one of two destinations, with its own header edits',
    host: 'weighted',
    services: { weighted: [], canary: [(call) => call.reply(200, 'canary')] },
    istio: {
      http: [
        {
          route: [
            destination('weighted', { weight: 0 }),
            destination('canary', {
              weight: 100,
              headers: {
                request: { set: { 'x-leg': 'two' } },
                response: { add: { 'x-leg': 'b' } },
              },
            }),
          ],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: {
            ...to(''),
            cluster: undefined,
            weighted_clusters: {
              clusters: [
                { name: 'weighted', weight: 0 },
                {
                  name: 'canary',
                  weight: 100,
                  ...setsRequest('x-leg', 'two'),
                  response_headers_to_add: [{ header: { key: 'x-leg', value: 'b' } }],
                },
              ],
            },
          },
        },
      ],
    },
    client: asks({}, {}, {}),
  },
]
