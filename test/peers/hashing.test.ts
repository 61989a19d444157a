/** Consistent hashing beside real Envoy: the same keys lead to the same endpoints, cookies look alike. */
import t from 'tap'
import { httpManager, listener, loadAssignment, router } from '../../bench/peers/envoy-config.ts'
import { Envoy, whyNoEnvoy } from '../support/envoy.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const skip = whyNoEnvoy()
if (skip !== false && process.env['OUTRIDER_REQUIRE_ALL'] === '1') t.fail(skip)

const cookie = { name: 'user', ttl: '60s', path: '/p' }

interface Policy {
  readonly name: string
  /** Istio's words. */
  readonly consistentHash: object
  /** Envoy's. */
  readonly cluster: object
  readonly hash: object
  /** Where the key goes in a request. */
  ask(key: string): { path?: string; headers?: Record<string, string> }
}

const ringOf = (size: number) => ({
  lb_policy: 'RING_HASH',
  ring_hash_lb_config: { minimum_ring_size: size },
})
const byHeader = { header: { header_name: 'x-user' } }
const policies: readonly Policy[] = [
  {
    name: 'ring',
    consistentHash: { httpHeaderName: 'x-user' },
    cluster: ringOf(1024),
    hash: byHeader,
    ask: (key) => ({ headers: { 'x-user': key } }),
  },
  {
    name: 'large-ring',
    consistentHash: { httpHeaderName: 'x-user', ringHash: { minimumRingSize: 30_000 } },
    cluster: ringOf(30_000),
    hash: byHeader,
    ask: (key) => ({ headers: { 'x-user': `${key} with more than thirty-two bytes in all` } }),
  },
  {
    name: 'maglev',
    consistentHash: { httpHeaderName: 'x-user', maglev: {} },
    cluster: { lb_policy: 'MAGLEV' },
    hash: byHeader,
    ask: (key) => ({ headers: { 'x-user': key } }),
  },
  {
    name: 'small-maglev',
    consistentHash: { httpQueryParameterName: 'user', maglev: { tableSize: 1009 } },
    cluster: { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 1009 } },
    hash: { query_parameter: { name: 'user' } },
    ask: (key) => ({ path: `/?x=1&user=${key}&user=other` }),
  },
  {
    name: 'cookie',
    consistentHash: { httpCookie: cookie },
    cluster: ringOf(1024),
    hash: { cookie },
    ask: (key) => ({ headers: { cookie: `a=b; user="${key}"` } }),
  },
]

const ruleOf = (name: string, consistentHash: object) =>
  `---\n${JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name, namespace: 'default' },
    spec: { host: name, trafficPolicy: { loadBalancer: { consistentHash } } },
  })}\n`

/** Weights 1, 2, 3, ... */
function entryOf(name: string, ports: readonly number[]): string {
  return `---\n${JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: 'default' },
    spec: {
      hosts: [`${name}.test`],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      endpoints: ports.map((port, i) => ({
        address: '127.0.0.1',
        ports: { http: port },
        weight: i + 1,
      })),
    },
  })}\n`
}

function route(cluster: string, hash: object): object {
  const manager = httpManager({
    stat_prefix: cluster,
    http_filters: [router],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster, hash_policy: [hash] } }],
        },
      ],
    },
  })
  return listener(cluster, 0, manager)
}

t.test('keys lead where Envoy leads them', { skip }, async (t) => {
  const upstreams: Upstream[] = []
  for (let i = 0; i < 5; i++)
    upstreams.push(await Upstream.start((_incoming, reply) => reply.end(String(i))))
  const ports = upstreams.map(({ port }) => port)
  const places = ports.map((port) => ['127.0.0.1', port] as const)
  const clusters = policies.map(({ name, cluster }) => ({
    name,
    connect_timeout: '5s',
    load_assignment: loadAssignment(name, places),
    ...cluster,
  }))
  const listeners = policies.map(({ name, hash }) => route(name, hash))
  await using envoy = await Envoy.start(t.testdir(), listeners, clusters)
  const yaml = policies.map(
    ({ name, consistentHash }) => serviceYaml(name, ports) + ruleOf(name, consistentHash),
  )
  await using sidecar = await Sidecar.start({ yaml: yaml.join('') })
  for (const policy of policies) {
    const differ: string[] = []
    for (let i = 0; i < 60; i++) {
      const { path = '/', headers = {} } = policy.ask(`user-${i}`)
      const there = await ask(envoy.port(policy.name), { path, headers })
      const here = await ask(sidecar.port, { path, headers: { ...headers, host: policy.name } })
      if (there.body !== here.body || here.status !== 200) differ.push(`user-${i}`)
    }
    t.same(differ, [], policy.name)
  }
  const made = async (port: number, host: string) => {
    const { headers } = await ask(port, { headers: { host } })
    return headers['set-cookie']?.map((text) => text.replace(/[0-9a-f]{16}/, 'hash'))
  }
  t.same(await made(sidecar.port, 'cookie'), await made(envoy.port('cookie'), 'cookie'))
  for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
})

t.test('weights place as many points and slots as in Envoy', { skip }, async (t) => {
  const upstreams: Upstream[] = []
  for (let i = 0; i < 4; i++)
    upstreams.push(await Upstream.start((_incoming, reply) => reply.end(String(i))))
  const ports = upstreams.map(({ port }) => port)
  const weighted = policies.filter(({ name }) => name === 'ring' || name === 'maglev')
  const clusters = weighted.map(({ name, cluster }) => ({
    name,
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: ports.map((port, i) => ({
            endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
            load_balancing_weight: i + 1,
          })),
        },
      ],
    },
    ...cluster,
  }))
  const listeners = weighted.map(({ name, hash }) => route(name, hash))
  await using envoy = await Envoy.start(t.testdir(), listeners, clusters)
  const yaml = weighted.map(
    ({ name, consistentHash }) => entryOf(name, ports) + ruleOf(`${name}.test`, consistentHash),
  )
  await using sidecar = await Sidecar.start({ yaml: yaml.join('') })
  for (const { name } of weighted) {
    const differ: string[] = []
    for (let i = 0; i < 80; i++) {
      const headers = { 'x-user': `u${i}` }
      const there = await ask(envoy.port(name), { headers })
      const here = await ask(sidecar.port, { headers: { ...headers, host: `${name}.test` } })
      if (there.body !== here.body || here.status !== 200) differ.push(`u${i}`)
    }
    t.same(differ, [], name)
  }
  for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
})
