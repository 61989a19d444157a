/** Values of headers that rules write with operators: one behaviour for each group, one header for each. */
import { type Behaviour, destination, to } from '../behaviour.ts'
import { asks } from '../client-steps.ts'
import { ok } from '../upstream.ts'

const set = (key: string, value: string) => ({
  header: { key, value },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
})

/** `values` become headers `v-1`, `v-2`, ... of the request or of the reply. */
function written(
  name: string,
  host: string,
  of: 'request' | 'response',
  values: readonly string[],
  more: Partial<Behaviour> = {},
): Behaviour {
  const fields = values.map((value, i) => [`v-${i + 1}`, value] as const)
  return {
    name,
    host,
    istio: {
      http: [
        { headers: { [of]: { set: Object.fromEntries(fields) } }, route: [destination(host)] },
      ],
    },
    envoy: {
      routes: [
        {
          match: { prefix: '/' },
          route: to(host),
          [`${of}_headers_to_add`]: fields.map(([key, value]) => set(key, value)),
        },
      ],
    },
    client: asks({
      method: 'POST',
      path: '/a/b?c=d&c=e',
      fields: {
        'x-src': 'value',
        'x-two': 'one',
        'X-Case': 'Kept',
        'x-empty': '',
        'x-long': 'abcdefgh',
      },
      body: 'four',
    }),
    ...more,
  }
}

const before = '%REQ(:PATH)% %REQ(:AUTHORITY)%'
const original = '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%'
const rewrittenRoutes = [
  { at: '/there', host: 'opsrewritten' },
  { at: '/nobody', host: 'opsrewritten-empty' },
] as const

const rewritten: Behaviour = {
  name: 'operators of the path: the request still has its own, the reply has the rewritten one',
  host: 'opsrewritten',
  services: { opsrewritten: [ok], 'opsrewritten-empty': [] },
  istio: {
    http: rewrittenRoutes.map(({ at, host }) => ({
      match: [{ uri: { prefix: at } }],
      rewrite: { uri: '/new', authority: 'rewritten.example' },
      headers: {
        request: { set: { 'v-1': before, 'v-2': original } },
        response: { set: { 'v-1': before, 'v-2': original } },
      },
      route: [destination(host)],
    })),
  },
  envoy: {
    routes: rewrittenRoutes.map(({ at, host }) => ({
      match: { prefix: at },
      route: to(host, { prefix_rewrite: '/new', host_rewrite_literal: 'rewritten.example' }),
      request_headers_to_add: [set('v-1', before), set('v-2', original)],
      response_headers_to_add: [set('v-1', before), set('v-2', original)],
    })),
  },
  client: asks({ path: '/there/a?b' }, { path: '/nobody/c' }),
}

export const operators: readonly Behaviour[] = [
  written('operators of the request in its headers', 'opsrequest', 'request', [
    '%PROTOCOL%',
    '%REQ(:METHOD)%',
    '%REQ(:PATH)%',
    '%REQ(:AUTHORITY)%',
    '%REQ(:SCHEME)%',
    '%REQ(x-src)%',
    'before %REQ(X-SRC)% after',
    '%REQ(x-none?x-src)%',
    '%REQ(x-empty)%',
    '%REQ(x-none)%',
    'a%%b',
    '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
    '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
    '%REQUESTED_SERVER_NAME%',
    '%ROUTE_NAME%',
  ]),
  written(
    'operators of the reply in its headers',
    'opsreply',
    'response',
    [
      '%RESPONSE_CODE%',
      '%RESPONSE_CODE_DETAILS%',
      '%RESPONSE_FLAGS%',
      '%PROTOCOL%',
      '%REQ(:METHOD)% %REQ(x-src)%',
      '%RESP(content-length)%',
      '%RESP(x-none)%',
      '%RESP(x-none?content-length)%',
      '%BYTES_RECEIVED%',
      '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
    ],
    {
      differs: [
        {
          why: 'length-operator',
          at: { 'reply 1: v-6': [undefined, '13'], 'reply 1: v-8': [undefined, '13'] },
        },
      ],
    },
  ),
  rewritten,
  written(
    'operators of a reply that the proxy makes',
    'opslocal',
    'response',
    [
      '%RESPONSE_CODE%',
      '%RESPONSE_CODE_DETAILS%',
      '%RESPONSE_FLAGS%',
      '%UPSTREAM_HOST%',
      '%RESP(content-length)%',
    ],
    {
      services: { opslocal: [] },
      differs: [{ why: 'local-code', at: { 'reply 1: v-1': ['503', '0'] } }],
    },
  ),
]
