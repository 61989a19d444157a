import t from 'tap'
import type { RouteSpec, SkippedRuleSpec } from '../../config/snapshot.ts'
import { forwarding, istio, service, type View, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80'] }) + service('one', { ports: ['http:7000'] })
const to = (host: string, more: object = {}) => ({ route: [{ destination: { host, ...more } }] })
const here = to('a')

function rules(...http: unknown[]): View {
  return viewOf(mesh + istio('VirtualService', 'x', { hosts: ['a'], http }))
}

const routesOf = (...http: unknown[]): readonly RouteSpec[] => rules(...http).routes(80, 'a')
const firstOf = (rule: unknown): RouteSpec => routesOf(rule)[0]!
const skippedOf = (view: View): readonly SkippedRuleSpec[] => view.host(80, 'a')?.skipped ?? []

// --- what a rule does -------------------------------------------------------------------------------------------
t.test(
  'without a word: no timeout, the default retries, no rewrite (§23 #11, fact 1)',
  async (t) => {
    t.match(forwarding(firstOf(here)), {
      timeoutMs: undefined,
      rewrite: undefined,
      retries: {
        attempts: 2,
        perTryTimeoutMs: undefined,
        retryOn: [
          'connect-failure',
          'refused-stream',
          'unavailable',
          'cancelled',
          'retriable-status-codes',
        ],
        statusCodes: [],
        backoffMs: 25,
        ignorePreviousHosts: 'unless-hashed',
        remoteLocalities: false,
        origin: undefined,
      },
    })
  },
)

t.test('retries', async (t) => {
  const of = (retries: object) => forwarding(firstOf({ retries, ...here })).retries
  t.match(of({ attempts: 3 }), { attempts: 3, statusCodes: [] }, '§23 #14')
  t.same(
    of({ attempts: 3 }).retryOn,
    forwarding(firstOf(here)).retries.retryOn,
    'fact 2: the default list',
  )
  t.match(of({ attempts: 1, retryOn: 'connect-failure,429,503' }), {
    retryOn: ['connect-failure', 'retriable-status-codes'],
    statusCodes: [429, 503],
  })
  t.equal(of({ attempts: 0 }).attempts, 0, 'switched off')
  t.match(
    of({
      attempts: 2,
      perTryTimeout: '2s',
      backoff: '1s',
      retryIgnorePreviousHosts: false,
      retryRemoteLocalities: true,
    }),
    {
      perTryTimeoutMs: 2000,
      backoffMs: 1000,
      ignorePreviousHosts: false,
      remoteLocalities: true,
    },
  )
  t.equal(of({ attempts: 1 }).origin?.name, 'x')
  const two = { route: ['a', 'b'].map((host) => ({ destination: { host }, weight: 1 })) }
  t.equal(of({ attempts: 1 }).ignorePreviousHosts, 'unless-hashed', '§2.12')
  t.equal(
    forwarding(firstOf({ retries: { attempts: 1 }, ...two })).retries.ignorePreviousHosts,
    true,
  )
  t.equal(forwarding(firstOf(two)).retries.ignorePreviousHosts, true)
})

t.test(
  "MeshConfig's retry policy replaces the default whole (fact 2), and a rule's wins",
  async (t) => {
    const config = 'kind: MeshConfig\ndefaultHttpRetryPolicy: {attempts: 5, retryOn: 5xx}\n---\n'
    const plain = viewOf(config + mesh)
    t.match(forwarding(plain.routes(80, 'a')[0]).retries, {
      attempts: 5,
      retryOn: ['5xx'],
      origin: { kind: 'MeshConfig' },
    })
    const own = istio('VirtualService', 'x', {
      hosts: ['a'],
      http: [{ ...here, retries: { attempts: 1 } }],
    })
    t.equal(forwarding(viewOf(config + mesh + own).routes(80, 'a')[0]).retries.attempts, 1)
  },
)

t.test('timeout', async (t) => {
  t.equal(forwarding(firstOf({ timeout: '1.5s', ...here })).timeoutMs, 1500)
})

t.test('rewrite', async (t) => {
  const of = (rule: object) => forwarding(firstOf({ ...here, ...rule })).rewrite
  t.same(of({ rewrite: { uri: '/x', authority: 'b.com' } }), {
    uri: '/x',
    uriRegex: undefined,
    authority: 'b.com',
  })
  t.same(of({ rewrite: { uriRegexRewrite: { match: '/(.*)', rewrite: '/v\\1' } } }), {
    uri: undefined,
    uriRegex: { match: '/(.*)', rewrite: '/v\\1' },
    authority: undefined,
  })
  for (const name of ['Host', ':authority'])
    t.equal(
      of({ headers: { request: { set: { [name]: 'b.com' } } } })?.authority,
      'b.com',
      `fact 30: ${name}`,
    )
})

t.test('redirect', async (t) => {
  const of = (redirect: object, more: object = {}) => firstOf({ redirect, ...more }).action
  t.match(
    of({ uri: '/there', authority: 'b.com', scheme: 'https', port: 444, redirectCode: 308 }),
    {
      kind: 'redirect',
      status: 308,
      uri: '/there',
      authority: 'b.com',
      scheme: 'https',
      port: 444,
    },
  )
  t.match(of({ derivePort: 'FROM_REQUEST_PORT' }), { status: 301, port: 'FROM_REQUEST_PORT' })
  t.match(of({ uri: '/' }, { headers: { response: { set: { a: 'b' } } } }), {
    headers: { response: { set: [['a', 'b']] } },
  })
})

t.test('an empty authority or uri of a redirect is none', async (t) => {
  const action = firstOf({ redirect: { authority: '', uri: '', port: 81 } }).action
  t.match(action, { kind: 'redirect', authority: undefined, uri: undefined, port: 81 })
})

t.test(
  'a redirect code that redirects nowhere is skipped, the next rule answers (§23 #25)',
  async (t) => {
    const view = rules({ redirect: { uri: '/x', redirectCode: 304 } }, here)
    t.same(view.told(80, 'a'), ['http[1] -> outbound|80||a x1'])
    t.match(skippedOf(view), [{ path: 'http[0]', reason: '304 makes no redirect' }])
  },
)

t.test('direct response', async (t) => {
  const of = (directResponse: object) => firstOf({ directResponse }).action
  t.match(of({ status: 503, body: { string: 'späh' } }), {
    kind: 'direct',
    status: 503,
    body: 'späh',
    base64: false,
  })
  t.match(of({ status: 200, body: { bytes: 'aGk=' } }), { body: 'aGk=', base64: true })
  t.match(of({ status: 204 }), { body: '', base64: false })
})

// --- header operations -------------------------------------------------------------------------------------------
t.test('names of removals are lowered, set and add are sorted by name', async (t) => {
  const { headers } = forwarding(
    firstOf({
      ...here,
      headers: {
        request: { remove: ['X-B', 'x-a'], set: { z: '1', Y: '2' }, add: { c: '3', b: '4' } },
      },
    }),
  )
  t.same(headers.request, {
    remove: ['x-b', 'x-a'],
    set: [
      ['Y', '2'],
      ['z', '1'],
    ],
    add: [
      ['b', '4'],
      ['c', '3'],
    ],
  })
})

const leg = (name: string, more: object = {}) => ({
  destination: { host: 'a' },
  weight: 1,
  headers: { request: { set: { X: name }, remove: [`r-${name}`] }, response: { add: { y: name } } },
  ...more,
})
const ofRule = {
  request: { set: { x: 'rule' }, remove: ['r-rule'] },
  response: { add: { y: 'rule' } },
}

t.test('of one destination and its rule the destination wins (§23 #23)', async (t) => {
  const { headers, destinations } = forwarding(firstOf({ headers: ofRule, route: [leg('leg')] }))
  t.same(headers.request, { remove: ['r-rule', 'r-leg'], set: [['X', 'leg']], add: [] })
  t.same(headers.response.add, [
    ['y', 'rule'],
    ['y', 'leg'],
  ])
  t.same(destinations[0]?.headers.request.set, [])
})

t.test(
  'of several destinations each keeps its own, and the rule comes after (§23 #23)',
  async (t) => {
    const { headers, destinations } = forwarding(
      firstOf({ headers: ofRule, route: [leg('l1'), leg('l2')] }),
    )
    t.same(headers.request.set, [['x', 'rule']])
    t.same(
      destinations.map(({ headers: own }) => own.request.set),
      [[['X', 'l1']], [['X', 'l2']]],
    )
  },
)

t.test('an authority: rewrite, then rule, then destination (§2.7)', async (t) => {
  const host = (name: string) => ({ headers: { request: { set: { host: name } } } })
  const single = (rule: object) =>
    forwarding(firstOf({ ...rule, route: [{ destination: { host: 'a' }, ...host('leg') }] }))
  t.equal(single({}).rewrite?.authority, 'leg')
  t.equal(single(host('rule')).rewrite?.authority, 'rule')
  t.equal(single({ rewrite: { authority: 'rewrite' } }).rewrite?.authority, 'rewrite')
  const two = (rule: object) =>
    forwarding(
      firstOf({
        ...rule,
        route: ['l1', 'l2'].map((name) => ({
          destination: { host: 'a' },
          weight: 1,
          ...host(name),
        })),
      }),
    )
  t.same(
    two({}).destinations.map(({ headers }) => headers.request.set),
    [[['host', 'l1']], [['host', 'l2']]],
  )
  t.equal(two({}).rewrite, undefined)
  t.same(
    two(host('rule')).destinations.map(({ headers }) => headers.request.set),
    [[], []],
  )
  t.equal(two(host('rule')).rewrite?.authority, 'rule')
})

// --- delegates -----------------------------------------------------------------------------------------------------
function delegation(root: unknown[], leaf: unknown[], more: object = {}): View {
  return viewOf(
    mesh +
      istio('VirtualService', 'root', { hosts: ['a'], http: root }) +
      istio('VirtualService', 'leaf', { http: leaf, ...more }, { namespace: 'prod' }),
  )
}
const down = { delegate: { name: 'leaf', namespace: 'prod' } }

t.test(
  "a delegate's rules stand where the root names it, short hosts in its own namespace (§2.15)",
  async (t) => {
    const view = delegation(
      [{ name: 'r', match: [{ uri: { prefix: '/v' } }], ...down }, here],
      [{ name: 'l', match: [{ uri: { prefix: '/v1' } }], ...to('x') }, to('y')],
    )
    t.same(view.told(80, 'a'), [
      'http[0].match[0] -> outbound|80||x.prod.svc.cluster.local x1',
      'http[0].match[0] -> outbound|80||y.prod.svc.cluster.local x1',
      'http[1] -> outbound|80||a x1',
    ])
    const [first, second] = view.routes(80, 'a')
    t.match(first, { name: 'r-l', origin: { name: 'leaf' }, match: { uri: { value: '/v1' } } })
    t.match(second, { origin: { name: 'root' }, match: { uri: { value: '/v' } } })
  },
)

t.test(
  'what the delegate writes replaces the root whole, the rest is filled in (fact 23)',
  async (t) => {
    const set = (name: string) => ({ headers: { request: { set: { [name]: '1' } } } })
    const root = [{ ...down, timeout: '1s', ...set('root') }]
    const own = forwarding(delegation(root, [{ ...to('x'), ...set('leaf') }]).routes(80, 'a')[0])
    t.same(own.headers.request.set, [['leaf', '1']])
    t.equal(own.timeoutMs, 1000)
    const filled = forwarding(delegation(root, [to('x')]).routes(80, 'a')[0])
    t.same(filled.headers.request.set, [['root', '1']])
  },
)

t.test('what the root fills in is resolved and told where the root wrote it', async (t) => {
  const policies = {
    mirror: { host: 'one' },
    corsPolicy: { allowOrigins: [{ exact: 'x' }] },
    retries: { attempts: 1 },
    fault: { delay: { fixedDelay: '1s', percentage: { value: 1 } } },
  }
  const told = (view: View) => {
    const { cors, faults, mirrors, retries } = forwarding(view.routes(80, 'a')[0])
    const [mirror] = mirrors ?? []
    return {
      mirror: mirror?.cluster,
      places: [mirror?.origin, cors?.origin, retries.origin, faults?.beforeRetries[0]?.origin].map(
        (origin) => origin?.name,
      ),
    }
  }
  t.same(told(delegation([{ ...down, ...policies }], [to('x')])), {
    mirror: 'outbound|80||one.default.svc.cluster.local',
    places: ['root', 'root', 'root', 'root'],
  })
  t.same(told(delegation([{ ...down, ...policies }], [{ ...to('x'), ...policies }])), {
    mirror: 'outbound|80||one.prod.svc.cluster.local',
    places: ['leaf', 'leaf', 'leaf', 'leaf'],
  })
})

t.test('conditions of both are joined', async (t) => {
  const view = delegation(
    [{ match: [{ headers: { a: { exact: '1' } }, method: { exact: 'GET' } }], ...down }],
    [{ match: [{ headers: { b: { exact: '2' } } }], ...to('x') }],
  )
  t.match(view.routes(80, 'a')[0]?.match, {
    method: { value: 'GET' },
    headers: [{ name: 'a' }, { name: 'b' }],
  })
})

t.test('a contradicting delegate rule is dropped and told (§23 #28)', async (t) => {
  const cases: Array<[string, object, object]> = [
    ['another prefix', { uri: { prefix: '/a' } }, { uri: { prefix: '/b' } }],
    ['exact root', { uri: { exact: '/a' } }, { uri: { prefix: '/a' } }],
    ['regex', { uri: { regex: '/a' } }, { uri: { prefix: '/a' } }],
    ['case', { uri: { prefix: '/a' } }, { uri: { prefix: '/a' }, ignoreUriCase: true }],
    ['case, though only one has a uri', { uri: { prefix: '/a' }, ignoreUriCase: true }, {}],
    ['port', { port: 80 }, { port: 81 }],
    ['header', { headers: { x: { exact: '1' } } }, { headers: { x: { exact: '2' } } }],
    ['namespace', { sourceNamespace: 'default' }, { uri: { prefix: '/' } }],
    ['labels', { sourceLabels: { app: 'client' } }, { sourceLabels: { app: 'b' } }],
  ]
  for (const [name, outer, inner] of cases) {
    const view = delegation([{ match: [outer], ...down }, here], [{ match: [inner], ...to('x') }])
    t.same(view.told(80, 'a'), ['http[1] -> outbound|80||a x1'], name)
    t.match(
      skippedOf(view),
      [{ path: 'http[0]', origin: { name: 'leaf' }, reason: /contradicts http\[0\] of root/ }],
      name,
    )
  }
})

t.test("an empty namespace of a delegate is the root's own, as none is", async (t) => {
  const root = { hosts: ['a'], http: [{ delegate: { name: 'leaf', namespace: '' } }, here] }
  const leaf = istio('VirtualService', 'leaf', { http: [to('b')] })
  const view = viewOf(mesh + istio('VirtualService', 'root', root) + leaf)
  t.same(view.told(80, 'a'), ['http[0] -> outbound|80||b x1'])
})

t.test(
  'a missing or hidden delegate drops the rule, the next root rule answers (fact 23)',
  async (t) => {
    const missing = viewOf(
      mesh + istio('VirtualService', 'root', { hosts: ['a'], http: [down, here] }),
    )
    t.same(missing.told(80, 'a'), ['http[1] -> outbound|80||a x1'])
    t.match(skippedOf(missing), [{ path: 'http[0]', reason: /prod\/leaf, does not exist/ }])
    const hidden = delegation([down, here], [to('x')], { exportTo: ['.'] })
    t.match(skippedOf(hidden), [{ reason: /is not exported to namespace default/ }])
  },
)
