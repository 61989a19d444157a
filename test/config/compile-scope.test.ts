import t from 'tap'
import { istio, service, type View, viewOf } from './compile-support.ts'

const http = { ports: ['http:80'] }
const mesh =
  service('a', http) +
  service('b', { ...http, namespace: 'prod' }) +
  service('c', { ...http, namespace: 'test' })

const sidecar = (name: string, spec: object, metadata: object = {}) =>
  istio('Sidecar', name, spec, { ...metadata })
const importing = (...hosts: string[]) => ({ egress: [{ hosts }] })

/** Names of the services in force. */
const seen = (view: View) =>
  [...view.snapshot.clusters.values()]
    .filter(({ subset }) => subset === '')
    .map(({ serviceName }) => serviceName)
    .sort()
    .join('')

t.test('without Sidecar everything is seen (§6.1)', async (t) => {
  t.equal(seen(viewOf(mesh)), 'abc')
})

t.test('imports (§6.2, §6.3)', async (t) => {
  const cases: Array<[string[], string]> = [
    [['*/*'], 'abc'],
    [['./*'], 'a'],
    [['prod/*', './*'], 'ab'],
    [['*/b.prod.svc.cluster.local'], 'b'],
    [['test/b.prod.svc.cluster.local'], ''],
    [['*/*.prod.svc.cluster.local'], 'b'],
    [['*/*', '~prod/*'], 'ac'],
    [['~prod/*', '*/*'], 'ac'],
    [['*/*', '~/c.test.svc.cluster.local'], 'ab'],
    [['*/*', '~*/*'], ''],
    [['~/*'], ''],
  ]
  for (const [hosts, expected] of cases)
    t.equal(seen(viewOf(mesh + sidecar('s', importing(...hosts)))), expected, hosts.join(' '))
})

t.test('an exclusion always wins (§23 #79)', async (t) => {
  const rule = istio('VirtualService', 'x', {
    hosts: ['a.default.svc.cluster.local'],
    http: [{ route: [{ destination: { host: 'b.prod.svc.cluster.local' } }] }],
  })
  const view = viewOf(mesh + rule + sidecar('s', importing('./*', '~prod/*')))
  t.equal(seen(view), 'a', 'over what a VirtualService leads to, too')
})

t.test('a wildcard import meets a wildcard host from either side', async (t) => {
  const entry = istio('ServiceEntry', 'e', {
    hosts: ['*.foo.com'],
    ports: [{ number: 80, name: 'h', protocol: 'HTTP' }],
  })
  for (const host of ['*.com', '*.a.foo.com', '*.foo.com'])
    t.equal(seen(viewOf(entry + sidecar('s', importing(`*/${host}`)))), '*.foo.com', host)
  t.equal(seen(viewOf(entry + sidecar('s', importing('*/*.bar.com')))), '')
})

t.test(
  'which Sidecar counts: own with selector, own without, root without; never two (§6.1, §23 #78)',
  async (t) => {
    const root = sidecar('r', importing('test/*'), { namespace: 'istio-system' })
    const own = sidecar('o', importing('./*'))
    const selecting = sidecar('z', {
      ...importing('prod/*'),
      workloadSelector: { labels: { app: 'client' } },
    })
    t.equal(seen(viewOf(mesh + root)), 'c')
    t.equal(seen(viewOf(mesh + root + own)), 'a')
    t.equal(seen(viewOf(mesh + root + own + selecting)), 'b')
    t.equal(seen(viewOf(mesh + root + own + selecting, { labels: { app: 'x' } })), 'a')
    t.equal(seen(viewOf(mesh + sidecar('f', importing('test/*'), { namespace: 'prod' }))), 'abc')
  },
)

t.test(
  'a Sidecar of the root namespace with a selector is for that namespace only (§23 #52)',
  async (t) => {
    const root = sidecar(
      'r',
      { ...importing('test/*'), workloadSelector: { labels: { app: 'client' } } },
      { namespace: 'istio-system' },
    )
    t.equal(seen(viewOf(mesh + root)), 'abc')
    t.equal(seen(viewOf(mesh + root, { namespace: 'istio-system' })), 'c')
  },
)

t.test('of several the oldest counts', async (t) => {
  const view = viewOf(
    mesh +
      sidecar('a', importing('./*'), { creationTimestamp: '2026-01-02T00:00:00Z' }) +
      sidecar('b', importing('prod/*'), { creationTimestamp: '2026-01-01T00:00:00Z' }),
  )
  t.equal(seen(view), 'b')
})

t.test('a Sidecar without egress imports everything', async (t) => {
  t.equal(
    seen(viewOf(mesh + sidecar('s', { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } }))),
    'abc',
  )
})

t.test(
  'an imported VirtualService brings all its hosts, and what it leads to (§2.2, §6.3)',
  async (t) => {
    const rule = istio('VirtualService', 'x', {
      hosts: ['a.default.svc.cluster.local', 'ghost.com'],
      http: [{ route: [{ destination: { host: 'b.prod.svc.cluster.local' } }] }],
    })
    const view = viewOf(mesh + rule + sidecar('s', importing('./a.default.svc.cluster.local')))
    t.equal(seen(view), 'ab')
    t.same(view.told(80, 'a'), ['http[0] -> outbound|80||b.prod.svc.cluster.local x1'])
    t.ok(view.host(80, 'ghost.com'))
  },
)

t.test('a VirtualService of a namespace that is not imported has no effect', async (t) => {
  const rule = istio(
    'VirtualService',
    'x',
    { hosts: ['a.default.svc.cluster.local'], http: [{ route: [{ destination: { host: 'c' } }] }] },
    { namespace: 'test' },
  )
  const view = viewOf(mesh + rule + sidecar('s', importing('./*')))
  t.equal(view.routes(80, 'a')[0]?.name, 'default')
  t.equal(seen(view), 'a')
})

t.test('a destination that the Sidecar excludes is told', async (t) => {
  const rule = istio('VirtualService', 'x', {
    hosts: ['a.default.svc.cluster.local'],
    http: [{ route: [{ destination: { host: 'b.prod.svc.cluster.local' } }] }],
  })
  const view = viewOf(mesh + rule + sidecar('s', importing('*/*', '~prod/*')))
  t.match(view.problems, [
    { code: 'OUT-HIDDEN', message: /is not imported by the Sidecar of this workload/ },
  ])
})

t.test(
  'a listener with a port holds only its own hosts, and closes the port to others (§6.3)',
  async (t) => {
    const view = viewOf(
      mesh +
        service('d', { ports: ['http:80', 'http-b:81', 'tcp:82'] }) +
        sidecar('s', {
          egress: [
            { port: { number: 80, protocol: 'HTTP', name: 'h' }, hosts: ['prod/*'] },
            { port: { number: 82, protocol: 'TCP', name: 't' }, hosts: ['./*'] },
            { hosts: ['./*'] },
          ],
        }),
    )
    t.ok(view.host(80, 'b.prod'))
    t.equal(view.host(80, 'a'), undefined, 'unknown hosts there follow the outbound policy')
    t.ok(view.host(81, 'd'))
    t.match(view.listener(82), { service: 'd.default.svc.cluster.local', protocol: 'tcp' })
    t.equal(seen(view), 'abddd')
  },
)

t.test('a listener with an address is found by it', async (t) => {
  const view = viewOf(
    service('db', { ports: ['tcp:5432'], clusterIP: '10.96.0.9' }) +
      sidecar('s', {
        egress: [
          { port: { number: 5432, protocol: 'TCP', name: 't' }, bind: '192.0.2.1', hosts: ['./*'] },
        ],
      }),
  )
  t.match(view.listener(5432, '192.0.2.1'), { service: 'db.default.svc.cluster.local' })
  t.equal(view.listener(5432, '10.96.0.9'), undefined)
})

t.test(
  'the protocol of a listener is that of the Sidecar, without one that of the service',
  async (t) => {
    const egress = (protocol: string) =>
      viewOf(
        service('a', { ports: ['http:80'] }) +
          sidecar('s', { egress: [{ port: { number: 80, protocol, name: 'p' }, hosts: ['./*'] }] }),
      ).listener(80)?.protocol
    t.equal(egress('TCP'), 'tcp')
    t.equal(egress('HTTP'), 'http')
    const opaque = viewOf(
      service('a', { ports: ['tcp:80'] }) +
        sidecar('s', {
          egress: [{ port: { number: 80, protocol: 'HTTP', name: 'p' }, hosts: ['./*'] }],
        }),
    )
    t.same(opaque.told(80, 'a'), ['default -> outbound|80||a x1'])
    t.equal(
      opaque.cluster('outbound|80||a.default.svc.cluster.local')?.protocol,
      'tcp',
      'the service speaks as it says',
    )
  },
)

t.test(
  'listeners without capture are doors, and what none can serve is told with its line',
  async (t) => {
    const port = (number: number, protocol = 'HTTP') => ({ number, protocol, name: 'p' })
    const hosts = ['./*']
    const view = viewOf(
      mesh +
        sidecar('s', {
          egress: [
            { port: port(80), captureMode: 'NONE', hosts },
            { port: port(81, 'HTTP_PROXY'), captureMode: 'NONE', bind: '127.0.0.9', hosts },
            { port: port(82, 'HTTP_PROXY'), hosts },
            { port: port(0), bind: 'unix:///run/egress', hosts },
            { port: port(0, 'TCP'), bind: 'unix:///run/opaque', hosts },
            { captureMode: 'NONE', hosts: ['*/*'] },
          ],
        }),
    )
    t.match(view.snapshot.outbound.doors, [
      { address: '127.0.0.1', port: 80, kind: 'listener', origin: { name: 's' } },
      { address: '127.0.0.9', port: 81, kind: 'proxy' },
      { address: 'unix:///run/egress', port: 0, kind: 'proxy' },
    ])
    t.match(view.problems, [
      {
        code: 'OUT-DOOR',
        object: 'Sidecar default/s',
        message: /^spec\.egress\[4\]\.bind: only HTTP/,
      },
      { code: 'OUT-DOOR', message: /^spec\.egress\[5\]\.captureMode: NONE without a port/ },
    ])
    t.ok(view.problems[0]!.line < view.problems[1]!.line)
  },
)
