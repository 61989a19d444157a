/** Which endpoint gets a request, through a whole sidecar: hashing, peak EWMA, nearness. */
import { Agent } from 'node:http'
import { connect, createServer } from 'node:net'
import { test } from 'tap'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, listening, Upstream } from '../support/upstream.ts'

const rule = (trafficPolicy: object, annotations: object = {}): string =>
  `---\n${JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'web', namespace: 'default', annotations },
    spec: { host: 'web', trafficPolicy },
  })}\n`
const hashing = (consistentHash: object) => rule({ loadBalancer: { consistentHash } })

/** Upstreams that answer with their number. */
async function several(count: number) {
  const all: Upstream[] = []
  for (let i = 0; i < count; i++)
    all.push(await Upstream.start((_incoming, reply) => reply.end(String(i))))
  return {
    all,
    ports: all.map(({ port }) => port),
    [Symbol.asyncDispose]: async () => {
      for (const upstream of all) await upstream[Symbol.asyncDispose]()
    },
  }
}

test('a client without the cookie gets one, and with it always the same endpoint', async (t) => {
  await using upstreams = await several(5)
  const httpCookie = { name: 'user', path: '/shop', ttl: '60s' }
  const yaml = serviceYaml('web', upstreams.ports) + hashing({ httpCookie })
  await using sidecar = await Sidecar.start({ yaml })
  const seen = new Set<string>()
  for (let i = 0; i < 12; i++) {
    // A connection of its own: on one and the same all would get the same cookie.
    const agent = new Agent()
    const first = await ask(sidecar.port, { headers: { host: 'web' }, agent })
    const [made = ''] = first.headers['set-cookie'] ?? []
    t.match(made, /^user="[0-9a-f]{16}"; Max-Age=60; Path=\/shop; HttpOnly$/)
    seen.add(first.body)
    const cookie = `other=1; ${made.split(';')[0]}`
    for (let again = 0; again < 3; again++) {
      const next = await ask(sidecar.port, { headers: { host: 'web', cookie } })
      t.equal(next.body, first.body, 'the endpoint that made the session has it')
      t.equal(next.headers['set-cookie'], undefined)
    }
  }
  t.ok(seen.size > 1, 'clients are spread')
})

test('a cookie is never made without ttl, and the application can set its own', async (t) => {
  await using upstreams = await several(4)
  const yaml = serviceYaml('web', upstreams.ports) + hashing({ httpCookie: { name: 'session' } })
  await using sidecar = await Sidecar.start({ yaml })
  const bare = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(bare.headers['set-cookie'], undefined)
  const ask3 = async (cookie: string) => {
    const bodies = new Set<string>()
    for (let i = 0; i < 3; i++)
      bodies.add((await ask(sidecar.port, { headers: { host: 'web', cookie } })).body)
    return bodies.size
  }
  for (const value of ['a', 'b', 'c']) t.equal(await ask3(`session=${value}`), 1)
})

test('headers and query parameters choose, whoever asks', async (t) => {
  await using upstreams = await several(6)
  const service = serviceYaml('web', upstreams.ports)
  await using sidecar = await Sidecar.start({
    yaml: service + hashing({ httpHeaderName: 'X-User', maglev: { tableSize: 1009 } }),
  })
  const byHeader = new Map<string, string>()
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 20; i++) {
      const user = `u${i}`
      const { body } = await ask(sidecar.port, { headers: { host: 'web', 'x-user': user } })
      t.equal(byHeader.get(user) ?? body, body, user)
      byHeader.set(user, body)
    }
  t.ok(new Set(byHeader.values()).size >= 4, 'users are spread')
  sidecar.reload(service + hashing({ httpQueryParameterName: 'user' }))
  const byQuery = new Set<string>()
  for (let i = 0; i < 5; i++) {
    const path = `/x?a=${i}&user=ann&user=bob`
    byQuery.add((await ask(sidecar.port, { path, headers: { host: 'web' } })).body)
  }
  t.equal(byQuery.size, 1)
})

test('a hashed request stays where it belongs, unless its rule lets retries go elsewhere', async (t) => {
  await using upstreams = await several(2)
  const gone = createServer()
  const dead = await listening(gone)
  await new Promise((done) => gone.close(done))
  const route = (retries: object) =>
    `---\n${JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        hosts: ['web'],
        http: [{ route: [{ destination: { host: 'web' } }], retries: { attempts: 2, ...retries } }],
      },
    })}\n`
  // So many requests to the dead one would use up the default budget.
  const budget = { 'outrider.dev/retry-budget': 'off' }
  const loadBalancer = { consistentHash: { httpHeaderName: 'x-user' } }
  const service = serviceYaml('web', [...upstreams.ports, dead]) + rule({ loadBalancer }, budget)
  await using sidecar = await Sidecar.start({ yaml: service + route({ backoff: '1ms' }) })
  const statuses = async () => {
    const got: number[] = []
    for (let i = 0; i < 20; i++)
      got.push((await ask(sidecar.port, { headers: { host: 'web', 'x-user': `u${i}` } })).status)
    return got
  }
  const staying = await statuses()
  t.ok(staying.includes(503), 'some belong to the dead one')
  t.ok(staying.includes(200))
  sidecar.reload(service + route({ backoff: '1ms', retryIgnorePreviousHosts: true }))
  t.same(new Set(await statuses()), new Set([200]))
})

test('connections from one address go to one endpoint', async (t) => {
  const servers = [0, 1, 2].map((i) =>
    createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(String(i))
    }),
  )
  const ports: number[] = []
  for (const server of servers) ports.push(await listening(server))
  const free = createServer()
  const port = await listening(free)
  await new Promise((done) => free.close(done))
  const binds = [{ service: 'web', port: 5432, listen: { address: '127.0.0.1', port } }]
  const yaml = serviceYaml('web', ports, 'tcp', 5432) + hashing({ useSourceIp: true })
  await using _sidecar = await Sidecar.start({ yaml, binds })
  const reach = (localAddress: string) =>
    new Promise<string>((done, failed) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      socket.on('error', failed).on('data', (chunk) => {
        done(chunk.toString())
        socket.end()
      })
    })
  const seen = new Map<string, string>()
  for (let round = 0; round < 2; round++)
    for (let i = 1; i <= 12; i++) {
      const address = `127.0.1.${i}`
      const answer = await reach(address)
      t.equal(seen.get(address) ?? answer, answer, address)
      seen.set(address, answer)
    }
  t.ok(new Set(seen.values()).size > 1, 'addresses are spread')
  for (const server of servers) server.close()
})

test('of ten endpoints the one that fails at once is left alone by peak EWMA', async (t) => {
  await using upstreams = await several(9)
  await using failing = await Upstream.start((_incoming, reply) => {
    reply.statusCode = 503
    reply.end('no')
  })
  const annotations = { 'outrider.dev/load-balancer': 'PEAK_EWMA' }
  const yaml =
    serviceYaml('web', [...upstreams.ports, failing.port]) +
    rule({ connectionPool: { http: { maxRetries: 9 } } }, annotations)
  await using sidecar = await Sidecar.start({ yaml })
  const agent = new Agent({ keepAlive: true, maxSockets: 6 })
  const statuses: number[] = []
  const client = async () => {
    for (let i = 0; i < 60; i++)
      statuses.push((await ask(sidecar.port, { headers: { host: 'web' }, agent })).status)
  }
  await Promise.all(Array.from({ length: 6 }, client))
  agent.destroy()
  const bad = statuses.filter((status) => status === 503).length
  t.ok(bad <= 3, `${bad} of ${statuses.length} failed: less than 1 %`)
})

test('trafficDistribution keeps requests in the own zone until nobody is there', async (t) => {
  await using upstreams = await several(3)
  const mesh = (nearReady: boolean) =>
    [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: { trafficDistribution: 'PreferClose', ports: [{ name: 'http', port: 80 }] },
      },
      ...upstreams.ports.map((port, i) => ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `web-${i}`,
          namespace: 'default',
          labels: { 'kubernetes.io/service-name': 'web' },
        },
        addressType: 'IPv4',
        ports: [{ name: 'http', port }],
        endpoints: [
          {
            addresses: ['127.0.0.1'],
            zone: i === 1 ? 'z1' : 'z2',
            conditions: { ready: i !== 1 || nearReady },
          },
        ],
      })),
    ]
      .map((object) => JSON.stringify(object))
      .join('\n---\n')
  const labels = { 'topology.kubernetes.io/zone': 'z1' }
  await using sidecar = await Sidecar.start({ yaml: mesh(true), labels })
  const bodies = async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 10; i++)
      seen.add((await ask(sidecar.port, { headers: { host: 'web' } })).body)
    return [...seen].sort()
  }
  t.same(await bodies(), ['1'])
  sidecar.reload(mesh(false))
  t.same(await bodies(), ['0', '2'])
  sidecar.reload(mesh(true))
  t.same(await bodies(), ['1'])
})

test('when the near ones are ejected the next region serves, and they come back', async (t) => {
  let broken = true
  await using near = await Upstream.start((_incoming, reply) => {
    reply.statusCode = broken ? 500 : 200
    reply.end('near')
  })
  await using far = await Upstream.start((_incoming, reply) => reply.end('far'))
  await using next = await Upstream.start((_incoming, reply) => reply.end('next'))
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      hosts: ['web.test'],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      endpoints: [
        { address: '127.0.0.1', ports: { http: near.port }, locality: 'r1/z1' },
        { address: '127.0.0.1', ports: { http: far.port }, locality: 'r2/z1' },
        { address: '127.0.0.1', ports: { http: next.port }, locality: 'r3/z1' },
      ],
    },
  }
  const policy = {
    loadBalancer: { localityLbSetting: { failover: [{ from: 'r1', to: 'r3' }] } },
    outlierDetection: {
      consecutive5xxErrors: 2,
      maxEjectionPercent: 100,
      interval: '100ms',
      baseEjectionTime: '300ms',
    },
  }
  const yaml = `${JSON.stringify(entry)}\n${rule(policy).replace('"host":"web"', '"host":"web.test"')}`
  await using sidecar = await Sidecar.start({ yaml, labels: { 'istio-locality': 'r1.z1' } })
  const once = async () => (await ask(sidecar.port, { headers: { host: 'web.test' } })).body
  const until = async (wanted: string) => {
    const seen = new Set<string>()
    for (let body = ''; body !== wanted; ) {
      body = await once()
      seen.add(body)
    }
    return [...seen]
  }
  t.equal(await once(), 'near')
  t.same(await until('next'), ['near', 'next'], 'the region that failover names, not r2')
  broken = false
  t.same(await until('near'), ['next', 'near'], 'after its time the near one serves again')
})
