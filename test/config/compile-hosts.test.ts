import t from 'tap'
import { istio, service, viewOf } from './compile-support.ts'

const http = { ports: ['http:80'] }
const to = (host: string, more: object = {}) => ({ route: [{ destination: { host, ...more } }] })
const vs = (
  name: string,
  hosts: string[],
  rules: unknown[],
  metadata: object = {},
  more: object = {},
) => istio('VirtualService', name, { hosts, http: rules, ...more }, { ...metadata })

t.test('names of a service (§2.3, fact 17)', async (t) => {
  const near = viewOf(service('shop', { ...http, clusterIP: '10.96.0.1' }))
  t.same(near.host(80, 'shop')?.domains, [
    'shop.default.svc.cluster.local',
    'shop.default.svc.cluster.local.',
    'shop',
    'shop.default',
    'shop.default.svc',
    '10.96.0.1',
  ])
  const far = viewOf(service('shop', { ...http, namespace: 'prod' }))
  t.same(far.host(80, 'shop.prod')?.domains, [
    'shop.prod.svc.cluster.local',
    'shop.prod.svc.cluster.local.',
    'shop.prod',
    'shop.prod.svc',
  ])
})

t.test('an IPv6 address is in brackets, a CIDR is no domain, case is lowered', async (t) => {
  const entry = (addresses: string[]) =>
    istio('ServiceEntry', 'a', {
      hosts: ['API.Example.com'],
      addresses,
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    })
  t.same(viewOf(entry(['2001:db8::1', '10.0.0.0/24'])).host(80, 'api.example.com')?.domains, [
    'api.example.com',
    'api.example.com.',
    '[2001:db8::1]',
  ])
})

t.test('a headless service also answers for its Pods (§2.3)', async (t) => {
  const view = viewOf(service('db', { ...http, clusterIP: 'None' }))
  const domains = view.host(80, 'db')?.domains ?? []
  t.ok(domains.includes('*.db.default.svc.cluster.local'))
  t.ok(domains.includes('*.db'))
  t.equal(
    view.cluster('outbound|80||db.default.svc.cluster.local')?.discovery,
    'original-destination',
    'fact 26',
  )
})

t.test('a full name belongs to its own service, not to the short form of another', async (t) => {
  const view = viewOf(
    service('a', { ports: ['http:80'], namespace: 'b' }) +
      istio('ServiceEntry', 'x', {
        hosts: ['a.b'],
        ports: [{ number: 80, name: 'h', protocol: 'HTTP' }],
      }),
  )
  t.equal(view.host(80, 'a.b')?.name, 'a.b:80')
  t.equal(view.host(80, 'a.b.svc')?.name, 'a.b.svc.cluster.local:80')
})

t.test('without VirtualService a service has one default route', async (t) => {
  const view = viewOf(service('a', http))
  t.match(view.host(80, 'a'), {
    name: 'a.default.svc.cluster.local:80',
    skipped: [],
    origin: { kind: 'Service', name: 'a', file: 'mesh.yaml', line: 1 },
    routes: [{ name: 'default', path: '', action: { kind: 'forward', timeoutMs: undefined } }],
  })
  t.equal(view.routes(80, 'a')[0]?.match, undefined)
})

t.test(
  'all services of a port stand in one table, told apart by Host alone (§23 #31)',
  async (t) => {
    const view = viewOf(
      service('a', { ...http, clusterIP: '10.96.0.1' }) +
        service('b', { ...http, clusterIP: '10.96.0.2' }),
    )
    t.equal(view.snapshot.outbound.listeners.length, 1)
    t.match(view.listener(80), {
      addresses: [],
      protocol: 'http',
      http: { name: '80' },
      tcp: [],
      tls: [],
    })
  },
)

t.test(
  'two VirtualServices for one host: the oldest owns it whole (fact 19, §23 #8)',
  async (t) => {
    const mesh = service('a', http)
    const first = { match: [{ uri: { prefix: '/x' } }], ...to('a', { subset: 'one' }) }
    const both = (metadata: object) =>
      viewOf(
        mesh + vs('b', ['a'], [first]) + vs('a', ['a'], [to('a', { subset: 'two' })], metadata),
      )
    t.same(both({}).told(80, 'a'), ['http[0] -> outbound|80|two|a x1'], 'by name without dates')
    const dated = both({ creationTimestamp: '2026-01-01T00:00:00Z' })
    t.same(dated.told(80, 'a'), ['http[0].match[0] -> outbound|80|one|a x1'], 'undated is older')
    t.match(dated.host(80, 'a')?.skipped, [
      {
        path: '',
        origin: { name: 'a' },
        before: 1,
        reason: /VirtualService default\/b \(mesh\.yaml:\d+\) owns this host/,
      },
    ])
  },
)

t.test(
  'private VirtualServices come before those exported to us, and these before public ones (§2.2)',
  async (t) => {
    const one = (name: string, exportTo: string[], namespace = 'default') =>
      vs(
        name,
        ['a.default.svc.cluster.local'],
        [to('a.default.svc.cluster.local', { subset: name })],
        { namespace },
        { exportTo },
      )
    const mesh = service('a', http) + one('public', ['*']) + one('shown', ['default'], 'other')
    t.same(viewOf(mesh).told(80, 'a'), ['http[0] -> outbound|80|shown|a x1'])
    t.same(viewOf(mesh + one('z-private', ['.'])).told(80, 'a'), [
      'http[0] -> outbound|80|z-private|a x1',
    ])
    t.same(viewOf(mesh, { namespace: 'third' }).told(80, 'a.default'), [
      'http[0] -> outbound|80|public|a x1',
    ])
  },
)

t.test('a VirtualService that is not bound to the mesh has no effect (§1.3)', async (t) => {
  const bound = (gateways: string[]) =>
    viewOf(service('a', http) + vs('a', ['a'], [to('a', { subset: 's' })], {}, { gateways }))
  t.equal(bound(['gw']).routes(80, 'a')[0]?.name, 'default')
  t.same(bound(['gw', 'mesh']).told(80, 'a'), ['http[0] -> outbound|80|s|a x1'])
})

t.test('when all rules are excluded statically there is no VirtualService (§23 #7)', async (t) => {
  const view = viewOf(service('a', http) + vs('a', ['a'], [{ match: [{ port: 81 }], ...to('a') }]))
  t.match(view.host(80, 'a'), { origin: { kind: 'Service' }, routes: [{ name: 'default' }] })
  t.match(view.host(80, 'a')?.skipped, [
    {
      path: 'http[0].match[0]',
      origin: { kind: 'VirtualService' },
      reason: 'it is for port 81, this is port 80',
    },
  ])
})

t.test('with tls rules only, HTTP takes the default route (§2.4)', async (t) => {
  const tls = [{ match: [{ sniHosts: ['a.default.svc.cluster.local'] }], ...to('a') }]
  const view = viewOf(
    service('a', http) +
      istio('VirtualService', 'a', { hosts: ['a.default.svc.cluster.local'], tls }),
  )
  t.equal(view.routes(80, 'a')[0]?.name, 'default')
})

t.test('the second VirtualService gets a port on which the first one has no rule', async (t) => {
  const view = viewOf(
    service('a', { ports: ['http:80', 'http-b:81'] }) +
      vs('a', ['a'], [{ match: [{ port: 80 }], ...to('a', { subset: 'one' }) }]) +
      vs('b', ['a'], [to('a', { subset: 'two' })]),
  )
  t.same(view.told(80, 'a'), ['http[0].match[0] -> outbound|80|one|a x1'])
  t.same(view.told(81, 'a'), ['http[0] -> outbound|81|two|a x1'])
})

t.test('a short host means the namespace of the VirtualService (§23 #10)', async (t) => {
  const view = viewOf(
    service('a', { ...http, namespace: 'prod' }) +
      service('a', http) +
      vs('x', ['a'], [to('a', { subset: 's' })], { namespace: 'prod' }),
  )
  t.same(view.told(80, 'a.prod'), ['http[0] -> outbound|80|s|a.prod.svc.cluster.local x1'])
  t.equal(view.routes(80, 'a')[0]?.name, 'default')
})

t.test(
  'a host without service is served on port 80 by its full name only (fact 18, §23 #30)',
  async (t) => {
    const view = viewOf(
      service('a', { ports: ['http:80', 'http-b:81'] }) +
        vs('g', ['ghost'], [to('a')]) +
        vs('d', ['dotted.example.com'], [to('a')]),
    )
    t.same(view.host(80, 'ghost.default.svc.cluster.local')?.domains, [
      'ghost.default.svc.cluster.local',
    ])
    t.same(view.told(80, 'dotted.example.com'), ['http[0] -> outbound|80||a x1'])
    t.equal(view.host(81, 'ghost.default.svc.cluster.local'), undefined)
    t.equal(view.host(81, 'dotted.example.com'), undefined)
  },
)

t.test(
  'a host without service is also served where a sibling host is a service (§2.2)',
  async (t) => {
    const view = viewOf(
      service('a', { ports: ['http:8080'] }) + vs('g', ['a', 'ghost.com'], [to('a')]),
    )
    t.same(view.told(8080, 'ghost.com'), ['http[0] -> outbound|8080||a x1'])
    t.same(
      view.told(80, 'ghost.com'),
      ['http[0] -> outbound|80||a x1'],
      'port 80 without any service',
    )
  },
)

t.test(
  'a wildcard host routes the services that it covers and no other name (§23 #29)',
  async (t) => {
    const entry = (host: string) =>
      istio('ServiceEntry', host.replaceAll('.', '-'), {
        hosts: [host],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      })
    const rule = vs('w', ['*.foo.com'], [to('a.foo.com', { subset: 'w' })])
    const alone = viewOf(rule)
    t.same(alone.host(80, '*.foo.com')?.domains, ['*.foo.com'], 'as long as no service is covered')
    const view = viewOf(entry('a.foo.com') + entry('b.bar.com') + rule)
    t.same(view.told(80, 'a.foo.com'), ['http[0] -> outbound|80|w|a.foo.com x1'])
    t.equal(view.host(80, '*.foo.com'), undefined)
    t.equal(view.routes(80, 'b.bar.com')[0]?.name, 'default')
  },
)

t.test('the most specific host wins: exact, then the longer wildcard (§2.2)', async (t) => {
  const entries = ['x.a.foo.com', 'y.foo.com', 'z.foo.com'].map((host) =>
    istio('ServiceEntry', host.replaceAll('.', '-'), {
      hosts: [host],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    }),
  )
  const view = viewOf(
    entries.join('') +
      vs('a-wide', ['*.foo.com'], [to('z.foo.com', { subset: 'wide' })]) +
      vs('b-long', ['*.a.foo.com'], [to('z.foo.com', { subset: 'long' })]) +
      vs('c-exact', ['y.foo.com'], [to('z.foo.com', { subset: 'exact' })]),
  )
  t.same(view.told(80, 'x.a.foo.com'), ['http[0] -> outbound|80|long|z.foo.com x1'])
  t.same(view.told(80, 'y.foo.com'), ['http[0] -> outbound|80|exact|z.foo.com x1'])
  t.same(view.told(80, 'z.foo.com'), ['http[0] -> outbound|80|wide|z.foo.com x1'])
})

t.test(
  'of two with one wildcard the first owns what it covers, without a usable rule too',
  async (t) => {
    const view = viewOf(
      service('a', { ports: ['http:80', 'http-b:81'] }) +
        vs(
          'a',
          ['*.svc.cluster.local'],
          [{ match: [{ port: 80 }], ...to('a', { subset: 'one' }) }],
        ) +
        vs('b', ['*.svc.cluster.local'], [to('a', { subset: 'two' })]) +
        vs('c', ['*.local'], [to('a', { subset: 'three' })]),
    )
    t.same(view.told(80, 'a'), ['http[0].match[0] -> outbound|80|one|a x1'])
    t.equal(view.routes(81, 'a')[0]?.name, 'default')
    t.match(view.host(81, 'a')?.skipped, [
      { path: 'http[0].match[0]', reason: 'it is for port 80, this is port 81' },
      { origin: { name: 'b' }, reason: /^VirtualService default\/a .* owns this host/ },
    ])
  },
)

t.test('hosts of one VirtualService share their routes', async (t) => {
  const view = viewOf(service('a', http) + service('b', http) + vs('x', ['a', 'b'], [to('a')]))
  t.equal(view.host(80, 'a')?.routes, view.host(80, 'b')?.routes)
})

t.test('ExternalName', async (t) => {
  const external = (name: string, externalName: string, ports: string[] = ['http:80']) =>
    service(name, { ports, more: { type: 'ExternalName', externalName, selector: null } })
  const target = service('a', http)
  const alias = external('alias', 'a.default.svc.cluster.local')

  t.test('to a mesh Service is an alias that follows its VirtualService (fact 25)', async (t) => {
    const view = viewOf(target + alias + vs('x', ['a'], [to('a', { subset: 's' })]))
    t.equal(view.host(80, 'alias'), view.host(80, 'a'))
    t.ok(view.host(80, 'a')?.domains.includes('alias.default.svc'))
    t.equal(view.cluster('outbound|80||alias.default.svc.cluster.local'), undefined)
  })

  t.test('its own VirtualService wins (fact 25)', async (t) => {
    const view = viewOf(
      target +
        alias +
        vs('x', ['a'], [to('a', { subset: 'x' })]) +
        vs('y', ['alias'], [to('a', { subset: 'y' })]),
    )
    t.same(view.told(80, 'alias'), ['http[0] -> outbound|80|y|a x1'])
    t.same(view.told(80, 'a'), ['http[0] -> outbound|80|x|a x1'])
    t.equal(view.host(80, 'alias.default')?.name, 'alias.default.svc.cluster.local:80')
  })

  t.test('as a destination it is its target (§23 #84)', async (t) => {
    const view = viewOf(target + alias + service('b', http) + vs('b', ['b'], [to('alias')]))
    t.same(view.told(80, 'b'), ['http[0] -> outbound|80||a x1'])
  })

  t.test('chains are followed, loops lead nowhere', async (t) => {
    const chain = viewOf(target + alias + external('far', 'alias.default.svc.cluster.local'))
    t.equal(chain.host(80, 'far'), chain.host(80, 'a'))
    const loop = viewOf(
      external('x', 'y.default.svc.cluster.local') + external('y', 'x.default.svc.cluster.local'),
    )
    t.equal(loop.snapshot.outbound.listeners.length, 0)
    t.equal(loop.snapshot.clusters.size, 0)
  })

  t.test('to a name outside is resolved by DNS', async (t) => {
    const view = viewOf(external('out', 'db.example.com', ['http:80:9999']))
    const name = 'outbound|80||out.default.svc.cluster.local'
    t.match(view.cluster(name), { discovery: 'strict-dns', external: true })
    t.same(view.endpoints(name), ['db.example.com:80'])
    t.same(view.told(80, 'out'), ['default -> outbound|80||out x1'])
  })
})

t.test(
  'one host in several namespaces: own one first, then the Kubernetes Service, then the oldest',
  async (t) => {
    const entry = (name: string, namespace: string, host: string, subset: string) =>
      istio(
        'ServiceEntry',
        name,
        {
          hosts: [host],
          resolution: 'STATIC',
          endpoints: [{ address: subset }],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        },
        { namespace },
      )
    const api = 'outbound|80||api.com'
    const two = entry('a', 'one', 'api.com', '10.0.0.1') + entry('b', 'two', 'api.com', '10.0.0.2')
    t.same(viewOf(two).endpoints(api), ['10.0.0.1:80'])
    t.same(viewOf(two, { namespace: 'two' }).endpoints(api), ['10.0.0.2:80'])
    const both =
      service('a', http) + entry('0', 'default', 'a.default.svc.cluster.local', '10.0.0.9')
    t.equal(viewOf(both).host(80, 'a')?.origin.kind, 'Service', '§4.5')
  },
)

t.test('exportTo hides services, by field and by annotation (§1.4)', async (t) => {
  const hidden = (annotation: string) =>
    viewOf(
      service('a', {
        ...http,
        namespace: 'prod',
        annotations: { 'networking.istio.io/exportTo': annotation },
      }),
    ).host(80, 'a.prod')
  t.equal(hidden('.'), undefined)
  t.equal(hidden('~'), undefined)
  t.not(hidden('other, default'), undefined)
  t.not(hidden('*'), undefined)
  const mesh = 'kind: MeshConfig\ndefaultServiceExportTo: ["."]\n---\n'
  t.equal(viewOf(mesh + service('a', { ...http, namespace: 'prod' })).host(80, 'a.prod'), undefined)
})

t.test('another mesh domain', async (t) => {
  const view = viewOf(service('a', http), {}, { domain: 'mesh.test' })
  t.equal(view.host(80, 'a')?.name, 'a.default.svc.mesh.test:80')
})

t.test('an IPv6 address among the hosts is a domain as Host writes it', async (t) => {
  const view = viewOf(service('a', http) + vs('v', ['2001:db8::7', '192.0.2.7'], [to('a')]))
  t.equal(view.host(80, '[2001:db8::7]')?.origin.name, 'v')
  t.equal(view.host(80, '192.0.2.7')?.origin.name, 'v')
})
