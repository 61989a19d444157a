import t from 'tap'
import { load } from '../../config/load.ts'
import type { LocalitySpec, WorkloadSpec } from '../../config/snapshot.ts'
import { istio, pod, service, type View, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80'], clusterIP: '10.96.0.1' })
const name = 'outbound|80||a.default.svc.cluster.local'
const here: Partial<WorkloadSpec> = { locality: 'r1/z1/s1' }

const rule = (trafficPolicy: object) => istio('DestinationRule', 'a', { host: 'a', trafficPolicy })
const local = (localityLbSetting: object, more: object = { outlierDetection: {} }) =>
  rule({ loadBalancer: { localityLbSetting }, ...more })
const meshConfig = (spec: object) =>
  `${JSON.stringify({ kind: 'MeshConfig', metadata: { name: 'm' }, ...spec })}\n---\n`

function nearness(yaml: string, parts: Partial<WorkloadSpec> = here): LocalitySpec | undefined {
  return viewOf(mesh + yaml, parts).cluster(name)?.loadBalancer.locality
}
const told = (view: View) =>
  view.problems.filter(({ code }) => code === 'OUT-LOCALITY').map(({ message }) => message)

t.test('outlierDetection alone makes near endpoints come first', async (t) => {
  t.equal(nearness(''), undefined)
  t.same(nearness(rule({ outlierDetection: {} })), { own: 'r1/z1/s1', regions: { next: '' } })
  t.same(nearness(rule({ connectionPool: { http: { maxRetries: 1 } } })), undefined)
  const ejecting = meshConfig({ defaultTrafficPolicy: { outlierDetection: {} } })
  t.same(nearness(ejecting), { own: 'r1/z1/s1', regions: { next: '' } })
})

t.test('enabled: false switches it off, in the rule and in the mesh', async (t) => {
  t.equal(nearness(local({ enabled: false })), undefined)
  t.equal(
    nearness(
      rule({ outlierDetection: {} }) + meshConfig({ localityLbSetting: { enabled: false } }),
    ),
    undefined,
  )
  t.ok(nearness(local({ enabled: true }) + meshConfig({ localityLbSetting: { enabled: false } })))
})

t.test('failover names the region that comes first among the others', async (t) => {
  const failover = [
    { from: 'r9', to: 'r8' },
    { from: 'r1', to: 'r2' },
  ]
  t.same(nearness(local({ failover })), { own: 'r1/z1/s1', regions: { next: 'r2' } })
  t.equal(nearness(local({ failover }, {})), undefined, 'not without outlierDetection')
  const inMesh = meshConfig({ localityLbSetting: { failover } })
  t.same(nearness(rule({ outlierDetection: {} }) + inMesh)?.regions, { next: 'r2' })
  t.same(nearness(local({}) + inMesh)?.regions, { next: '' }, 'the rule replaces it whole')
})

t.test('failoverPriority compares labels with those of this workload', async (t) => {
  const failoverPriority = ['app', 'topology.kubernetes.io/zone', 'tier=web', 'unknown']
  t.same(nearness(local({ failoverPriority })), {
    own: 'r1/z1/s1',
    labels: [
      ['app', 'client'],
      ['topology.kubernetes.io/zone', 'z1'],
      ['tier', 'web'],
      ['unknown', ''],
    ],
  })
  const both = local({ failoverPriority: ['app'], failover: [{ from: 'r1', to: 'r2' }] })
  t.same(nearness(both), {
    own: 'r1/z1/s1',
    labels: [['app', 'client']],
    regions: { next: 'r2' },
  })
})

t.test(
  'distribute takes the first entry for the own locality, also without outlierDetection',
  async (t) => {
    const distribute = [
      { from: 'r2/*', to: { 'r2/z1/*': 100 } },
      { from: 'r1/z1/*', to: { 'r1/z1/*': 70, r2: 30 } },
    ]
    t.same(nearness(local({ distribute }, {})), {
      own: 'r1/z1/s1',
      distribute: [
        ['r1/z1/*', 70],
        ['r2', 30],
      ],
    })
    t.same(nearness(local({ distribute }, {}), { locality: 'r2/z7' })?.distribute, [
      ['r2/z1/*', 100],
    ])
    const elsewhere = viewOf(mesh + local({ distribute }, {}), { locality: 'r3' })
    t.equal(elsewhere.cluster(name)?.loadBalancer.locality, undefined)
    t.match(told(elsewhere), [/^no entry of distribute is for r3,/])
  },
)

t.test('trafficDistribution prefers the own zone or node, without outlierDetection', async (t) => {
  const distributed = (value: string) =>
    viewOf(
      service('a', {
        ports: ['http:80'],
        clusterIP: '10.96.0.1',
        more: { trafficDistribution: value },
      }) + pod('client-1', '10.1.0.1', { app: 'client' }, { spec: { nodeName: 'n1' } }),
      here,
    ).cluster(name)
  const zone = [
    ['topology.istio.io/network', ''],
    ['topology.kubernetes.io/region', 'r1'],
    ['topology.kubernetes.io/zone', 'z1'],
  ]
  t.same(distributed('PreferClose')?.loadBalancer.locality?.labels, zone)
  t.same(distributed('PreferSameZone')?.loadBalancer.locality?.labels, zone)
  t.same(distributed('PreferSameNode')?.loadBalancer.locality?.labels, [
    ...zone,
    ['topology.istio.io/subzone', 's1'],
    ['kubernetes.io/hostname', 'n1'],
  ])
  t.equal(distributed('Nearby')?.loadBalancer.locality, undefined)
  t.match(distributed('PreferClose')?.localityOrigin, { kind: 'Service', name: 'a' })
})

t.test('the annotation of a Service or ServiceEntry says the same', async (t) => {
  const annotations = { 'networking.istio.io/traffic-distribution': 'PreferClose' }
  const annotated = service('a', { ports: ['http:80'], clusterIP: '10.96.0.1', annotations })
  t.equal(viewOf(annotated, here).cluster(name)?.loadBalancer.locality?.labels?.length, 3)
  const spec = { hosts: ['x.test'], ports: [{ number: 80, name: 'http' }], resolution: 'STATIC' }
  const view = viewOf(istio('ServiceEntry', 'x', spec, { annotations }), here)
  t.equal(view.cluster('outbound|80||x.test')?.loadBalancer.locality?.labels?.length, 3)
  const nearby = { 'networking.istio.io/traffic-distribution': 'Nearby' }
  const text = service('a', { ports: ['http:80'], annotations: nearby })
  t.match(load([{ path: 'a.yaml', text }]).problems, [
    { code: 'OUT-ANNOTATION', message: /"Nearby" is not one of PreferClose/ },
  ])
})

t.test('the rule counts before the Service, the Service before the mesh', async (t) => {
  const close = service('a', {
    ports: ['http:80'],
    clusterIP: '10.96.0.1',
    more: { trafficDistribution: 'PreferClose' },
  })
  const of = (yaml: string) => viewOf(close + yaml, here).cluster(name)?.loadBalancer.locality
  t.ok(of(meshConfig({ localityLbSetting: { enabled: false } }))?.labels)
  t.same(of(local({}))?.regions, { next: '' })
  t.equal(of(local({ enabled: false })), undefined)
})

t.test('where the workload is: told, labels, Pod, EndpointSlice', async (t) => {
  const slice = JSON.stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's', namespace: 'default', labels: { 'kubernetes.io/service-name': 'a' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 80 }],
    endpoints: [{ addresses: ['10.1.0.1'], zone: 'z5' }],
  })
  const own = (yaml: string, parts: Partial<WorkloadSpec>) =>
    nearness(`${rule({ outlierDetection: {} })}${yaml}\n---\n`, parts)?.own
  t.equal(own('', {}), '')
  t.equal(own(slice, {}), '/z5')
  const zoned = pod('client-1', '10.1.0.1', { 'topology.kubernetes.io/zone': 'z6' })
  t.equal(own(`${slice}\n---\n${zoned}`, {}), '/z6')
  const dotted = pod('client-1', '10.1.0.1', { 'istio-locality': 'r7.z7' })
  t.equal(own(dotted, {}), 'r7/z7')
  t.equal(own(dotted, { labels: { 'istio-locality': 'r8.z8' } }), 'r8/z8')
  t.equal(own(dotted, { locality: 'r9/z9' }), 'r9/z9')
})

t.test('a setting that needs the own locality tells when it is unknown', async (t) => {
  const failing = viewOf(mesh + local({ failover: [{ from: 'r1', to: 'r2' }] }), {})
  t.same(told(failing), ['the locality of this workload is not known: nothing is near to it'])
  t.same(told(viewOf(mesh + rule({ outlierDetection: {} }), {})), [], 'nobody asked for it')
  t.same(told(viewOf(mesh + local({ failoverPriority: ['app'] }), {})), [], 'it is not needed')
  const zone = local({ failoverPriority: ['app', 'topology.kubernetes.io/zone'] })
  t.equal(told(viewOf(mesh + zone, {})).length, 1)
})

t.test('zones are balanced where this workload has neighbours', async (t) => {
  const zoneAware = rule({ loadBalancer: { zoneAwareLbSetting: { minClusterSize: 3 } } })
  const neighbours =
    service('client', { ports: ['http:8000'] }) +
    pod('client-1', '10.1.0.1', { app: 'client', 'istio-locality': 'r1.z1.s1' }) +
    pod('client-2', '10.1.0.2', { app: 'client', 'istio-locality': 'r1.z2' }) +
    pod('client-3', '10.1.0.3', { app: 'client', 'istio-locality': 'r1.z2' }) +
    pod('client-4', '10.1.0.4', { app: 'client' }, { ready: false })
  t.same(nearness(zoneAware + neighbours), {
    own: 'r1/z1/s1',
    balance: {
      minClusterSize: 3,
      callers: [
        ['r1/z1/s1', 1],
        ['r1/z2', 2],
      ],
    },
  })
  t.match(told(viewOf(mesh + zoneAware, here)), [/^zones are not balanced: no Service/])
  const off = rule({ loadBalancer: { zoneAwareLbSetting: { enabled: false } } })
  t.equal(nearness(off + neighbours), undefined)
})

t.test('endpoints tell their place; their node only where somebody asks for it', async (t) => {
  const pods =
    pod('a-1', '10.0.0.1', { app: 'a', 'istio-locality': 'r1.z1' }, { spec: { nodeName: 'n1' } }) +
    pod('a-2', '10.0.0.2', { app: 'a' }, { spec: { nodeName: 'n2' } })
  const of = (yaml: string) =>
    [...viewOf(mesh + pods + yaml, here).snapshot.endpointSets.values()][0]?.map(
      ({ locality, node }) => [locality, node],
    )
  t.same(of(''), [
    ['r1/z1', undefined],
    ['', undefined],
  ])
  t.same(of(local({ failoverPriority: ['kubernetes.io/hostname'] })), [
    ['r1/z1', 'n1'],
    ['', 'n2'],
  ])
})

t.test('where nearness is written goes with it', async (t) => {
  const origin = (yaml: string) => viewOf(mesh + yaml, here).cluster(name)?.localityOrigin
  t.match(origin(local({ failover: [{ from: 'r1', to: 'r2' }] })), { kind: 'DestinationRule' })
  t.match(origin(rule({ outlierDetection: {} })), { kind: 'DestinationRule' })
  const inMesh = meshConfig({ localityLbSetting: { failoverPriority: ['app'] } })
  t.match(origin(rule({ outlierDetection: {} }) + inMesh), { kind: 'MeshConfig' })
  t.equal(origin(''), undefined)
})
