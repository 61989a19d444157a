import t from 'tap'
import { load } from '../../config/load.ts'
import type { ClusterSpec } from '../../config/snapshot.ts'
import { istio, service, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80', 'http-b:81'] })
const host = 'a.default.svc.cluster.local'

function clusterOf(policy: object, port = 80, subset = '', metadata: object = {}): ClusterSpec {
  const rule = istio('DestinationRule', 'a', { host: 'a', ...policy }, { ...metadata })
  return viewOf(mesh + rule).cluster(`outbound|${port}|${subset}|${host}`)!
}
const balanced = (loadBalancer: object) => clusterOf({ trafficPolicy: { loadBalancer } })
const hashed = (consistentHash: object) => balanced({ consistentHash }).loadBalancer

t.test('where the key of consistentHash comes from', async (t) => {
  t.same(hashed({ httpHeaderName: 'X-User' }), {
    kind: 'RING_HASH',
    hash: { key: { kind: 'header', name: 'x-user' }, size: 1024 },
  })
  t.same(hashed({ useSourceIp: true }).hash?.key, { kind: 'source-ip' })
  t.same(hashed({ httpQueryParameterName: 'User' }).hash?.key, { kind: 'query', name: 'User' })
  t.same(hashed({ useSourceIp: false }), { kind: 'RANDOM' }, 'switched off: nothing to go by')
})

t.test('a cookie is made where it has a ttl', async (t) => {
  const key = (httpCookie: object) => hashed({ httpCookie }).hash?.key
  t.same(key({ name: 'user' }), { kind: 'cookie', name: 'user' })
  t.same(key({ name: 'user', ttl: '0s' }), { kind: 'cookie', name: 'user', made: '; HttpOnly' })
  t.same(key({ name: 'user', path: '/p', ttl: '60.9s' }), {
    kind: 'cookie',
    name: 'user',
    made: '; Max-Age=60; Path=/p; HttpOnly',
  })
  const attributes = [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }]
  t.same(key({ name: 'user', ttl: '1s', attributes }), {
    kind: 'cookie',
    name: 'user',
    made: '; Max-Age=1; SameSite=Lax; Secure; HttpOnly',
  })
})

t.test('ring hash unless maglev is written; sizes have their defaults', async (t) => {
  const source = { useSourceIp: true }
  const table = (more: object) => {
    const { kind, hash } = hashed({ ...source, ...more })
    return [kind, hash?.size]
  }
  t.same(table({}), ['RING_HASH', 1024])
  t.same(table({ ringHash: {} }), ['RING_HASH', 1024])
  t.same(table({ ringHash: { minimumRingSize: 5000 } }), ['RING_HASH', 5000])
  t.same(table({ ringHash: { minimumRingSize: 9_000_000 } }), ['RING_HASH', 8_388_608])
  t.same(table({ minimumRingSize: 2000 }), ['RING_HASH', 2000])
  t.same(table({ maglev: {} }), ['MAGLEV', 65_537])
  t.same(table({ maglev: { tableSize: 1009 } }), ['MAGLEV', 1009])
})

t.test('a ring that requests would have to wait for is told', async (t) => {
  const told = (more: object) => {
    const consistentHash = { useSourceIp: true, ...more }
    const trafficPolicy = { loadBalancer: { consistentHash } }
    const text = mesh + istio('DestinationRule', 'a', { host: 'a', trafficPolicy })
    const { problems } = load([{ path: 'a.yaml', text }])
    return problems.filter(({ message }) => message.includes('points is made anew'))
  }
  t.match(told({ ringHash: { minimumRingSize: 1_000_000 } }), [{ severity: 'warning' }])
  t.match(told({ minimumRingSize: 1_000_000 }), [{ severity: 'warning' }])
  t.same(told({ ringHash: { minimumRingSize: 65_536 } }), [])
})

t.test("the key is that of the destination's own cluster, port settings included", async (t) => {
  const policy = {
    subsets: [
      {
        name: 'v1',
        trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-v1' } } },
      },
      { name: 'v2' },
    ],
    trafficPolicy: {
      loadBalancer: { consistentHash: { httpHeaderName: 'x-all' } },
      portLevelSettings: [
        { port: { number: 81 }, loadBalancer: { consistentHash: { useSourceIp: true } } },
      ],
    },
  }
  const key = (port: number, subset: string) =>
    clusterOf(policy, port, subset).loadBalancer.hash?.key
  t.same(key(80, 'v1'), { kind: 'header', name: 'x-v1' })
  t.same(key(80, 'v2'), { kind: 'header', name: 'x-all' })
  t.same(key(81, 'v2'), { kind: 'source-ip' })
})

t.test('warmup is for ROUND_ROBIN and LEAST_REQUEST', async (t) => {
  const warmup = { duration: '30s' }
  const filled = { durationMs: 30_000, minimumPercent: 10, aggression: 1 }
  t.same(balanced({ warmup }).loadBalancer, { kind: 'LEAST_REQUEST', warmup: filled })
  t.same(balanced({ simple: 'ROUND_ROBIN', warmupDurationSecs: '30s' }).loadBalancer, {
    kind: 'ROUND_ROBIN',
    warmup: filled,
  })
  const whole = { duration: '1m', minimumPercent: 0, aggression: 1.5 }
  t.same(balanced({ simple: 'LEAST_CONN', warmup: whole, warmupDurationSecs: '9s' }).loadBalancer, {
    kind: 'LEAST_REQUEST',
    warmup: { durationMs: 60_000, minimumPercent: 0, aggression: 1.5 },
  })
  t.same(balanced({ simple: 'RANDOM', warmup }).loadBalancer, { kind: 'RANDOM' })
})

t.test('the annotation for peak EWMA replaces simple policies of the whole rule', async (t) => {
  const metadata = { annotations: { 'outrider.dev/load-balancer': 'PEAK_EWMA' } }
  const policy = {
    subsets: [
      { name: 'plain' },
      {
        name: 'sticky',
        trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } },
      },
    ],
    trafficPolicy: {
      loadBalancer: { simple: 'ROUND_ROBIN' },
      portLevelSettings: [{ port: { number: 81 }, loadBalancer: { simple: 'PASSTHROUGH' } }],
    },
  }
  const cluster = clusterOf(policy, 80, 'plain', metadata)
  t.equal(cluster.loadBalancer.kind, 'PEAK_EWMA')
  t.match(cluster.loadBalancerOrigin, { kind: 'DestinationRule', name: 'a', line: /^\d+$/ })
  t.equal(clusterOf(policy, 80, 'sticky', metadata).loadBalancer.kind, 'RING_HASH')
  t.equal(clusterOf(policy, 81, '', metadata).loadBalancer.kind, 'PASSTHROUGH')
  t.equal(clusterOf({}, 80, '', metadata).loadBalancer.kind, 'PEAK_EWMA', 'without any policy')
})

t.test('an annotation with another value is told and has no effect', async (t) => {
  const metadata = { annotations: { 'outrider.dev/load-balancer': 'EWMA' } }
  t.equal(clusterOf({}, 80, '', metadata).loadBalancer.kind, 'LEAST_REQUEST')
  const text = mesh + istio('DestinationRule', 'a', { host: 'a' }, metadata)
  const told = load([{ path: 'a.yaml', text }]).problems.filter(
    ({ code }) => code === 'OUT-ANNOTATION',
  )
  t.match(told, [{ severity: 'warning', message: /"EWMA" is not PEAK_EWMA/ }])
})

t.test('where the policy is written goes with it', async (t) => {
  const yaml = (lines: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: default}
spec:
  host: a
${lines}`
  const originOf = (lines: string, subset = '') =>
    viewOf(mesh + yaml(lines)).cluster(`outbound|80|${subset}|${host}`)?.loadBalancerOrigin?.line
  const before = mesh.split('\n').length + 4
  const top = '  trafficPolicy:\n    loadBalancer: {simple: RANDOM}\n'
  const v1 = '  subsets:\n  - name: v1\n    trafficPolicy:\n      loadBalancer: {simple: RANDOM}\n'
  t.equal(originOf(top), before + 2)
  t.equal(originOf(top + v1, 'v1'), before + 6)
  t.equal(originOf(top + v1), before + 2)
  t.equal(originOf('  trafficPolicy:\n    connectionPool: {http: {maxRetries: 1}}\n'), undefined)
})

t.test(
  'equal policies are one object, and their hash does not move with their lines',
  async (t) => {
    const rule = (name: string) =>
      istio('DestinationRule', name, {
        host: name,
        trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } },
      })
    const services = mesh + service('b', { ports: ['http:80'] })
    const one = viewOf(services + rule('a') + rule('b'))
    const other = viewOf(services + rule('b') + rule('a'))
    const name = `outbound|80||${host}`
    t.equal(one.cluster(name)?.hash, other.cluster(name)?.hash)
    t.not(
      one.cluster(name)?.loadBalancerOrigin?.line,
      other.cluster(name)?.loadBalancerOrigin?.line,
    )
    t.equal(
      one.cluster(name)?.loadBalancer,
      one.cluster('outbound|80||b.default.svc.cluster.local')?.loadBalancer,
    )
  },
)

t.test('balancing that cannot act is told where it is written, once', async (t) => {
  const told = (yaml: string) =>
    viewOf(yaml)
      .problems.filter(({ code }) => code === 'OUT-BALANCER')
      .map(({ message }) => message)
  const rule = (loadBalancer: object, subsets: object[] = []) =>
    istio('DestinationRule', 'a', { host: 'a', trafficPolicy: { loadBalancer }, subsets })
  const headless = service('a', { ports: ['http:80', 'http-b:81'], clusterIP: 'None' })
  t.match(told(headless + rule({ simple: 'RANDOM' }, [{ name: 'v1' }])), [
    /^loadBalancer has no effect on a\.default\..*: it is headless/,
  ])
  t.same(told(headless + rule({ simple: 'PASSTHROUGH' })), [])
  const bytes = service('a', { ports: ['tcp:80', 'http:81'] })
  t.match(told(bytes + rule({ consistentHash: { httpHeaderName: 'x' } })), [
    /^connections to port 80 of .* go to any endpoint/,
  ])
  t.same(told(bytes + rule({ consistentHash: { useSourceIp: true } })), [])
  t.same(told(bytes + rule({ simple: 'ROUND_ROBIN' })), [])
})

t.test('warmup with a policy that has no shares is told', async (t) => {
  const warned = (loadBalancer: object) =>
    load([
      {
        path: 'a.yaml',
        text: mesh + istio('DestinationRule', 'a', { host: 'a', trafficPolicy: { loadBalancer } }),
      },
    ])
      .problems.filter(({ message }) => message.includes('warmup'))
      .map(({ severity, message }) => `${severity}: ${message}`)
  const warmup = { duration: '10s' }
  t.match(warned({ simple: 'RANDOM', warmup }), [/^warning: .*has no effect with RANDOM/])
  t.match(warned({ consistentHash: { useSourceIp: true }, warmup }), [/with consistentHash/])
  t.same(warned({ simple: 'ROUND_ROBIN', warmup }), [])
  t.same(warned({ warmup }), [])
})
