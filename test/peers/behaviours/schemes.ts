/** Which scheme a request counts as: what x-forwarded-proto says, where it says one of the two. */
import { type Behaviour, destination, to } from '../behaviour.ts'
import { asks, says } from '../client-steps.ts'

/** Redirects of requests under /go, a reply of its own to https, all others to the endpoint. */
function schemes(name: string, host: string, client: Behaviour['client']): Behaviour {
  return {
    name,
    host,
    istio: {
      http: [
        { match: [{ uri: { prefix: '/go' } }], redirect: { uri: '/there' } },
        { match: [{ scheme: { exact: 'https' } }], directResponse: { status: 418 } },
        { route: [destination(host)], headers: { response: { set: { v: '%REQ(:SCHEME)%' } } } },
      ],
    },
    envoy: {
      routes: [
        { match: { prefix: '/go' }, redirect: { path_redirect: '/there' } },
        {
          match: {
            prefix: '/',
            headers: [{ name: ':scheme', string_match: { exact: 'https' } }],
          },
          direct_response: { status: 418 },
        },
        {
          match: { prefix: '/' },
          route: to(host),
          response_headers_to_add: [
            {
              header: { key: 'v', value: '%REQ(:SCHEME)%' },
              append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
            },
          ],
        },
      ],
    },
    client,
  }
}

const told = (proto: string) => [
  { path: '/go?q=1', fields: { 'x-forwarded-proto': proto } },
  { path: '/', fields: { 'x-forwarded-proto': proto } },
]

export const schemeBehaviours: readonly Behaviour[] = [
  schemes(
    'the scheme is what x-forwarded-proto says, in redirects, conditions and operators',
    'schemes',
    asks({ path: '/go' }, { path: '/' }, ...told('https'), ...told('http')),
  ),
  schemes(
    'an x-forwarded-proto that is no scheme of HTTP, or is spelt in capitals',
    'oddschemes',
    asks(...told('gopher'), ...told('HTTPS'), ...told('https,http')),
  ),
  {
    ...schemes(
      'an empty x-forwarded-proto counts as none',
      'emptyschemes',
      asks({ path: '/go', fields: { 'x-forwarded-proto': '' } }),
    ),
    differs: [
      {
        why: 'empty-proto',
        at: {
          'reply 1: status': ['301', '404'],
          'reply 1: location': ['http://emptyschemes/there', undefined],
          'log 1: flags': ['-', 'NR'],
          'log 1: status': ['301', '404'],
          'log 1: details': ['direct_response', 'route_not_found'],
        },
      },
    ],
  },
  {
    ...schemes(
      'the redirect of a target that names a scheme',
      'absoluteschemes',
      says('GET https://absoluteschemes/go HTTP/1.1\r\nHost: absoluteschemes\r\n\r\n', 1, false),
    ),
    differs: [
      {
        why: 'absolute-scheme',
        at: {
          'reply 1: location': ['http://absoluteschemes/there', 'https://absoluteschemes/there'],
        },
      },
    ],
  },
]
