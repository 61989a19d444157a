import t from 'tap'
import type { ClusterSpec } from '../../config/snapshot.ts'
import { istio, service, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80', 'http-b:81'] })

function clusterOf(yaml: string, subset = '', port = 80): ClusterSpec {
  const name = `outbound|${port}|${subset}|a.default.svc.cluster.local`
  const cluster = viewOf(mesh + yaml).cluster(name)
  if (cluster === undefined) throw new TypeError(`no cluster ${name}`)
  return cluster
}
const rule = (spec: object, annotations: Readonly<Record<string, string>> = {}) =>
  istio('DestinationRule', 'r', { host: 'a', ...spec }, { annotations })
const outliersOf = (outlierDetection: object, annotations?: Readonly<Record<string, string>>) =>
  clusterOf(rule({ trafficPolicy: { outlierDetection } }, annotations)).outlierDetection

/** What an empty object means to Istio and Envoy. */
const byDefault = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOrigin: 0,
  splitLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 10,
  alwaysEjectOne: false,
  minHealthPercent: 0,
  errorStatuses: [],
  failurePercentage: 0,
  successRateFactor: 0,
}

t.test('without outlierDetection nobody is ejected; an empty one has defaults', async (t) => {
  t.equal(clusterOf('').outlierDetection, undefined)
  t.same(outliersOf({}), byDefault)
})

const cases: ReadonlyArray<readonly [written: object, changed: object]> = [
  [{ consecutive5xxErrors: 2 }, { consecutive5xx: 2 }],
  [{ consecutive5xxErrors: 0 }, { consecutive5xx: 0 }],
  [{ consecutiveGatewayErrors: 3 }, { consecutiveGatewayErrors: 3 }],
  [{ consecutiveErrors: 1 }, {}],
  [{ splitExternalLocalOriginErrors: true }, { splitLocalOrigin: true, consecutiveLocalOrigin: 5 }],
  [
    { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2 },
    { splitLocalOrigin: true, consecutiveLocalOrigin: 2 },
  ],
  [
    { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0 },
    { splitLocalOrigin: true, consecutiveLocalOrigin: 5 },
  ],
  [{ interval: '1500ms' }, { intervalMs: 1_500 }],
  [{ baseEjectionTime: '10m' }, { baseEjectionMs: 600_000, maxEjectionMs: 600_000 }],
  [{ maxEjectionPercent: 50 }, { maxEjectionPercent: 50 }],
  [{ maxEjectionPercent: 0 }, { maxEjectionPercent: 10 }],
  [{ minHealthPercent: 40 }, { minHealthPercent: 40 }],
  [{ outlierDetectionHttpErrorCodes: [429, 503] }, { errorStatuses: [429, 503] }],
]
for (const [written, changed] of cases)
  t.test(JSON.stringify(written), async (t) => {
    t.same(outliersOf(written), { ...byDefault, ...changed })
  })

t.test(
  'annotations add what Istio has no field for; values that mean nothing are left out',
  async (t) => {
    t.match(outliersOf({}, { 'outrider.dev/always-eject-one': 'true' }), { alwaysEjectOne: true })
    t.match(outliersOf({}, { 'outrider.dev/always-eject-one': 'yes' }), { alwaysEjectOne: false })
    t.match(outliersOf({}, { 'outrider.dev/outlier-failure-percentage': '85' }), {
      failurePercentage: 85,
    })
    t.match(outliersOf({}, { 'outrider.dev/outlier-failure-percentage': '850' }), {
      failurePercentage: 0,
    })
    t.match(outliersOf({}, { 'outrider.dev/outlier-success-rate': '1900' }), {
      successRateFactor: 1900,
    })
  },
)

t.test('the block in force is told with its line: subset, port, rule or mesh', async (t) => {
  const settings = (consecutive5xxErrors: number) => ({
    outlierDetection: { consecutive5xxErrors },
  })
  const yaml = rule({
    trafficPolicy: {
      ...settings(1),
      portLevelSettings: [
        { port: { number: 81 }, ...settings(2) },
        { port: { number: 82 }, loadBalancer: { simple: 'RANDOM' } },
      ],
    },
    subsets: [
      { name: 'own', labels: { v: 'own' }, trafficPolicy: settings(3) },
      {
        name: 'heir',
        labels: { v: 'heir' },
        trafficPolicy: { loadBalancer: { simple: 'RANDOM' } },
      },
      {
        name: 'port',
        labels: { v: 'port' },
        trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, ...settings(4) }] },
      },
    ],
  })
  const lines = (mesh + yaml).split('\n')
  const lineOf = (n: number) => lines.findIndex((line) => line.includes(`5xxErrors": ${n}`))
  const table: Array<[subset: string, port: number, n: number]> = [
    ['', 80, 1],
    ['', 81, 2],
    ['own', 80, 3],
    ['heir', 80, 1],
    ['heir', 81, 2],
    ['port', 80, 4],
    ['port', 81, 2],
  ]
  for (const [subset, port, n] of table) {
    const { outlierDetection, outlierOrigin } = clusterOf(yaml, subset, port)
    t.equal(outlierDetection?.consecutive5xx, n, `${subset} ${port}`)
    t.match(outlierOrigin, { kind: 'DestinationRule', name: 'r', line: lineOf(n) })
  }
})

t.test('the mesh default holds where no rule has a block of its own', async (t) => {
  const config =
    'kind: MeshConfig\ndefaultTrafficPolicy:\n  outlierDetection:\n    consecutive5xxErrors: 7\n---\n'
  const { outlierDetection, outlierOrigin, poolOrigin } = clusterOf(config)
  t.equal(outlierDetection?.consecutive5xx, 7)
  t.equal(outlierOrigin?.kind, 'MeshConfig')
  t.equal(poolOrigin, undefined)
  const own = rule({ trafficPolicy: { outlierDetection: { consecutiveGatewayErrors: 1 } } })
  t.equal(clusterOf(config + own).outlierDetection?.consecutive5xx, 5, 'replaced whole')
})

t.test('a rule that only moved in its file changes no cluster; another number does', async (t) => {
  const yaml = (n: number) =>
    rule({ trafficPolicy: { outlierDetection: { consecutive5xxErrors: n } } })
  const before = clusterOf(yaml(3))
  const moved = clusterOf(`\n\n${yaml(3)}`)
  t.equal(moved.hash, before.hash)
  t.not(moved.outlierOrigin?.line, before.outlierOrigin?.line)
  t.not(clusterOf(yaml(4)).hash, before.hash)
})
