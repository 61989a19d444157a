import t from 'tap'
import { istio, pod, service, viewOf } from './compile-support.ts'

const web = 'outbound|80||web.default.svc.cluster.local'

function slice(name: string, of: string, parts: Record<string, unknown>): string {
  const { namespace = 'default', ...rest } = parts
  const object = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080 }],
    ...rest,
  }
  return `${JSON.stringify(object)}\n---\n`
}

const ofPod = (ip: string, name: string, more: object = {}) => ({
  addresses: [ip],
  targetRef: { kind: 'Pod', name },
  ...more,
})

t.test('slices are joined with their Pods: labels, identity, locality', async (t) => {
  const view = viewOf(
    service('web', { ports: ['http:80:8080'] }) +
      pod('a', '10.0.0.1', { app: 'web', version: 'v1', 'istio-locality': 'eu.west.1' }) +
      slice('s1', 'web', {
        endpoints: [ofPod('10.0.0.1', 'a'), { addresses: ['10.0.0.2'], zone: 'z1' }],
      }) +
      slice('s2', 'web', { endpoints: [ofPod('10.0.0.1', 'a')] }),
  )
  t.same(view.snapshot.endpointSets.get('80|web.default.svc.cluster.local'), [
    {
      address: '10.0.0.1',
      port: 8080,
      weight: 1,
      labels: { app: 'web', 'istio-locality': 'eu.west.1', version: 'v1' },
      locality: 'eu/west/1',
      healthy: true,
      workload: 'a',
      serviceAccount: 'sa-a',
    },
    {
      address: '10.0.0.2',
      port: 8080,
      weight: 1,
      labels: {},
      locality: '/z1',
      healthy: true,
      workload: '',
      serviceAccount: '',
    },
  ])
})

t.test('a slice port is joined by name, and its number wins over targetPort (§14.1)', async (t) => {
  const view = viewOf(
    service('web', { ports: ['http:80:1111', 'admin:81:2222'] }) +
      slice('s', 'web', {
        ports: [{ name: 'admin', port: 9001 }, { name: 'http', port: 9000 }, { name: 'none' }],
        endpoints: [{ addresses: ['10.0.0.1'] }],
      }),
  )
  t.same(view.endpoints(web), ['10.0.0.1:9000'])
  t.same(view.endpoints('outbound|81||web.default.svc.cluster.local'), ['10.0.0.1:9001'])
})

t.test(
  'not ready is unhealthy, terminating is gone, an unknown condition is ready (§23 #80)',
  async (t) => {
    const endpoints = [
      { addresses: ['10.0.0.1'] },
      { addresses: ['10.0.0.2'], conditions: { ready: false } },
      { addresses: ['10.0.0.3'], conditions: { ready: true, terminating: true } },
    ]
    const health = (more: object) =>
      viewOf(
        service('web', { ports: ['http:80'], more: { ...more } }) +
          slice('s', 'web', { endpoints }),
      )
        .snapshot.endpointSets.get('80|web.default.svc.cluster.local')
        ?.map(({ address, healthy }) => [address, healthy])
    t.same(health({}), [
      ['10.0.0.1', true],
      ['10.0.0.2', false],
    ])
    t.same(health({ publishNotReadyAddresses: true }), [
      ['10.0.0.1', true],
      ['10.0.0.2', true],
    ])
  },
)

t.test('slices of another namespace, of FQDNs or without owner are left out', async (t) => {
  const endpoints = [{ addresses: ['10.0.0.9'] }]
  const view = viewOf(
    service('web', { ports: ['http:80'] }) +
      slice('a', 'web', { endpoints, namespace: 'other' }) +
      slice('b', 'web', { endpoints: [{ addresses: ['x.y'] }], addressType: 'FQDN' }) +
      slice('c', 'other', { endpoints }),
  )
  t.same(view.endpoints(web), [])
})

t.test('without slices the selector chooses Pods, as Kubernetes would', async (t) => {
  const container = { containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8123 }] }] }
  const view = viewOf(
    service('web', { ports: ['http:80:web', 'more:81:9000'] }) +
      pod('a', '10.0.0.1', { app: 'web', version: 'v1' }, { spec: container }) +
      pod('b', '10.0.0.2', { app: 'web' }, { spec: container, ready: false }) +
      pod('named', '10.0.0.3', { app: 'web' }) +
      pod('done', '10.0.0.4', { app: 'web' }, { spec: container, phase: 'Succeeded' }) +
      pod('else', '10.0.0.5', { app: 'other' }, { spec: container }) +
      pod('far', '10.0.0.6', { app: 'web' }, { spec: container, namespace: 'far' }),
  )
  t.same(view.endpoints(web), ['10.0.0.1:8123', '10.0.0.2:8123'])
  t.same(
    view.snapshot.endpointSets
      .get('80|web.default.svc.cluster.local')
      ?.map(({ healthy }) => healthy),
    [true, false],
  )
  t.same(view.endpoints('outbound|81||web.default.svc.cluster.local').length, 3)
})

t.test('slices win over the selector', async (t) => {
  const view = viewOf(
    service('web', { ports: ['http:80'] }) +
      pod('a', '10.0.0.1', { app: 'web' }) +
      slice('s', 'web', { endpoints: [{ addresses: ['10.0.0.7'] }] }),
  )
  t.same(view.endpoints(web), ['10.0.0.7:8080'])
})

t.test("a Service's selector chooses WorkloadEntries too", async (t) => {
  const view = viewOf(
    service('web', { ports: ['http:80:8080'] }) +
      istio('WorkloadEntry', 'vm', { address: '10.9.0.1', labels: { app: 'web' }, weight: 3 }) +
      istio('WorkloadEntry', 'vm2', {
        address: '10.9.0.2',
        labels: { app: 'web' },
        ports: { http: 99 },
      }),
  )
  t.same(view.endpoints(web), ['10.9.0.1:8080', '10.9.0.2:99'])
  t.equal(view.snapshot.endpointSets.get('80|web.default.svc.cluster.local')?.[0]?.weight, 3)
})

t.test('internalTrafficPolicy Local keeps the endpoints of this node', async (t) => {
  const mesh =
    service('web', { ports: ['http:80'], more: { internalTrafficPolicy: 'Local' } }) +
    slice('s', 'web', {
      endpoints: [
        { addresses: ['10.0.0.1'], nodeName: 'n1' },
        { addresses: ['10.0.0.2'], nodeName: 'n2' },
      ],
    })
  const known = viewOf(mesh + pod('me', '10.1.0.1', {}, { spec: { nodeName: 'n2' } }))
  t.same(known.endpoints(web), ['10.0.0.2:8080'])
  t.same(known.problems, [])
  const unknown = viewOf(mesh)
  t.equal(unknown.endpoints(web).length, 2)
  t.match(unknown.problems, [
    { code: 'OUT-NODE', severity: 'warning', object: 'Service default/web' },
  ])
})

t.test('equal labels are one object', async (t) => {
  const view = viewOf(
    service('web', { ports: ['http:80'] }) +
      pod('a', '10.0.0.1', { app: 'web', version: 'v1' }) +
      pod('b', '10.0.0.2', { version: 'v1', app: 'web' }),
  )
  const [a, b] = view.snapshot.endpointSets.get('80|web.default.svc.cluster.local')!
  t.equal(a!.labels, b!.labels)
})

// --- ServiceEntry -----------------------------------------------------------------------------------------
const api = 'outbound|80||api.example.com'

function entry(parts: Record<string, unknown>): string {
  return istio('ServiceEntry', 'api', {
    hosts: ['api.example.com'],
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    ...parts,
  })
}

t.test('target port of an endpoint, first hit wins (§4.4)', async (t) => {
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }]
  const view = viewOf(
    entry({
      ports,
      resolution: 'STATIC',
      endpoints: [
        { address: '10.0.0.1', ports: { http: 7000 } },
        { address: '10.0.0.2' },
        { address: 'unix:///run/api.sock' },
      ],
    }),
  )
  t.same(view.endpoints(api), ['10.0.0.1:7000', '10.0.0.2:8080', 'unix:///run/api.sock:0'])
  t.same(
    viewOf(entry({ resolution: 'STATIC', endpoints: [{ address: '10.0.0.2' }] })).endpoints(api),
    ['10.0.0.2:80'],
  )
})

t.test('resolution decides how endpoints are found (§4.2)', async (t) => {
  const discovery = (parts: object) => viewOf(entry({ ...parts })).cluster(api)?.discovery
  t.equal(discovery({}), 'original-destination', 'NONE is the default (§23 #50)')
  t.equal(discovery({ resolution: 'STATIC' }), 'static')
  t.equal(discovery({ resolution: 'DNS' }), 'strict-dns')
  t.equal(discovery({ resolution: 'DNS_ROUND_ROBIN' }), 'logical-dns')
})

t.test(
  'DNS without endpoints resolves the host itself, DNS with endpoints only those',
  async (t) => {
    t.same(viewOf(entry({ resolution: 'DNS' })).endpoints(api), ['api.example.com:80'])
    t.same(
      viewOf(entry({ resolution: 'DNS', endpoints: [{ address: 'eu.example.com' }] })).endpoints(
        api,
      ),
      ['eu.example.com:80'],
    )
  },
)

t.test('resolution NONE keeps the address and may change the port', async (t) => {
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }]
  const cluster = viewOf(entry({ ports })).cluster(api)
  t.equal(cluster?.originalPortOverride, 8080)
  t.equal(cluster?.endpointSet, '')
  t.equal(viewOf(entry({})).cluster(api)?.originalPortOverride, undefined)
})

t.test('STATIC without endpoints has none: requests are answered UH', async (t) => {
  t.same(viewOf(entry({ resolution: 'STATIC' })).endpoints(api), [])
})

t.test('workloadSelector selects Pods and WorkloadEntries of the same namespace', async (t) => {
  const view = viewOf(
    entry({ resolution: 'STATIC', workloadSelector: { labels: { app: 'api' } } }) +
      pod('p', '10.0.0.1', { app: 'api' }) +
      istio('WorkloadEntry', 'vm', { address: '10.9.0.1', labels: { app: 'api' } }) +
      istio(
        'WorkloadEntry',
        'far',
        { address: '10.9.0.2', labels: { app: 'api' } },
        { namespace: 'far' },
      ),
  )
  t.same(view.endpoints(api), ['10.0.0.1:80', '10.9.0.1:80'])
  t.same(
    view.snapshot.endpointSets.get('80|api.example.com')?.map(({ workload }) => workload),
    ['p', 'vm'],
  )
})

t.test(
  'two entries of one namespace for one host are one service with the ports of both (§4.5)',
  async (t) => {
    const second = istio('ServiceEntry', 'api2', {
      hosts: ['api.example.com'],
      resolution: 'STATIC',
      endpoints: [{ address: '10.0.0.2' }],
      ports: [
        { number: 80, name: 'http', protocol: 'TCP' },
        { number: 443, name: 'tls', protocol: 'TLS' },
      ],
    })
    const view = viewOf(
      entry({ resolution: 'STATIC', endpoints: [{ address: '10.0.0.1' }] }) + second,
    )
    t.equal(view.cluster(api)?.protocol, 'http', 'the older one decides')
    t.same(view.endpoints(api), ['10.0.0.1:80', '10.0.0.2:80'])
    t.same(view.endpoints('outbound|443||api.example.com'), ['10.0.0.2:443'])
  },
)

t.test('location decides whether a service is external (§23 #50)', async (t) => {
  t.equal(viewOf(entry({})).cluster(api)?.external, true)
  t.equal(viewOf(entry({ location: 'MESH_INTERNAL' })).cluster(api)?.external, false)
})

t.test('UDP ports are not proxied', async (t) => {
  const udp = {
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'http', port: 80 },
    ],
  }
  const view = viewOf(service('web', { ports: [], more: udp }))
  t.same([...view.snapshot.clusters.keys()], [web])
})
