/** Levels of nearness and shares of localities beside real Envoy: the same spill-over. */
import { Agent } from 'node:http'
import t from 'tap'
import { httpManager, listener, router, socketAddress } from '../../bench/peers/envoy-config.ts'
import { Envoy, whyNoEnvoy } from '../support/envoy.ts'
import { Sidecar } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const skip = whyNoEnvoy()
if (skip !== false && process.env['OUTRIDER_REQUIRE_ALL'] === '1') t.fail(skip)

/** How many endpoints of each place there are, and how many of them are ready. */
interface Mesh {
  readonly name: string
  readonly places: Readonly<Record<string, readonly [ready: number, all: number]>>
  readonly policy: object
  /** Of Envoy's LocalityLbEndpoints. */
  place(locality: string): object
  readonly common: object
}

const noPanic = { healthy_panic_threshold: { value: 0 } }
const levels = {
  policy: { loadBalancer: { simple: 'ROUND_ROBIN' }, outlierDetection: {} },
  place: (locality: string) => ({ priority: ['r1/z1', 'r1/z2', 'r2/z1'].indexOf(locality) }),
  common: noPanic,
}
const shares: Readonly<Record<string, number>> = { 'r1/z1': 80, 'r1/z2': 20 }
const shared = {
  policy: {
    loadBalancer: {
      simple: 'ROUND_ROBIN',
      localityLbSetting: { distribute: [{ from: 'r1/z1', to: shares }] },
    },
  },
  place: (locality: string) => ({ load_balancing_weight: shares[locality] }),
  common: { ...noPanic, locality_weighted_lb_config: {} },
}
const meshes: readonly Mesh[] = [
  { name: 'enough', places: { 'r1/z1': [3, 4], 'r2/z1': [2, 2] }, ...levels },
  { name: 'half', places: { 'r1/z1': [2, 4], 'r1/z2': [1, 1], 'r2/z1': [1, 1] }, ...levels },
  { name: 'cascade', places: { 'r1/z1': [1, 4], 'r1/z2': [1, 3], 'r2/z1': [1, 4] }, ...levels },
  { name: 'down', places: { 'r1/z1': [0, 2], 'r1/z2': [2, 2] }, ...levels },
  { name: 'shares', places: { 'r1/z1': [2, 2], 'r1/z2': [2, 2] }, ...shared },
  { name: 'weak-share', places: { 'r1/z1': [1, 2], 'r1/z2': [2, 2] }, ...shared },
]

interface Place {
  readonly locality: string
  readonly ready: boolean
  readonly address: string
}

/** Addresses 127.1.x.y of a mesh; those that are not ready answer to nobody. */
function endpointsOf({ places }: Mesh, number: number): Place[] {
  let host = 0
  return Object.entries(places).flatMap(([locality, [ready, all]]) =>
    Array.from({ length: all }, (_, i) => ({
      locality,
      ready: i < ready,
      address: `127.1.${number}.${++host}`,
    })),
  )
}

function istio(mesh: Mesh, endpoints: readonly Place[], port: number): object[] {
  const metadata = { name: mesh.name, namespace: 'default' }
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: mesh.name }, ports: [{ name: 'http', port: 80, targetPort: port }] },
    },
    ...endpoints.map(({ address, locality, ready }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${mesh.name}-${address}`,
        namespace: 'default',
        labels: { app: mesh.name, 'istio-locality': locality.replace('/', '.') },
      },
      status: {
        phase: 'Running',
        podIP: address,
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      },
    })),
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata,
      spec: { host: mesh.name, trafficPolicy: mesh.policy },
    },
  ]
}

function cluster(mesh: Mesh, endpoints: readonly Place[], port: number): object {
  return {
    name: mesh.name,
    connect_timeout: '5s',
    common_lb_config: mesh.common,
    load_assignment: {
      cluster_name: mesh.name,
      endpoints: Object.keys(mesh.places).map((locality) => ({
        locality: { region: locality.split('/')[0], zone: locality.split('/')[1] },
        ...mesh.place(locality),
        lb_endpoints: endpoints
          .filter((one) => one.locality === locality)
          .map(({ address, ready }) => ({
            endpoint: { address: socketAddress(address, port) },
            health_status: ready ? 'HEALTHY' : 'UNHEALTHY',
          })),
      })),
    },
  }
}

function door(name: string): object {
  const routes = [{ match: { prefix: '/' }, route: { cluster: name } }]
  const virtual_hosts = [{ name: 'all', domains: ['*'], routes }]
  const settings = { stat_prefix: name, http_filters: [router], route_config: { virtual_hosts } }
  return listener(name, 0, httpManager(settings))
}

const requests = 240

/** Percent of the requests that each place got. */
async function shareOf(port: number, host: string): Promise<Record<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const counts: Record<string, number> = {}
  for (let i = 0; i < requests; i++) {
    const { body } = await ask(port, { headers: { host }, agent })
    counts[body] = (counts[body] ?? 0) + 100 / requests
  }
  agent.destroy()
  return counts
}

t.test('places get what Envoy gives them', { skip }, async (t) => {
  const upstreams: Upstream[] = []
  let port = 0
  const all = meshes.map((mesh, i) => ({ mesh, endpoints: endpointsOf(mesh, i + 1) }))
  for (const { endpoints } of all)
    for (const { address, locality, ready } of endpoints) {
      if (!ready) continue
      const upstream = await Upstream.start((_in, reply) => reply.end(locality), address, port)
      upstreams.push(upstream)
      port = upstream.port
    }
  await using envoy = await Envoy.start(
    t.testdir(),
    all.map(({ mesh }) => door(mesh.name)),
    all.map(({ mesh, endpoints }) => cluster(mesh, endpoints, port)),
  )
  const yaml = all
    .flatMap(({ mesh, endpoints }) => istio(mesh, endpoints, port))
    .map((object) => JSON.stringify(object))
    .join('\n---\n')
  await using sidecar = await Sidecar.start({ yaml, labels: { 'istio-locality': 'r1.z1' } })
  for (const { mesh } of all) {
    const there = await shareOf(envoy.port(mesh.name), mesh.name)
    const here = await shareOf(sidecar.port, mesh.name)
    for (const locality of Object.keys(mesh.places)) {
      const [a = 0, b = 0] = [here[locality], there[locality]]
      // Envoy draws lots for the level: five standard deviations of so many draws. Shares are exact.
      const most = 'locality_weighted_lb_config' in mesh.common ? 1 : 16
      t.ok(
        Math.abs(a - b) <= most,
        `${mesh.name} ${locality}: ${a.toFixed(1)} %, Envoy ${b.toFixed(1)} %`,
      )
    }
  }
  for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
})
