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

// --- matches ------------------------------------------------------------------------------------------------
t.test('every condition of a block is kept, with its line', async (t) => {
  const text = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: x}
spec:
  hosts: [a]
  http:
  - match:
    - uri: {prefix: /p}
      ignoreUriCase: true
      method:
        exact: GET
      scheme: {prefix: htt}
      authority: {regex: "a.*"}
      headers:
        End-User: {exact: jason}
        x-any: {}
      withoutHeaders:
        X-No: {regex: "*"}
      queryParams:
        Q: {exact: ""}
    route:
    - destination: {host: a}
`
  const [route] = viewOf(`${mesh}${text}`).routes(80, 'a')
  const shift = mesh.split('\n').length - 1
  const line = (number: number) => number + shift
  t.same(route?.match, {
    uri: { kind: 'prefix', value: '/p', ignoreCase: true, line: line(9) },
    method: { kind: 'exact', value: 'GET', ignoreCase: false, line: line(11) },
    scheme: { kind: 'prefix', value: 'htt', ignoreCase: false, line: line(13) },
    authority: { kind: 'regex', value: 'a.*', ignoreCase: false, line: line(14) },
    headers: [
      {
        name: 'end-user',
        match: { kind: 'exact', value: 'jason', ignoreCase: false, line: line(16) },
      },
      { name: 'x-any', match: { kind: 'present', value: '', ignoreCase: false, line: line(17) } },
    ],
    withoutHeaders: [
      { name: 'x-no', match: { kind: 'present', value: '', ignoreCase: false, line: line(19) } },
    ],
    queryParams: [
      { name: 'Q', match: { kind: 'exact', value: '', ignoreCase: false, line: line(21) } },
    ],
  })
  t.match(route?.origin, { kind: 'VirtualService', name: 'x', line: line(9) })
})

t.test('ignoreUriCase does nothing for a regex (§23 #2)', async (t) => {
  const match = [{ uri: { regex: '/A' }, ignoreUriCase: true }]
  t.equal(firstOf({ match, ...here }).match?.uri?.ignoreCase, false)
})

t.test('no match, an empty list and an empty block match everything', async (t) => {
  for (const match of [undefined, [], [{}], [{ uri: {} }]])
    t.equal(firstOf({ match, ...here }).match, undefined, JSON.stringify(match))
})

t.test('every block is a route of its own, in order, with one action', async (t) => {
  const routes = routesOf({
    name: 'r',
    match: [{ uri: { prefix: '/1' }, name: 'one' }, { uri: { prefix: '/2' } }],
    ...here,
  })
  t.match(routes, [
    { name: 'r.one', path: 'http[0].match[0]' },
    { name: 'r', path: 'http[0].match[1]' },
  ])
  t.equal(routes[0]?.action, routes[1]?.action)
})

t.test('nothing exists after the first route that takes everything (§2.5)', async (t) => {
  for (const match of [undefined, [{ uri: { prefix: '/' } }], [{ uri: { regex: '.*' } }], [{}]]) {
    const view = rules({ match: [{ uri: { exact: '/x' } }], ...here }, { match, ...here }, here)
    t.equal(view.routes(80, 'a').length, 2, JSON.stringify(match))
    t.match(skippedOf(view), [
      { path: 'http[2]', before: 2, reason: /^never reached: http\[1\].* takes every/ },
    ])
  }
})

t.test('a condition beside the path is no catch-all', async (t) => {
  const root = { uri: { prefix: '/' } }
  for (const more of [
    { headers: { x: {} } },
    { method: { exact: 'GET' } },
    { queryParams: { q: {} } },
  ])
    t.equal(
      routesOf({ match: [{ ...root, ...more }], ...here }, here).length,
      2,
      JSON.stringify(more),
    )
})

t.test('blocks after a catch-all of the same rule are told too', async (t) => {
  const view = rules({ match: [{}, { uri: { prefix: '/x' } }], ...here })
  t.match(skippedOf(view), [
    { path: 'http[0].match[1]', reason: /^never reached: http\[0\]\.match\[0\]/ },
  ])
})

t.test('conditions on the client are decided at once, with a plain sentence', async (t) => {
  const cases: Array<[string, object, string | undefined]> = [
    ['port', { port: 80 }, undefined],
    ['another port (§23 #6)', { port: 81 }, 'it is for port 81, this is port 80'],
    ['any port', { port: 0 }, undefined],
    ['labels', { sourceLabels: { app: 'client' } }, undefined],
    [
      'another label',
      { sourceLabels: { app: 'b' } },
      'it is for callers with app=b, this workload has app=client',
    ],
    [
      'a missing label',
      { sourceLabels: { tier: 'b' } },
      'it is for callers with tier=b, this workload has no label tier',
    ],
    ['namespace', { sourceNamespace: 'default' }, undefined],
    [
      'another namespace',
      { sourceNamespace: 'prod' },
      'it is for callers in namespace prod, this workload is in default',
    ],
    ['mesh', { gateways: ['gw', 'mesh'] }, undefined],
    ['gateway', { gateways: ['gw'] }, 'it is for gateway gw, not for the mesh'],
    [
      'gateways switch the source conditions off (§23 #5)',
      { gateways: ['mesh'], sourceLabels: { app: 'b' }, sourceNamespace: 'prod' },
      undefined,
    ],
  ]
  for (const [name, match, reason] of cases) {
    const view = rules({ match: [match], ...to('a', { subset: 's' }) }, here)
    t.equal(view.routes(80, 'a').length, reason === undefined ? 1 : 1, name)
    t.equal(
      view.routes(80, 'a')[0]?.path,
      reason === undefined ? 'http[0].match[0]' : 'http[1]',
      name,
    )
    const told = skippedOf(view).find(({ path }) => path === 'http[0].match[0]')?.reason
    t.equal(told, reason, name)
  }
})

// --- destinations ---------------------------------------------------------------------------------------------
const toldOf = (rule: unknown): string => rules(rule).told(80, 'a').join()

t.test('a destination without port is asked on the port of the listener (fact 14)', async (t) => {
  t.equal(toldOf(to('one')), 'http[0] -> outbound|80||one x1')
  t.equal(toldOf(to('one', { port: { number: 7000 } })), 'http[0] -> outbound|7000||one x1')
})

t.test('a host with a dot is not completed (fact 15)', async (t) => {
  t.equal(toldOf(to('db.prod')), 'http[0] -> outbound|80||db.prod x1')
})

t.test('a leg whose cluster does not exist stays, with its weight (fact 15)', async (t) => {
  const view = rules({
    route: [
      { destination: { host: 'a' }, weight: 1 },
      { destination: { host: 'none' }, weight: 3 },
      { destination: { host: 'a', subset: 'none' }, weight: 4 },
    ],
  })
  t.same(view.told(80, 'a'), [
    'http[0] -> outbound|80||a x1, outbound|80||none x3, outbound|80|none|a x4',
  ])
  const [, none, subset] = forwarding(view.routes(80, 'a')[0]).destinations
  t.equal(view.cluster(none!.cluster), undefined)
  t.equal(view.cluster(subset!.cluster), undefined)
})

t.test(
  'weights are relative, zero vanishes, one destination ignores its weight (§23 #22)',
  async (t) => {
    const legs = (...weights: number[]) =>
      toldOf({
        route: weights.map((weight, index) => ({
          destination: { host: 'a', subset: `s${index}` },
          weight,
        })),
      })
    t.equal(legs(0), 'http[0] -> outbound|80|s0|a x1')
    t.equal(legs(3, 0, 7), 'http[0] -> outbound|80|s0|a x3, outbound|80|s2|a x7')
    t.equal(legs(0, 5), 'http[0] -> outbound|80|s1|a x5')
  },
)

t.test('destinations point at their own line', async (t) => {
  const [first, second] = forwarding(
    firstOf({
      route: [
        { destination: { host: 'a' }, weight: 1 },
        { destination: { host: 'one' }, weight: 1 },
      ],
    }),
  ).destinations
  t.ok(first!.origin.line < second!.origin.line)
})

t.test('a destination that only this workload misses is told', async (t) => {
  const hidden = service('h', {
    ports: ['http:80'],
    namespace: 'prod',
    annotations: { 'networking.istio.io/exportTo': '.' },
  })
  const rule = istio('VirtualService', 'x', {
    hosts: ['a'],
    http: [to('h.prod.svc.cluster.local')],
  })
  const view = viewOf(mesh + hidden + rule)
  t.match(view.problems, [
    {
      severity: 'warning',
      code: 'OUT-HIDDEN',
      object: 'VirtualService default/x',
      message:
        /^h\.prod\.svc\.cluster\.local, Service prod\/h \(mesh\.yaml:\d+\), is not exported to namespace default/,
    },
  ])
  t.same(viewOf(mesh + rule).problems, [], 'a host that nobody has is told by the reference check')
})
