import t from 'tap'
import { compile } from '../../config/compile.ts'
import type { KnownResource } from '../../config/kinds.ts'
import { load } from '../../config/load.ts'
import { istio, pod, service, viewOf, workload } from './compile-support.ts'

const to = (host: string) => ({ route: [{ destination: { host } }] })
const parts = [
  service('a', { ports: ['http:80', 'tcp:81'] }),
  service('b', { ports: ['http:80', ':82'], clusterIP: '10.96.0.2' }),
  service('c', { ports: ['http:80'], clusterIP: 'None' }),
  pod('a-1', '10.0.0.1', { app: 'a', version: 'v1' }),
  pod('a-2', '10.0.0.2', { version: 'v2', app: 'a' }),
  pod('c-1', '10.0.0.3', { app: 'c' }),
  istio('VirtualService', 'x', {
    hosts: ['a', 'b'],
    http: [{ match: [{ uri: { prefix: '/x' } }], ...to('b') }, to('a')],
  }),
  istio('VirtualService', 'y', { hosts: ['*.com'], http: [to('a')] }),
  istio('DestinationRule', 'a', {
    host: 'a',
    subsets: [{ name: 'v1', labels: { version: 'v1' } }],
  }),
  istio('DestinationRule', 'b', {
    host: 'a',
    subsets: [{ name: 'v2', labels: { version: 'v2' } }],
  }),
  istio('ServiceEntry', 'e', {
    hosts: ['e.com'],
    resolution: 'DNS',
    ports: [{ number: 443, name: 't', protocol: 'TLS' }],
  }),
]

function resources(): KnownResource[] {
  const files = parts.map((text, index) => ({ path: `${index}.yaml`, text }))
  return [...load(files).resources]
}

const version = (list: readonly KnownResource[]) => compile(list, workload()).snapshot.version

t.test('the same content has the same version, in any order', async (t) => {
  const expected = version(resources())
  t.match(expected, /^[-\w]{16}$/)
  t.equal(version(resources()), expected)
  t.equal(version(resources().reverse()), expected)
  for (let shift = 1; shift < parts.length; shift++) {
    const list = resources()
    t.equal(
      version([...list.slice(shift), ...list.slice(0, shift)]),
      expected,
      `shifted by ${shift}`,
    )
  }
})

t.test('problems are the same in any order', async (t) => {
  const both = [
    service('a', { ports: ['tcp:81'] }),
    service('b', { ports: ['tcp:81'] }),
    service('c', { ports: ['tcp:81'] }),
  ].map((text, index) => ({ path: `${index}.yaml`, text }))
  const told = (list: readonly KnownResource[]) => compile(list, workload()).problems
  const { resources: list } = load(both)
  t.equal(told(list).length, 2)
  t.same(told([...list].reverse()), told(list))
})

t.test('whatever changes what runs or where it is written changes the version', async (t) => {
  const base = parts.join('')
  const of = (yaml: string, more = {}) => viewOf(yaml, more).snapshot.version
  const changed: Array<[string, string]> = [
    ['a weight', base.replace('"prefix": "/x"', '"prefix": "/y"')],
    ['a Pod address', base.replace('10.0.0.2', '10.0.0.9')],
    ['a subset label', base.replace('"version": "v1"', '"version": "v9"')],
    ['a line', `# moved\n${base}`],
    ['a service', base + service('z', { ports: ['http:80'] })],
    ['the mesh', `kind: MeshConfig\ntrustDomain: other\n---\n${base}`],
  ]
  for (const [name, yaml] of changed) t.not(of(yaml), of(base), name)
  t.not(of(base, { namespace: 'prod' }), of(base), 'the workload')
})

t.test('resources are left as they were', async (t) => {
  const list = resources()
  const before = JSON.stringify(list.map(({ spec, labels }) => [spec, labels]))
  const order = [...list]
  compile(list, workload())
  t.equal(JSON.stringify(list.map(({ spec, labels }) => [spec, labels])), before)
  t.same(
    list.map(({ name }) => name),
    order.map(({ name }) => name),
  )
})

t.test('a snapshot can be sent to a thread', async (t) => {
  const { snapshot } = compile(resources(), workload())
  t.same(structuredClone(snapshot), snapshot)
})

t.test('nothing at all compiles', async (t) => {
  const { snapshot, problems } = compile([], workload())
  t.match(snapshot, {
    mesh: {
      trustDomain: 'cluster.local',
      domain: 'cluster.local',
      rootNamespace: 'istio-system',
      pathNormalization: 'BASE',
      protocolDetectionTimeoutMs: 0,
      accessLogFile: '',
    },
    outbound: { policy: { mode: 'ALLOW_ANY' }, listeners: [] },
    inbound: { mode: 'PASSTHROUGH', ports: [] },
  })
  t.equal(snapshot.clusters.size, 0)
  t.same(problems, [])
})

t.test('MeshConfig comes through', async (t) => {
  const config = [
    'kind: MeshConfig',
    'trustDomain: td',
    'rootNamespace: root',
    'protocolDetectionTimeout: 5s',
    'pathNormalization: {normalization: MERGE_SLASHES}',
    'accessLogFile: /dev/stdout',
    'accessLogEncoding: JSON',
    'accessLogFormat: "{}"',
    'dnsRefreshRate: 7s',
    '---',
    '',
  ].join('\n')
  const view = viewOf(config + service('a', { ports: ['http:80'] }))
  t.same(view.snapshot.mesh, {
    trustDomain: 'td',
    domain: 'cluster.local',
    rootNamespace: 'root',
    pathNormalization: 'MERGE_SLASHES',
    protocolDetectionTimeoutMs: 5000,
    accessLogFile: '/dev/stdout',
    accessLogEncoding: 'JSON',
    accessLogFormat: '{}',
  })
  t.equal(view.cluster('outbound|80||a.default.svc.cluster.local')?.dnsRefreshMs, 7000)
})

t.test('every cluster has its endpoint set', async (t) => {
  const { clusters, endpointSets } = compile(resources(), workload()).snapshot
  for (const { name, endpointSet, discovery } of clusters.values())
    t.equal(endpointSets.has(endpointSet), discovery !== 'original-destination', name)
})

t.test(
  'parts that are alike are shared: the mesh of a thousand services stays small',
  async (t) => {
    const yaml = Array.from({ length: 1_000 }, (_, index) =>
      service(`s${index}`, { ports: ['http:80'] }),
    ).join('')
    const { snapshot } = viewOf(yaml)
    const hosts = snapshot.outbound.listeners[0]!.http!.virtualHosts
    const forwards = hosts
      .map(({ routes }) => routes[0]!.action)
      .filter((action) => action.kind === 'forward')
    t.equal(forwards.length, 1_000)
    t.equal(new Set(forwards.map(({ retries }) => retries)).size, 1)
    t.equal(new Set(forwards.map(({ headers }) => headers)).size, 1)
    t.equal(
      new Set([...snapshot.clusters.values()].map(({ connectionPool }) => connectionPool)).size,
      1,
    )
  },
)
