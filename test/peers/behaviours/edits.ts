/** What rules change: rewrites, redirects, replies of the proxy, header edits, and the path's one form. */
import { type Behaviour, destination, to } from '../behaviour.ts'
import { asks, paths } from '../client-steps.ts'

const anything = { prefix: '/' }
const redirects = (match: object, redirect: object) => ({ match, redirect })
const add = (key: string, value: string) => ({
  header: { key, value },
  append_action: 'APPEND_IF_EXISTS_OR_ADD',
})
const set = (key: string, value: string) => ({
  header: { key, value },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
})

export const edits: readonly Behaviour[] = [
  {
    name: 'a prefix is replaced as plain text, with the query kept and the original path told',
    host: 'strip',
    istio: {
      http: [
        {
          match: [{ uri: { prefix: '/strip' } }],
          rewrite: { uri: '/' },
          route: [destination('strip')],
        },
        {
          match: [{ uri: { exact: '/exact' } }],
          rewrite: { uri: '/put', authority: 'new.example' },
          route: [destination('strip')],
        },
        {
          match: [{ uri: { prefix: '/regex' } }],
          rewrite: { uriRegexRewrite: { match: '/([a-z]+)', rewrite: '/<\\1>' } },
          route: [destination('strip')],
        },
      ],
    },
    envoy: {
      routes: [
        { match: { prefix: '/strip' }, route: to('strip', { prefix_rewrite: '/' }) },
        {
          match: { path: '/exact' },
          route: to('strip', { prefix_rewrite: '/put', host_rewrite_literal: 'new.example' }),
        },
        {
          match: { prefix: '/regex' },
          route: to('strip', {
            regex_rewrite: { pattern: { regex: '/([a-z]+)' }, substitution: '/<\\1>' },
          }),
        },
      ],
    },
    client: paths(
      ...['/strip', '/strip/deep?q=1', '/stripped', '/exact?q=2', '/regex/AB/c?x=/d', '/regex'],
    ),
  },
  {
    name: 'redirects are absolute, keep path and query unless told otherwise, and the case of Host',
    host: 'moved',
    istio: {
      http: [
        { match: [{ uri: { exact: '/uri' } }], redirect: { uri: '/there' } },
        { match: [{ uri: { exact: '/query' } }], redirect: { uri: '/there?own=1' } },
        {
          match: [{ uri: { exact: '/host' } }],
          redirect: { authority: 'other.example', redirectCode: 308 },
        },
        {
          match: [{ uri: { exact: '/scheme' } }],
          redirect: { scheme: 'https', port: 8443, redirectCode: 307 },
        },
        {
          match: [{ uri: { prefix: '/prefix' } }],
          redirect: { authority: 'moved.example', redirectCode: 302 },
        },
      ],
    },
    envoy: {
      routes: [
        redirects({ path: '/uri' }, { path_redirect: '/there' }),
        redirects({ path: '/query' }, { path_redirect: '/there?own=1' }),
        redirects(
          { path: '/host' },
          { host_redirect: 'other.example', response_code: 'PERMANENT_REDIRECT' },
        ),
        redirects(
          { path: '/scheme' },
          { scheme_redirect: 'https', port_redirect: 8443, response_code: 'TEMPORARY_REDIRECT' },
        ),
        redirects(
          { prefix: '/prefix' },
          { host_redirect: 'moved.example', response_code: 'FOUND' },
        ),
      ],
    },
    client: asks(
      ...['/uri?a=1', '/query?a=1', '/host?a=1', '/scheme', '/prefix/deep?q', '/none'].map(
        (path) => ({ path }),
      ),
      { path: '/uri', host: 'MOVED:80' },
      { path: '/uri', host: 'moved:8080' },
      { method: 'HEAD', path: '/uri' },
    ),
    differs: [
      {
        why: 'redirect-port',
        at: { 'reply 7: location': ['http://MOVED/there', 'http://MOVED:80/there'] },
      },
      { why: 'head-framing', at: { 'reply 9: transfer-encoding': [undefined, 'chunked'] } },
    ],
  },
  {
    name: 'redirects that replace a prefix, name a port, or take that of the request',
    host: 'elsewhere',
    istio: {
      http: [
        { match: [{ uri: { prefix: '/old/' } }], redirect: { prefixRewrite: '/new/' } },
        { match: [{ uri: { prefix: '/bare' } }], redirect: { prefixRewrite: '/' } },
        {
          match: [{ uri: { exact: '/port' } }],
          redirect: { authority: 'shop.example', port: 8080 },
        },
        {
          match: [{ uri: { exact: '/derived' } }],
          redirect: { authority: 'shop.example', derivePort: 'FROM_PROTOCOL_DEFAULT' },
        },
        {
          match: [{ uri: { regex: '/v[0-9]+/.*' } }],
          redirect: { uri: '/latest', redirectCode: 303 },
        },
      ],
    },
    envoy: {
      routes: [
        redirects({ prefix: '/old/' }, { prefix_rewrite: '/new/' }),
        redirects({ prefix: '/bare' }, { prefix_rewrite: '/' }),
        redirects({ path: '/port' }, { host_redirect: 'shop.example', port_redirect: 8080 }),
        redirects({ path: '/derived' }, { host_redirect: 'shop.example' }),
        redirects(
          { safe_regex: { regex: '/v[0-9]+/.*' } },
          { path_redirect: '/latest', response_code: 'SEE_OTHER' },
        ),
      ],
    },
    client: paths(
      ...['/old/a/b?q=1', '/bare', '/barefoot', '/bare/x?y', '/port?q', '/derived', '/v12/any?z=1'],
      '/v/none',
    ),
  },
  {
    name: 'regex rewrites with groups, of paths with escapes, and with another authority',
    host: 'groups',
    istio: {
      http: [
        {
          match: [{ uri: { regex: '/user/[^/]+/.*' } }],
          rewrite: {
            uriRegexRewrite: { match: '^/user/([^/]+)/(.*)$', rewrite: '/\\2/of/\\1' },
            authority: 'users.example',
          },
          route: [destination('groups')],
        },
        {
          match: [{ uri: { prefix: '/a%20b' } }],
          rewrite: { uri: '/spaced' },
          route: [destination('groups')],
        },
        {
          match: [{ headers: { 'x-any': {} } }],
          rewrite: { uri: '/under' },
          route: [destination('groups')],
        },
        { rewrite: { uri: '/' }, route: [destination('groups')] },
      ],
    },
    envoy: {
      routes: [
        {
          match: { safe_regex: { regex: '/user/[^/]+/.*' } },
          route: to('groups', {
            regex_rewrite: {
              pattern: { regex: '^/user/([^/]+)/(.*)$' },
              substitution: '/\\2/of/\\1',
            },
            host_rewrite_literal: 'users.example',
          }),
        },
        { match: { prefix: '/a%20b' }, route: to('groups', { prefix_rewrite: '/spaced' }) },
        {
          match: { prefix: '/', headers: [{ name: 'x-any', present_match: true }] },
          route: to('groups', { prefix_rewrite: '/under' }),
        },
        { match: anything, route: to('groups', { prefix_rewrite: '/' }) },
      ],
    },
    client: asks(
      { path: '/user/ann/cart?x=/user/b/c' },
      { path: '/user/a%2Fb/c' },
      { path: '/a%20b/c' },
      { path: '/deep', fields: { 'x-any': '' } },
      { path: '/kept?q' },
    ),
  },
  {
    name: 'a direct response has its status, its body and the type of text',
    host: 'direct',
    istio: {
      http: [
        {
          match: [{ uri: { exact: '/body' } }],
          directResponse: { status: 418, body: { string: 'short and stout' } },
        },
        {
          match: [{ uri: { exact: '/typed' } }],
          directResponse: { status: 200, body: { string: '{}' } },
          headers: { response: { set: { 'content-type': 'application/json' } } },
        },
        { directResponse: { status: 204 } },
      ],
    },
    envoy: {
      routes: [
        {
          match: { path: '/body' },
          direct_response: { status: 418, body: { inline_string: 'short and stout' } },
        },
        {
          match: { path: '/typed' },
          direct_response: { status: 200, body: { inline_string: '{}' } },
          response_headers_to_add: [set('content-type', 'application/json')],
        },
        { match: anything, direct_response: { status: 204 } },
      ],
    },
    client: asks(
      { path: '/body' },
      { method: 'HEAD', path: '/body' },
      { method: 'POST', path: '/body', body: 'something' },
      { path: '/typed' },
      { path: '/none' },
    ),
  },
  {
    name: 'requests: set, add and remove, with operators; remove runs before set of the same name',
    host: 'edited',
    istio: {
      http: [
        {
          headers: {
            request: {
              set: { 'x-set': 'new', 'x-both': 'stays', 'x-from': '%REQ(x-src)%' },
              add: { 'x-add': 'two', 'x-none': '%REQ(x-absent)%', 'x-code': '100%%' },
              remove: ['x-gone', 'x-both'],
            },
          },
          route: [destination('edited')],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: anything,
          route: to('edited'),
          request_headers_to_add: [
            set('x-set', 'new'),
            set('x-both', 'stays'),
            set('x-from', '%REQ(x-src)%'),
            add('x-add', 'two'),
            add('x-none', '%REQ(x-absent)%'),
            add('x-code', '100%%'),
          ],
          request_headers_to_remove: ['x-gone', 'x-both'],
        },
      ],
    },
    client: asks(
      {},
      {
        fields: {
          'X-Set': 'old',
          'X-Both': 'old',
          'x-src': 'source',
          'x-add': 'one',
          'X-Gone': 'yes',
        },
      },
    ),
  },
  {
    name: 'replies: set, add and remove, also on those that the proxy makes',
    host: 'answered',
    services: {
      answered: [
        (call) =>
          call.reply(200, 'hi', {
            'X-Set': 'old',
            'x-add': 'one',
            'x-gone': 'yes',
            'Set-Cookie': 'a=1',
          }),
      ],
      'answered-empty': [],
    },
    istio: {
      http: [
        {
          match: [{ uri: { exact: '/local' } }],
          headers: { response: { set: { 'x-set': 'local' } } },
          route: [destination('answered-empty')],
        },
        {
          headers: {
            response: {
              set: { 'x-set': 'new', 'x-code': '%RESPONSE_CODE%' },
              add: { 'x-add': 'two', 'set-cookie': 'b=2' },
              remove: ['x-gone'],
            },
          },
          route: [destination('answered')],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: { path: '/local' },
          route: to('answered-empty'),
          response_headers_to_add: [set('x-set', 'local')],
        },
        {
          match: anything,
          route: to('answered'),
          response_headers_to_add: [
            set('x-set', 'new'),
            set('x-code', '%RESPONSE_CODE%'),
            add('x-add', 'two'),
            add('set-cookie', 'b=2'),
          ],
          response_headers_to_remove: ['x-gone'],
        },
      ],
    },
    client: paths('/', '/local'),
  },
  {
    name: 'setting Host changes it and tells the original',
    host: 'hosted',
    istio: {
      http: [
        {
          headers: { request: { set: { Host: 'set.example' } } },
          route: [destination('hosted')],
        },
      ],
    },
    envoy: {
      routes: [
        {
          match: anything,
          route: to('hosted', { host_rewrite_literal: 'set.example' }),
        },
      ],
    },
    client: asks({}),
  },
  {
    name: 'the path is put into one form: dots resolved, unreserved escapes decoded, no fragment',
    host: 'forms',
    client: paths(
      ...['/a/../b', '/a/./b', '/a/b/..', '/../x', '/%2e%2e/x', '/%41%7e', '/a%2Fb', '/a%5cb'],
      ...['//a//b', '/a\\b', '/frag#ment', '/q?x=/../y', '/%zz', '/a|b', '/a"b', '/;p=1', '/a%20b'],
    ),
  },
  {
    name: 'an escaped NUL in the path: 400',
    host: 'nul',
    client: paths('/%00'),
    differs: [
      { why: 'protocol-flag', at: { 'log 1: flags': ['DPE', '-'] } },
      { why: 'stays-open', at: { 'reply 1: connection': [undefined, 'close'] } },
    ],
  },
]
