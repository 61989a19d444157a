import t from 'tap'
import { istio, pod, service, type View, viewOf } from './compile-support.ts'

const legs = (
  routes: ReadonlyArray<{ destinations: ReadonlyArray<{ cluster: string; weight: number }> }> = [],
) =>
  routes.map(({ destinations }) =>
    destinations
      .map(
        ({ cluster, weight }) => `${cluster.replace('.default.svc.cluster.local', '')} x${weight}`,
      )
      .join(', '),
  )

/** Every listener as `addresses:port protocol`. */
const told = (view: View) =>
  view.snapshot.outbound.listeners.map(
    ({ addresses, port, protocol }) => `${addresses.join(',') || '*'}:${port} ${protocol}`,
  )

t.test('kinds of ports with a virtual address (§2.3)', async (t) => {
  const one = (port: string) => viewOf(service('a', { ports: [port], clusterIP: '10.96.0.1' }))
  t.same(told(one('http:80')), ['*:80 http'])
  t.same(told(one('http2:80')), ['*:80 http'])
  t.same(told(one('grpc:80')), ['*:80 http'])
  t.same(told(one('tcp:80')), ['10.96.0.1:80 tcp'])
  t.same(told(one('tls:80')), ['10.96.0.1:80 tls'])
  t.same(told(one(':80')), ['10.96.0.1:80 auto'])
})

t.test('behind its own address an undeclared port does not ask for Host (§23 #31)', async (t) => {
  const view = viewOf(
    service('a', { ports: [':80'], clusterIP: '10.96.0.1' }) +
      istio('VirtualService', 'x', {
        hosts: ['a'],
        http: [{ route: [{ destination: { host: 'a', subset: 's' } }] }],
      }),
  )
  const listener = view.listener(80, '10.96.0.1')
  t.match(listener, {
    service: 'a.default.svc.cluster.local',
    http: { name: 'a.default.svc.cluster.local:80' },
  })
  t.match(listener?.http?.virtualHosts, [{ domains: ['*'], origin: { kind: 'VirtualService' } }])
  t.same(legs(listener?.tcp), ['outbound|80||a x1'], 'opaque bytes go to the service')
})

t.test('every address of a service leads to it', async (t) => {
  const view = viewOf(
    service('a', { ports: ['tcp:80'], more: { clusterIPs: ['10.96.0.1', 'FD00::0:1'] } }),
  )
  t.same(told(view), ['10.96.0.1,fd00::1:80 tcp'])
})

t.test('YAML that never saw a cluster has no addresses: only the port tells', async (t) => {
  t.same(told(viewOf(service('a', { ports: ['http:80', 'tcp:81', 'tls:82', ':83'] }))), [
    '*:80 http',
    '*:81 tcp',
    '*:82 tls',
    '*:83 auto',
  ])
})

t.test('two such TCP ports: the oldest wins, and both places are told', async (t) => {
  const view = viewOf([
    {
      path: 'new.yaml',
      text: service('a', { ports: ['tcp:81'], created: '2026-01-02T00:00:00Z' }),
    },
    {
      path: 'old.yaml',
      text: service('b', { ports: ['tcp:81'], created: '2026-01-01T00:00:00Z' }),
    },
  ])
  t.same(legs(view.listener(81)?.tcp), ['outbound|81||b x1'])
  t.match(view.problems, [
    {
      severity: 'warning',
      code: 'OUT-PORT-TAKEN',
      file: 'new.yaml',
      line: 1,
      object: 'Service default/a',
      message:
        /port 81 belong to b\.default\.svc\.cluster\.local, Service default\/b \(old\.yaml:1\)/,
    },
  ])
})

t.test('undeclared ports without address: HTTP by Host, opaque bytes to the oldest', async (t) => {
  const view = viewOf(service('a', { ports: [':80'] }) + service('b', { ports: [':80'] }))
  t.same(told(view), ['*:80 auto'])
  t.same(view.told(80, 'a'), ['default -> outbound|80||a x1'])
  t.same(view.told(80, 'b'), ['default -> outbound|80||b x1'])
  t.same(legs(view.listener(80)?.tcp), ['outbound|80||a x1'])
  t.match(view.problems, [{ object: 'Service default/b', message: /only HTTP requests find it/ }])
})

t.test(
  'HTTP and TCP on one port of every address become one detecting listener (§14.5)',
  async (t) => {
    const view = viewOf(service('a', { ports: ['http:80'] }) + service('b', { ports: ['tcp:80'] }))
    t.same(told(view), ['*:80 auto'])
    t.match(view.listener(80), { service: 'b.default.svc.cluster.local', http: { name: '80' } })
    t.same(legs(view.listener(80)?.tcp), ['outbound|80||b x1'])
    t.equal(view.host(80, 'b'), undefined, 'a TCP port has no host')
  },
)

t.test(
  'an undeclared port with an address also answers by Host where a table exists',
  async (t) => {
    const view = viewOf(
      service('a', { ports: ['http:80'] }) +
        service('b', { ports: [':80'], clusterIP: '10.96.0.2' }),
    )
    t.same(told(view), ['*:80 http', '10.96.0.2:80 auto'])
    t.same(view.told(80, 'b'), ['default -> outbound|80||b x1'])
  },
)

t.test('one address on one port belongs to the oldest service', async (t) => {
  const view = viewOf(
    service('a', { ports: ['tcp:80'], clusterIP: '10.96.0.1' }) +
      service('b', { ports: ['tcp:80'], clusterIP: '10.96.0.1' }),
  )
  t.same(told(view), ['10.96.0.1:80 tcp'])
  t.match(view.problems, [{ message: /10\.96\.0\.1:80 belong to a\./ }])
})

t.test('headless', async (t) => {
  const mesh = (port: string) =>
    service('db', { ports: [port], clusterIP: 'None' }) +
    pod('db-0', '10.0.0.1', { app: 'db' }) +
    pod('db-1', '10.0.0.2', { app: 'db' })
  t.same(told(viewOf(mesh('tcp:5432'))), ['10.0.0.1,10.0.0.2:5432 tcp'], 'by the Pods (§14.4)')
  t.same(told(viewOf(mesh('http:80'))), ['*:80 http'], 'by Host (§14.5)')
  t.same(told(viewOf(mesh(':80'))), ['10.0.0.1,10.0.0.2:80 auto'])
  t.same(
    told(viewOf(mesh('tcp:5432'), { addresses: ['10.0.0.2'] })),
    ['10.0.0.1:5432 tcp'],
    'the own Pod is skipped',
  )
  t.same(
    told(viewOf(service('db', { ports: ['tcp:1'], clusterIP: 'None' }))),
    [],
    'without Pods nowhere',
  )
})

// --- ServiceEntry ------------------------------------------------------------------------------------------
const entry = (host: string, protocol: string, more: object = {}) =>
  istio('ServiceEntry', host.replaceAll('.', '-').replace('*', 'any'), {
    hosts: [host],
    ports: [{ number: 443, name: 'p', protocol }],
    ...more,
  })

t.test('ServiceEntry (§4.3)', async (t) => {
  const addresses = ['192.0.2.0/24', '198.51.100.1/32']
  t.same(told(viewOf(entry('a.com', 'TCP', { addresses }))), ['192.0.2.0/24,198.51.100.1:443 tcp'])
  t.same(told(viewOf(entry('a.com', 'HTTP', { addresses }))), ['*:443 http'])
  t.same(told(viewOf(entry('a.com', 'TCP'))), ['*:443 tcp'])
  t.same(told(viewOf(entry('a.com', 'UDP'))), [])
})

t.test('TLS without address is told apart by server name', async (t) => {
  const view = viewOf(entry('a.com', 'TLS') + entry('*.b.com', 'HTTPS'))
  t.same(told(view), ['*:443 tls'])
  t.same(
    view.listener(443)?.tls.map(({ sniHosts }) => sniHosts),
    [['a.com'], ['*.b.com']],
  )
  t.same(view.listener(443)?.tcp, [], 'other bytes follow the outbound policy')
})

t.test(
  'an exact server name comes before wildcards, a longer wildcard before a shorter one',
  async (t) => {
    const view = viewOf(
      ['*.com', '*.b.com', 'a.b.com'].map((host) => entry(host, 'TLS')).join('') +
        istio('VirtualService', 'x', {
          hosts: ['*.com'],
          tls: [{ match: [{ sniHosts: ['*.com', 'c.com'] }], route: [dest('x.com')] }],
        }),
    )
    t.same(
      view.listener(443)?.tls.map(({ sniHosts }) => sniHosts.join()),
      ['c.com', '*.com'],
      'rules of a VirtualService replace the names of the services that it covers',
    )
    const plain = viewOf(['*.com', '*.b.com', 'a.b.com'].map((host) => entry(host, 'TLS')).join(''))
    t.same(
      plain.listener(443)?.tls.map(({ sniHosts }) => sniHosts.join()),
      ['a.b.com', '*.b.com', '*.com'],
    )
  },
)

t.test("a Service's TLS port without address answers to all its names", async (t) => {
  const view = viewOf(service('a', { ports: ['https:443'] }))
  t.match(view.listener(443)?.tls, [
    {
      sniHosts: [
        'a.default.svc.cluster.local',
        'a.default.svc.cluster.local.',
        'a',
        'a.default',
        'a.default.svc',
      ],
    },
  ])
})

t.test('TLS and TCP on one port', async (t) => {
  const view = viewOf(entry('a.com', 'TLS') + entry('b.com', 'TCP'))
  t.same(told(view), ['*:443 auto'])
  t.same(legs(view.listener(443)?.tls), ['outbound|443||a.com x1'])
  t.same(legs(view.listener(443)?.tcp), ['outbound|443||b.com x1'])
})

t.test('several hosts of one entry share its addresses without a word', async (t) => {
  const view = viewOf(
    istio('ServiceEntry', 'e', {
      hosts: ['a.com', 'b.com'],
      addresses: ['192.0.2.1'],
      ports: [{ number: 1, name: 'p', protocol: 'TCP' }],
    }),
  )
  t.same(told(view), ['192.0.2.1:1 tcp'])
  t.same(view.problems, [])
})

// --- tcp and tls rules -----------------------------------------------------------------------------------------
const tcpMesh = service('a', { ports: ['tcp:9000', 'tcp-b:9001'], clusterIP: '10.96.0.1' })
const dest = (host: string, subset = '', port?: number) => ({
  destination: { host, ...(subset ? { subset } : {}), ...(port ? { port: { number: port } } : {}) },
})
const tcpRules = (tcp: unknown[], yaml = tcpMesh) =>
  viewOf(yaml + istio('VirtualService', 'x', { hosts: ['a'], tcp }))

t.test('tcp rules (§2.17)', async (t) => {
  t.test('the first rule without condition ends the list', async (t) => {
    const view = tcpRules([{ route: [dest('a', 'one')] }, { route: [dest('a', 'two')] }])
    t.same(legs(view.listener(9000, '10.96.0.1')?.tcp), ['outbound|9000|one|a x1'])
    t.match(view.listener(9000, '10.96.0.1')?.tcp, [
      { path: 'tcp[0]', origin: { kind: 'VirtualService' } },
    ])
  })
  t.test('by port, and otherwise to the service itself (§23 #7)', async (t) => {
    const view = tcpRules([{ match: [{ port: 9001 }], route: [dest('a', 'one')] }])
    t.same(legs(view.listener(9000, '10.96.0.1')?.tcp), ['outbound|9000||a x1'])
    t.same(legs(view.listener(9001, '10.96.0.1')?.tcp), ['outbound|9001|one|a x1'])
  })
  t.test('by destination, then on to the next', async (t) => {
    const view = tcpRules([
      { match: [{ destinationSubnets: ['10.96.0.0/16', '10.0.0.1'] }], route: [dest('a', 'one')] },
    ])
    t.match(view.listener(9000, '10.96.0.1')?.tcp, [
      { path: 'tcp[0].match[0]', destinationSubnets: ['10.96.0.0/16', '10.0.0.1'] },
      { path: '', destinationSubnets: [] },
    ])
  })
  t.test('conditions on the client are all asked, beside gateways too (§23 #5)', async (t) => {
    const match = [{ gateways: ['mesh'], sourceLabels: { app: 'other' } }]
    const view = tcpRules([{ match, route: [dest('a', 'one')] }])
    t.same(legs(view.listener(9000, '10.96.0.1')?.tcp), ['outbound|9000||a x1'])
  })
  t.test('weights: zero vanishes', async (t) => {
    const view = tcpRules([
      {
        route: [
          { ...dest('a', 'one'), weight: 80 },
          { ...dest('a', 'two'), weight: 20 },
          { ...dest('a', 'no'), weight: 0 },
        ],
      },
    ])
    t.same(legs(view.listener(9000, '10.96.0.1')?.tcp), [
      'outbound|9000|one|a x80, outbound|9000|two|a x20',
    ])
  })
  t.test(
    'a destination without port: its only one, else that of the listener (§2.7)',
    async (t) => {
      const single = tcpMesh + service('db', { ports: ['tcp:5432'] })
      const view = tcpRules([{ route: [dest('db')] }], single)
      t.same(legs(view.listener(9000, '10.96.0.1')?.tcp), ['outbound|5432||db x1'])
      const several = tcpRules([{ route: [dest('a')] }])
      t.same(legs(several.listener(9001, '10.96.0.1')?.tcp), ['outbound|9001||a x1'])
    },
  )
})

t.test('tls rules (§2.16)', async (t) => {
  const tls = (protocol: string, more: object = {}) =>
    viewOf(
      entry('a.com', protocol, more) +
        istio('VirtualService', 'x', {
          hosts: ['a.com'],
          tls: [
            { match: [{ sniHosts: ['a.com'], port: 443 }], route: [dest('b.com', 'one')] },
            { match: [{ sniHosts: ['a.com'] }], route: [dest('b.com', 'two')] },
          ],
        }),
    )
  t.test('the first rule for a server name wins; others are left to the policy', async (t) => {
    const listener = tls('TLS').listener(443)
    t.same(legs(listener?.tls), ['outbound|443|one|b.com x1'])
    t.same(listener?.tcp, [])
  })
  t.test('on a TCP port the bytes are looked at, and the rest goes to the service', async (t) => {
    const listener = tls('TCP', { addresses: ['192.0.2.1'] }).listener(443, '192.0.2.1')
    t.equal(listener?.protocol, 'auto')
    t.same(legs(listener?.tcp), ['outbound|443||a.com x1'])
  })
  t.test('a TLS port with an address takes every server name', async (t) => {
    const view = viewOf(entry('a.com', 'TLS', { addresses: ['192.0.2.1'] }))
    const listener = view.listener(443, '192.0.2.1')
    t.match(listener?.tls, [{ sniHosts: [] }])
    t.same(legs(listener?.tcp), ['outbound|443||a.com x1'])
  })
})

t.test('there is at most one listener per address and port', async (t) => {
  const view = viewOf(
    service('a', { ports: ['http:80', 'tcp:81'] }) +
      service('b', { ports: ['tcp:80', ':81'], clusterIP: '10.96.0.1' }) +
      entry('c.com', 'TCP') +
      entry('d.com', 'TLS') +
      entry('e.com', 'HTTP'),
  )
  const places = view.snapshot.outbound.listeners.flatMap(({ addresses, port }) =>
    (addresses.length === 0 ? ['*'] : addresses).map((address) => `${address}:${port}`),
  )
  t.equal(new Set(places).size, places.length)
})

// --- unknown destinations -----------------------------------------------------------------------------------------
t.test('outbound policy (§6.2, §12.1)', async (t) => {
  const policy = (yaml: string) => viewOf(yaml).snapshot.outbound.policy
  const mesh = (text: string) => `kind: MeshConfig\n${text}\n---\n`
  const sidecar = (block: object) =>
    istio('Sidecar', 's', { egress: [{ hosts: ['*/*'] }], ...block })
  t.same(policy(''), { mode: 'ALLOW_ANY', origin: undefined })
  t.match(policy(mesh('outboundTrafficPolicy: {mode: REGISTRY_ONLY}')), {
    mode: 'REGISTRY_ONLY',
    origin: { kind: 'MeshConfig', line: 2 },
  })
  t.equal(policy(mesh('outboundTrafficPolicy: {}')).mode, 'REGISTRY_ONLY', 'enum zero')
  t.match(
    policy(sidecar({ outboundTrafficPolicy: {} })),
    { mode: 'REGISTRY_ONLY', origin: { kind: 'Sidecar' } },
    '§23 #47',
  )
  const both = mesh('outboundTrafficPolicy: {mode: REGISTRY_ONLY}')
  t.equal(
    policy(both + sidecar({ outboundTrafficPolicy: { mode: 'ALLOW_ANY' } })).mode,
    'ALLOW_ANY',
  )
  t.equal(policy(both + sidecar({})).mode, 'REGISTRY_ONLY', 'a Sidecar without a word inherits')
})
