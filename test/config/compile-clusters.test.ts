import t from 'tap'
import type { ClusterSpec } from '../../config/snapshot.ts'
import { istio, pod, service, type View, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80', 'tcp-b:81'], namespace: 'prod' })
const host = 'a.prod.svc.cluster.local'
const name = (subset = '', port = 80) => `outbound|${port}|${subset}|${host}`

const rule = (metaName: string, spec: object, metadata: object = {}) =>
  istio('DestinationRule', metaName, { host, ...spec }, { ...metadata })
const balancer = (simple: string) => ({ trafficPolicy: { loadBalancer: { simple } } })
const subset = (subsetName: string, more: object = {}) => ({
  name: subsetName,
  labels: { version: subsetName },
  ...more,
})

function clusterOf(yaml: string, subsetName = '', port = 80): ClusterSpec {
  const cluster = viewOf(mesh + yaml).cluster(name(subsetName, port))
  if (cluster === undefined) throw new TypeError(`no cluster ${name(subsetName, port)}`)
  return cluster
}
const kindOf = (yaml: string, subsetName = '', port = 80) =>
  clusterOf(yaml, subsetName, port).loadBalancer.kind
const subsetsOf = (view: View) =>
  [...view.snapshot.clusters.values()]
    .filter(({ port }) => port === 80)
    .map((cluster) => cluster.subset)

t.test('a service port without DestinationRule', async (t) => {
  t.match(clusterOf(''), {
    name: name(),
    discovery: 'static',
    service: host,
    serviceName: 'a',
    serviceNamespace: 'prod',
    port: 80,
    subset: '',
    protocol: 'http',
    endpointSet: `80|${host}`,
    subsetLabels: {},
    loadBalancer: { kind: 'LEAST_REQUEST' },
    dnsRefreshMs: 60_000,
    tls: undefined,
    tunnel: undefined,
    proxyProtocol: undefined,
    external: false,
    origin: { kind: 'Service', namespace: 'prod', name: 'a' },
    policyOrigin: undefined,
    tlsOrigin: undefined,
    connectionPool: {
      maxConnections: 4294967295,
      connectTimeoutMs: 10_000,
      tcpIdleTimeoutMs: 3_600_000,
      maxConnectionDurationMs: undefined,
      keepalive: undefined,
      maxPendingRequests: 4294967295,
      maxRequests: 4294967295,
      maxRequestsPerConnection: 0,
      maxRetries: 4294967295,
      httpIdleTimeoutMs: 3_600_000,
    },
  })
})

t.test('subsets are clusters over the same endpoints, with the line of the subset', async (t) => {
  const view = viewOf(
    mesh +
      pod('p1', '10.0.0.1', { app: 'a', version: 'v1' }, { namespace: 'prod' }) +
      pod('p2', '10.0.0.2', { app: 'a', version: 'v2' }, { namespace: 'prod' }) +
      rule('r', { subsets: [subset('v1'), subset('v2'), { name: 'all' }, subset('none')] }),
  )
  t.same(subsetsOf(view), ['', 'v1', 'v2', 'all', 'none'])
  t.same(view.endpoints(name('v2')), ['10.0.0.2:80'])
  t.same(view.endpoints(name('all')).length, 2, 'no labels: all endpoints')
  t.same(view.endpoints(name('none')), [], 'never the whole service')
  const [one, two] = [view.cluster(name('v1')), view.cluster(name('v2'))]
  t.equal(one?.endpointSet, two?.endpointSet)
  t.ok(one!.policyOrigin!.line < two!.policyOrigin!.line)
})

t.test('load balancers', async (t) => {
  const cases = [
    ['UNSPECIFIED', 'LEAST_REQUEST'],
    ['LEAST_CONN', 'LEAST_REQUEST'],
    ['LEAST_REQUEST', 'LEAST_REQUEST'],
    ['ROUND_ROBIN', 'ROUND_ROBIN'],
    ['RANDOM', 'RANDOM'],
    ['PASSTHROUGH', 'PASSTHROUGH'],
  ] as const
  for (const [written, expected] of cases)
    t.equal(kindOf(rule('r', balancer(written))), expected, written)
  t.match(clusterOf(rule('r', balancer('PASSTHROUGH'))), {
    discovery: 'original-destination',
    endpointSet: '',
  })
  t.equal(kindOf(''), 'LEAST_REQUEST', '§23 #36')
})

t.test('inheritance (§3.3)', async (t) => {
  const written = rule('r', {
    trafficPolicy: {
      loadBalancer: { simple: 'RANDOM' },
      connectionPool: { tcp: { maxConnections: 7 } },
      portLevelSettings: [
        { port: { number: 81 }, connectionPool: { http: { http2MaxRequests: 9 } } },
      ],
    },
    subsets: [
      subset('plain'),
      subset('lb', { trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } }),
      subset('port', {
        trafficPolicy: {
          portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: 'ROUND_ROBIN' } }],
        },
      }),
    ],
  })
  t.test('a port entry replaces all blocks, omitted ones fall to defaults (§23 #32)', async (t) => {
    const port = clusterOf(written, '', 81)
    t.equal(port.loadBalancer.kind, 'LEAST_REQUEST')
    t.match(port.connectionPool, { maxConnections: 4294967295, maxRequests: 9 })
  })
  t.test('a subset overrides block by block', async (t) => {
    t.equal(kindOf(written, 'plain'), 'RANDOM')
    const lb = clusterOf(written, 'lb')
    t.equal(lb.loadBalancer.kind, 'ROUND_ROBIN')
    t.equal(lb.connectionPool.maxConnections, 7)
    t.equal(kindOf(written, 'lb', 81), 'ROUND_ROBIN', 'over the port entry too')
  })
  t.test("a subset's port entry replaces all blocks", async (t) => {
    const port = clusterOf(written, 'port')
    t.equal(port.loadBalancer.kind, 'ROUND_ROBIN')
    t.equal(port.connectionPool.maxConnections, 4294967295)
  })
})

t.test('connection pools', async (t) => {
  const pool = (connectionPool: object, config = '') =>
    clusterOf(config + rule('r', { trafficPolicy: { connectionPool } })).connectionPool
  t.match(
    pool({ tcp: { maxConnections: 0, idleTimeout: '0s' }, http: { maxRetries: 0 } }),
    {
      maxConnections: 4294967295,
      maxRetries: 4294967295,
      tcpIdleTimeoutMs: 0,
      httpIdleTimeoutMs: 0,
    },
    'zero is no limit (§23 #37), the TCP idle timeout is inherited (§23 #82)',
  )
  t.match(
    pool({
      tcp: {
        maxConnections: 1,
        connectTimeout: '2s',
        maxConnectionDuration: '1m',
        idleTimeout: '3s',
      },
      http: {
        http1MaxPendingRequests: 3,
        http2MaxRequests: 4,
        maxRequestsPerConnection: 5,
        maxRetries: 6,
        idleTimeout: '7s',
      },
    }),
    {
      maxConnections: 1,
      connectTimeoutMs: 2000,
      maxConnectionDurationMs: 60_000,
      tcpIdleTimeoutMs: 3000,
      maxPendingRequests: 3,
      maxRequests: 4,
      maxRequestsPerConnection: 5,
      maxRetries: 6,
      httpIdleTimeoutMs: 7000,
    },
  )
  const config = 'kind: MeshConfig\nconnectTimeout: 3s\ntcpKeepalive: {time: 60s, probes: 2}\n---\n'
  t.match(pool({ tcp: { tcpKeepalive: { probes: 5 } } }, config), {
    connectTimeoutMs: 3000,
    keepalive: { probes: 5, timeMs: 60_000, intervalMs: 75_000 },
  })
})

t.test("MeshConfig's default pool counts only where no level has one", async (t) => {
  const config =
    'kind: MeshConfig\ndefaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}\n---\n'
  t.equal(clusterOf(config).connectionPool.maxConnections, 3)
  const own = rule('r', { trafficPolicy: { connectionPool: { http: { maxRetries: 1 } } } })
  t.equal(clusterOf(config + own).connectionPool.maxConnections, 4294967295)
})

t.test('equal pools are one object', async (t) => {
  const view = viewOf(mesh + service('b', { ports: ['http:80'] }))
  const pools = new Set(
    [...view.snapshot.clusters.values()].map(({ connectionPool }) => connectionPool),
  )
  t.equal(pools.size, 1)
})

// --- which rule -----------------------------------------------------------------------------------------------
const inClient = rule('c', { ...balancer('RANDOM'), subsets: [subset('c')] })
const inService = (more: object = {}) =>
  rule('s', { ...balancer('ROUND_ROBIN'), subsets: [subset('s')], ...more }, { namespace: 'prod' })
const inRoot = (more: object = {}) =>
  rule('root', { ...balancer('PASSTHROUGH'), ...more }, { namespace: 'istio-system' })

t.test(
  "the client's namespace, else the service's, else the root's; nothing is merged (fact 24, §23 #34)",
  async (t) => {
    t.equal(kindOf(inRoot()), 'PASSTHROUGH')
    t.equal(kindOf(inRoot() + inService()), 'ROUND_ROBIN')
    const all = viewOf(mesh + inRoot() + inService() + inClient)
    t.equal(all.cluster(name())?.loadBalancer.kind, 'RANDOM')
    t.same(subsetsOf(all), ['', 'c'], 'the subsets of the service namespace are gone')
    t.equal(kindOf(rule('x', balancer('RANDOM'), { namespace: 'third' })), 'LEAST_REQUEST')
  },
)

t.test('a private rule of the service is invisible here (§23 #81)', async (t) => {
  t.equal(kindOf(inService({ exportTo: ['.'] })), 'LEAST_REQUEST')
  t.equal(kindOf(inRoot() + inService({ exportTo: ['.'] })), 'PASSTHROUGH')
  t.equal(kindOf(inService({ exportTo: ['default'] })), 'ROUND_ROBIN')
})

t.test('a private rule falls back to a visible wildcard of its namespace (fact 24)', async (t) => {
  const wild = rule(
    'w',
    { host: '*.prod.svc.cluster.local', ...balancer('RANDOM') },
    { namespace: 'prod' },
  )
  t.equal(kindOf(wild + inService({ exportTo: ['.'] })), 'RANDOM')
})

t.test('for clients in the root namespace its public rules come last', async (t) => {
  const yaml = (more: object) => mesh + inRoot(more) + inService()
  const kind = (more: object) =>
    viewOf(yaml(more), { namespace: 'istio-system' }).cluster(name())?.loadBalancer.kind
  t.equal(kind({}), 'ROUND_ROBIN')
  t.equal(kind({ exportTo: ['.'] }), 'PASSTHROUGH')
})

t.test('the most specific host hides the others of its namespace (§3.2)', async (t) => {
  const wild = (metaName: string, pattern: string, simple: string) =>
    rule(metaName, { host: pattern, ...balancer(simple) })
  t.equal(
    kindOf(wild('a', '*', 'RANDOM') + wild('b', '*.prod.svc.cluster.local', 'ROUND_ROBIN')),
    'ROUND_ROBIN',
  )
  const exact = rule('z', { subsets: [subset('v1')] })
  t.equal(kindOf(wild('a', '*', 'RANDOM') + exact), 'LEAST_REQUEST')
})

t.test(
  'rules of one namespace and host are merged: the oldest policy, all subsets (§3.2)',
  async (t) => {
    const view = viewOf(
      mesh +
        rule('a', { subsets: [subset('v1')] }) +
        rule('b', {
          ...balancer('RANDOM'),
          subsets: [subset('v2'), { name: 'v1', labels: { version: 'other' } }],
        }) +
        rule('c', balancer('ROUND_ROBIN')),
    )
    t.same(subsetsOf(view), ['', 'v1', 'v2'])
    t.equal(view.cluster(name())?.loadBalancer.kind, 'RANDOM', 'the first that has one')
    t.equal(view.cluster(name())?.policyOrigin?.name, 'b')
    t.same(view.cluster(name('v1'))?.subsetLabels, { version: 'v1' })
  },
)

t.test('rules with another exportTo are not merged', async (t) => {
  const view = viewOf(
    mesh +
      rule('a', { subsets: [subset('v1')], exportTo: ['.'] }) +
      rule('b', { subsets: [subset('v2')] }),
  )
  t.same(subsetsOf(view), ['', 'v1'])
})

t.test('a rule that selects this client stands alone (§23 #35)', async (t) => {
  const selecting = (app: string) =>
    rule('z', {
      ...balancer('RANDOM'),
      workloadSelector: { matchLabels: { app } },
      exportTo: ['.'],
    })
  const general = rule('a', { ...balancer('ROUND_ROBIN'), subsets: [subset('v1')] })
  const view = viewOf(mesh + general + selecting('client'))
  t.equal(view.cluster(name())?.loadBalancer.kind, 'RANDOM')
  t.same(subsetsOf(view), [''])
  t.equal(kindOf(general + selecting('other')), 'ROUND_ROBIN')
})

t.test('a short host means the namespace of the rule', async (t) => {
  const short = rule('r', { host: 'a', ...balancer('RANDOM') }, { namespace: 'prod' })
  t.equal(kindOf(short), 'RANDOM')
  t.equal(kindOf(rule('r', { host: 'a', ...balancer('RANDOM') })), 'LEAST_REQUEST')
})

t.test('the hash is that of what acts: lines and endpoints do not change it', async (t) => {
  const hash = (yaml: string) => viewOf(yaml).cluster(name())?.hash
  const plain = hash(mesh)
  t.equal(hash(`# a line more\n${mesh}`), plain)
  t.equal(hash(mesh + pod('p', '10.0.0.1', { app: 'a' }, { namespace: 'prod' })), plain)
  t.not(hash(mesh + rule('r', balancer('RANDOM'))), plain)
})
