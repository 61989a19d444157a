import t from 'tap'
import type { ClusterSpec, EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import type { Family, LookupResult, NameLookup } from '../../proxy/control/name-lookup.ts'
import { SystemLookup } from '../../proxy/control/name-lookup.ts'
import { Resolver } from '../../proxy/control/resolver.ts'
import { startFakeDns } from './fake-dns.ts'
import { Changes, endpoint, HeardLog, snapshotOf } from './support.ts'

/** A snapshot with one DNS cluster per set. */
function naming(
  sets: Record<string, EndpointSpec[]>,
  dnsRefreshMs = 60_000,
  ip = '10.9.9.9',
  discovery: ClusterSpec['discovery'] = 'strict-dns',
): Snapshot {
  const base = snapshotOf('v1', sets)
  const clusters = Object.keys(sets).map((set) => {
    // The resolver reads nothing else of a cluster.
    const cluster = { discovery, endpointSet: set, dnsRefreshMs } as ClusterSpec
    return [set, cluster] as const
  })
  const workload = { ...base.workload, addresses: [ip] }
  return { ...base, workload, clusters: new Map(clusters) }
}

class Scripted implements NameLookup {
  readonly answers = new Map<string, LookupResult>()
  readonly asked: string[] = []
  async resolve(name: string, families: readonly Family[]): Promise<LookupResult> {
    this.asked.push(`${name} ${families.join('+')}`)
    return this.answers.get(name) ?? { kind: 'none', error: `ENOTFOUND asking for ${name}` }
  }
  found(name: string, addresses: string[], ttlMs?: number): void {
    this.answers.set(name, { kind: 'found', addresses, ttlMs })
  }
}

function following(lookup: NameLookup, leastMs = 1) {
  const changes = new Changes()
  const log = new HeardLog()
  const sets = new Map<string, string[]>()
  let updates = 0
  const resolver = new Resolver({
    lookup,
    log,
    leastMs,
    onSettled: changes.check,
    onEndpoints: (set, endpoints) => {
      updates++
      sets.set(
        set,
        endpoints.map(({ address, port }) => `${address}:${port}`),
      )
      changes.check()
    },
  })
  return {
    resolver,
    changes,
    log,
    sets,
    updates: () => updates,
    [Symbol.dispose]: () => resolver.close(),
  }
}

t.test('each address takes weight, labels and port of the endpoint that named it', async (t) => {
  const lookup = new Scripted()
  lookup.found('web.example', ['10.0.0.1', '10.0.0.2'])
  using dns = following(lookup)
  const spec = { ...endpoint('web.example', 8080), weight: 7, labels: { version: 'v2' } }
  const snapshot = naming({ web: [spec, endpoint('10.0.0.3', 1), endpoint('unix:///run/app', 0)] })
  dns.resolver.follow(snapshot)
  await dns.resolver.settled(60_000)
  t.same(dns.resolver.withAnswers(snapshot).endpointSets.get('web'), [
    { ...spec, address: '10.0.0.1' },
    { ...spec, address: '10.0.0.2' },
    endpoint('10.0.0.3', 1),
    endpoint('unix:///run/app', 0),
  ])
  t.same(dns.sets.get('web'), ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:1', 'unix:///run/app:0'])
  t.same(lookup.asked, ['web.example 4'], 'an IPv4 workload asks for IPv4 only')
})

t.test('a new answer is told, a shuffled one is not', async (t) => {
  const lookup = new Scripted()
  lookup.found('web.example', ['10.0.0.1', '10.0.0.2'], 1)
  using dns = following(lookup)
  dns.resolver.follow(naming({ web: [endpoint('web.example')] }))
  await dns.resolver.settled(60_000)
  lookup.found('web.example', ['10.0.0.2', '10.0.0.1'], 1)
  const asked = lookup.asked.length
  while (lookup.asked.length < asked + 3) await new Promise(setImmediate)
  t.equal(dns.updates(), 1)
  lookup.found('web.example', ['10.0.0.2'], 1)
  await dns.changes.until(() => dns.sets.get('web')?.join() === '10.0.0.2:80')
  t.equal(dns.updates(), 2)
})

t.test('through failures the last good answer stays, and is told once', async (t) => {
  const lookup = new Scripted()
  lookup.found('web.example', ['10.0.0.1'], 1)
  using dns = following(lookup)
  const snapshot = naming({ web: [endpoint('web.example')] }, 20)
  dns.resolver.follow(snapshot)
  await dns.resolver.settled(60_000)
  lookup.answers.set('web.example', { kind: 'failed', error: 'ETIMEOUT asking' })
  const asked = lookup.asked.length
  while (lookup.asked.length < asked + 6) await new Promise(setImmediate)
  t.equal(dns.resolver.withAnswers(snapshot).endpointSets.get('web')?.[0]?.address, '10.0.0.1')
  t.equal(dns.log.count('cannot be resolved: ETIMEOUT asking; the last answer stays: 10.0.0.1'), 1)
  t.match(dns.resolver.status(), [{ name: 'web.example', error: 'ETIMEOUT asking' }])
  lookup.found('web.example', ['10.0.0.4'], 1)
  await dns.changes.until(() => dns.sets.get('web')?.join() === '10.0.0.4:80')
  t.equal(dns.log.count('resolves again'), 1)
})

t.test('a name that is gone for a refresh time loses its addresses', async (t) => {
  const lookup = new Scripted()
  lookup.found('web.example', ['10.0.0.1'], 1)
  using dns = following(lookup)
  dns.resolver.follow(naming({ web: [endpoint('web.example')] }, 10))
  await dns.resolver.settled(60_000)
  lookup.answers.delete('web.example')
  await dns.changes.until(() => dns.sets.get('web')?.length === 0)
  t.equal(dns.log.count('its addresses are dropped'), 1)
})

t.test('a name never answered stays a name, and settles readiness all the same', async (t) => {
  using dns = following(new Scripted())
  const snapshot = naming({ web: [endpoint('late.example')] })
  dns.resolver.follow(snapshot)
  t.equal(dns.resolver.unsettled, 1)
  await dns.resolver.settled(60_000)
  t.equal(dns.resolver.unsettled, 0)
  t.equal(dns.resolver.withAnswers(snapshot).endpointSets.get('web')?.[0]?.address, 'late.example')
})

t.test('settling gives up waiting for a lookup that hangs', async (t) => {
  using dns = following({ resolve: () => new Promise(() => undefined) })
  dns.resolver.follow(naming({ web: [endpoint('slow.example')] }))
  await dns.resolver.settled(1)
  t.equal(dns.resolver.unsettled, 1)
})

t.test('names shared by sets are asked once; names no longer wanted are forgotten', async (t) => {
  const lookup = new Scripted()
  lookup.found('web.example', ['10.0.0.1'])
  using dns = following(lookup)
  dns.resolver.follow(naming({ a: [endpoint('web.example')], b: [endpoint('web.example', 81)] }))
  await dns.resolver.settled(60_000)
  t.equal(lookup.asked.length, 1)
  t.same(
    [...dns.sets],
    [
      ['a', ['10.0.0.1:80']],
      ['b', ['10.0.0.1:81']],
    ],
  )
  const next = naming({ b: [endpoint('web.example', 82)] })
  dns.resolver.follow(next)
  t.equal(dns.resolver.withAnswers(next).endpointSets.get('b')?.[0]?.port, 82)
  dns.resolver.follow(snapshotOf('v3'))
  t.same(dns.resolver.status(), [])
  t.equal(lookup.asked.length, 1)
})

t.test('two names for one address make one endpoint', async (t) => {
  const lookup = new Scripted()
  lookup.found('a.example', ['10.0.0.1'])
  lookup.found('b.example', ['10.0.0.1', '10.0.0.2'])
  using dns = following(lookup)
  dns.resolver.follow(naming({ web: [endpoint('a.example'), endpoint('b.example')] }))
  await dns.resolver.settled(60_000)
  t.same(dns.sets.get('web'), ['10.0.0.1:80', '10.0.0.2:80'])
})

t.test('with a real name server, a record that changes reaches the set', async (t) => {
  await using server = await startFakeDns()
  server.records.set('web.example', [{ value: '10.0.0.1', ttl: 0 }])
  using dns = following(new SystemLookup({ servers: [server.address], system: async () => [] }))
  dns.resolver.follow(naming({ web: [endpoint('web.example')] }))
  await dns.resolver.settled(60_000)
  t.same(dns.sets.get('web'), ['10.0.0.1:80'])
  server.records.set('web.example', [{ value: '10.0.0.2', ttl: 0 }])
  await dns.changes.until(() => dns.sets.get('web')?.join() !== '10.0.0.1:80')
  t.same(dns.sets.get('web'), ['10.0.0.2:80'])
})

t.test('of a name with one answer per connection the first address is followed', async (t) => {
  const lookup = new Scripted()
  lookup.found('db.example', ['10.0.0.1', '10.0.0.2'], 1)
  const { changes, resolver, sets, updates } = following(lookup)
  const named = { db: [endpoint('db.example', 5432)] }
  resolver.follow(naming(named, 60_000, '10.9.9.9', 'logical-dns'))
  await changes.until(() => sets.get('db')?.[0] === '10.0.0.1:5432')
  lookup.found('db.example', ['10.0.0.2', '10.0.0.1'], 1)
  await changes.until(() => sets.get('db')?.[0] === '10.0.0.2:5432')
  t.same(sets.get('db'), ['10.0.0.2:5432', '10.0.0.1:5432'], 'the other one stays for the race')
  t.equal(updates(), 2)
  resolver.close()
})
