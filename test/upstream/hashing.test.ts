import t from 'tap'
import type { HashKeySpec, LoadBalancerSpec } from '../../config/snapshot.ts'
import { Random } from '../../proxy/base/random.ts'
import { Hash64, xxHash64 } from '../../proxy/base/xx-hash.ts'
import { Candidates } from '../../proxy/upstream/candidates.ts'
import type { Cluster } from '../../proxy/upstream/cluster.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { Maglev } from '../../proxy/upstream/maglev.ts'
import type { PickRequest } from '../../proxy/upstream/picker.ts'
import { type HashTable, Ring } from '../../proxy/upstream/ring-hash.ts'
import { clusterSpec, endpointSpec, pickOne, World } from './fakes.ts'

const key: HashKeySpec = { kind: 'header', name: 'x-user' }
const ring: LoadBalancerSpec = { kind: 'RING_HASH', hash: { key, size: 1024 } }
const maglev: LoadBalancerSpec = { kind: 'MAGLEV', hash: { key, size: 65_537 } }
const policies = [
  ['ring hash', ring],
  ['a ring of 100,000', { kind: 'RING_HASH', hash: { key, size: 100_000 } }],
  ['maglev', maglev],
] as const

function specs(count: number, weight: (i: number) => number = () => 1) {
  return Array.from({ length: count }, (_, i) =>
    endpointSpec(`10.0.${i >> 8}.${i & 255}`, { weight: weight(i) }),
  )
}

function ask(text: string | undefined, tried: readonly Endpoint[] = []): PickRequest {
  return { originalDestination: undefined, tried, hashText: () => text }
}

function owners(cluster: Cluster, keys: number): Endpoint[] {
  return Array.from({ length: keys }, (_, i) => pickOne(cluster, ask(`user-${i}`)))
}

for (const [name, loadBalancer] of policies) {
  t.test(`${name}: a key always leads to the same endpoint`, async (t) => {
    const world = new World()
    const cluster = world.cluster({ loadBalancer }, specs(10))
    const first = owners(cluster, 200)
    t.ok(owners(cluster, 200).every((one, i) => one === first[i]))
    const other = new World().cluster({ loadBalancer }, specs(10).reverse())
    t.same(
      owners(other, 200).map(({ text }) => text),
      first.map(({ text }) => text),
      'also in another proxy that was told in another order',
    )
  })

  t.test(`${name}: without one of 100 endpoints at most 2 % of other keys move`, async (t) => {
    const world = new World()
    const all = specs(100)
    const cluster = world.cluster({ loadBalancer }, all)
    const before = owners(cluster, 6000).map(({ text }) => text)
    cluster.update(all.toSpliced(37, 1))
    const after = owners(cluster, 6000).map(({ text }) => text)
    const gone = '10.0.0.37:8080'
    t.notOk(after.includes(gone))
    const moved = before.filter((text, i) => text !== gone && text !== after[i]).length
    t.ok(moved / before.length <= 0.02, `${moved} of 6000 others moved`)
  })
}

t.test('a ring moves the keys of the endpoint that is gone, and no other', async (t) => {
  const world = new World()
  const all = specs(100)
  const cluster = world.cluster({ loadBalancer: ring }, all)
  const before = owners(cluster, 5000).map(({ text }) => text)
  // 100 endpoints get 11 points each, 99 as many.
  cluster.update(all.slice(1))
  const after = owners(cluster, 5000).map(({ text }) => text)
  t.same(
    before.filter((text, i) => text !== after[i] && text !== '10.0.0.0:8080'),
    [],
  )
})

/** Share of the whole space of hashes. */
function shares(table: HashTable, all: readonly Endpoint[]): number[] {
  const random = new Random(9)
  const hash = new Hash64()
  const counts = all.map(() => 0)
  for (let i = 0; i < 80_000; i++) {
    hash.high = random.bits()
    hash.low = random.bits()
    counts[all.indexOf(table.at(table.slotOf(hash)))]!++
  }
  return counts.map((count) => count / 80_000)
}

t.test('weights are honoured within 1 %', async (t) => {
  const weights = [1, 2, 3, 4]
  const all = [
    ...new World().cluster(
      {},
      specs(4, (i) => weights[i]!),
    ).endpoints,
  ]
  const tables = [
    ['maglev', new Maglev(all, weights, 65_537)],
    ['a large ring', new Ring(all, weights, 200_000)],
  ] as const
  for (const [name, table] of tables)
    for (const [i, share] of shares(table, all).entries())
      t.ok(Math.abs(share - weights[i]! / 10) < 0.01, `${name}: ${share} of weight ${weights[i]}`)
})

t.test('a ring has points in proportion to weight, and Envoy places them', async (t) => {
  const all = [
    ...new World().cluster(
      {},
      specs(3, (i) => i + 1),
    ).endpoints,
  ]
  const table = new Ring(all, [1, 2, 3], 12)
  t.equal(table.size, 12)
  const counts = all.map(
    (endpoint) =>
      Array.from({ length: 12 }, (_, slot) => table.at(slot)).filter((one) => one === endpoint)
        .length,
  )
  t.same(counts, [2, 4, 6])
  const hash = new Hash64()
  xxHash64('10.0.0.2:8080_5', hash)
  t.equal(table.at(table.slotOf(hash)), all[2], 'a point belongs to its endpoint')
  hash.high = 0xffffffff
  hash.low = 0xffffffff
  t.equal(table.slotOf(hash), 0, 'behind the last point the ring begins anew')
})

t.test('the ring finds what looking at every point finds', async (t) => {
  const all = [...new World().cluster({}, specs(7)).endpoints]
  const table = new Ring(
    all,
    all.map(() => 1),
    64,
  )
  const hash = new Hash64()
  const points = all
    .flatMap((endpoint) =>
      Array.from({ length: 10 }, (_, i) => {
        xxHash64(`${endpoint.text}_${i}`, hash)
        return { endpoint, at: BigInt(`0x${hash}`) }
      }),
    )
    .sort((a, b) => (a.at < b.at ? -1 : 1))
  t.equal(table.size, points.length)
  const wrong: string[] = []
  for (let i = 0; i < 2000; i++) {
    xxHash64(`key ${i}`, hash)
    const at = BigInt(`0x${hash}`)
    const wanted = (points.find((point) => point.at >= at) ?? points[0])!.endpoint
    if (table.at(table.slotOf(hash)) !== wanted) wrong.push(`key ${i}`)
  }
  t.same(wrong, [], '2000 keys')
})

t.test('a large ring is in order, and each point leads to its endpoint', async (t) => {
  const all = [...new World().cluster({}, specs(3)).endpoints]
  const table = new Ring(all, [1, 1, 1], 99_999)
  const hash = new Hash64()
  const slots = new Set<number>()
  for (const endpoint of all)
    for (let i = 0; i < 33_333; i++) {
      xxHash64(`${endpoint.text}_${i}`, hash)
      const slot = table.slotOf(hash)
      slots.add(slot)
      if (table.at(slot) !== endpoint) t.fail(`${endpoint.text}_${i}`)
    }
  t.equal(slots.size, 99_999, 'every point is found at a place of its own')
})

t.test('every slot of a Maglev table is taken, evenly', async (t) => {
  const all = [...new World().cluster({}, specs(10)).endpoints]
  const table = new Maglev(
    all,
    all.map(() => 1),
    1009,
  )
  const counts = new Map<Endpoint, number>()
  for (let slot = 0; slot < 1009; slot++)
    counts.set(table.at(slot), (counts.get(table.at(slot)) ?? 0) + 1)
  t.equal(counts.size, 10)
  for (const count of counts.values()) t.ok(count === 100 || count === 101, String(count))
})

t.test('requests without the key go anywhere', async (t) => {
  const cluster = new World().cluster({ loadBalancer: ring }, specs(3))
  const seen = new Set<Endpoint>()
  for (let i = 0; i < 100; i++) seen.add(pickOne(cluster, ask(undefined)))
  t.equal(seen.size, 3)
})

t.test('a retry goes to the next endpoint of the ring, always the same', async (t) => {
  for (const loadBalancer of [ring, maglev]) {
    const cluster = new World().cluster({ loadBalancer }, specs(4))
    const first = pickOne(cluster, ask('user-1'))
    const second = pickOne(cluster, ask('user-1', [first]))
    t.not(second, first)
    t.equal(pickOne(cluster, ask('user-1', [first])), second)
    const third = pickOne(cluster, ask('user-1', [first, second]))
    t.equal(new Set([first, second, third]).size, 3)
    t.equal(pickOne(cluster, ask('user-1', [...cluster.endpoints])), first, 'all were tried')
  }
})

t.test('the keys of an endpoint that is out of service come back with it', async (t) => {
  const world = new World()
  const candidates = new Candidates(clusterSpec({ loadBalancer: ring }), world.context)
  candidates.replace(world.cluster({}, specs(100)).endpoints)
  const all = () => Array.from({ length: 500 }, (_, i) => candidates.pick(ask(`user-${i}`))!)
  const before = all()
  const ejected = before[0]!
  ejected.ejected = true
  candidates.refresh()
  const during = all()
  t.notOk(during.includes(ejected))
  t.equal(during.filter((one, i) => one !== before[i] && before[i] !== ejected).length, 0)
  ejected.ejected = false
  candidates.refresh()
  t.ok(all().every((one, i) => one === before[i]))
})
