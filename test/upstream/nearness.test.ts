import t from 'tap'
import type { ClusterSpec, EndpointSpec, LocalitySpec } from '../../config/snapshot.ts'
import { Candidates } from '../../proxy/upstream/candidates.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { rankOf } from '../../proxy/upstream/locality.ts'
import type { PickRequest } from '../../proxy/upstream/picker.ts'
import { loadOfLevels } from '../../proxy/upstream/priorities.ts'
import { zoneWeights } from '../../proxy/upstream/zone-balance.ts'
import { clusterSpec, endpointSpec, firstTry, outlierSpec, World } from './fakes.ts'

const outliers = (minHealthPercent: number): ClusterSpec['outlierDetection'] =>
  outlierSpec({ maxEjectionPercent: 100, minHealthPercent })

class Choice {
  readonly candidates: Candidates
  readonly endpoints: readonly Endpoint[]

  constructor(
    specs: readonly EndpointSpec[],
    locality?: LocalitySpec,
    parts: Partial<ClusterSpec> = {},
  ) {
    const world = new World()
    const loadBalancer = { kind: 'ROUND_ROBIN', ...(locality && { locality }) } as const
    this.endpoints = [...world.cluster({}, specs).endpoints]
    this.candidates = new Candidates(clusterSpec({ loadBalancer, ...parts }), world.context)
    this.candidates.replace(this.endpoints)
  }

  eject(...which: readonly number[]): this {
    for (const [i, endpoint] of this.endpoints.entries()) endpoint.ejected = which.includes(i)
    this.candidates.refresh()
    return this
  }

  /** Picks of each endpoint among a thousand. */
  shares(request: PickRequest = firstTry): number[] {
    const counts = this.endpoints.map(() => 0)
    for (let i = 0; i < 1000; i++) {
      const endpoint = this.candidates.pick(request)
      if (endpoint !== undefined) counts[this.endpoints.indexOf(endpoint)]!++
    }
    return counts
  }
}

const at = (locality: string, i = 0, parts: Partial<EndpointSpec> = {}) =>
  endpointSpec(`10.0.${i}.${Math.abs(hashOf(locality)) % 250}`, { locality, ...parts })

function hashOf(text: string): number {
  let sum = 0
  for (const letter of text) sum = (sum * 31 + letter.charCodeAt(0)) | 0
  return sum
}

const regions = (own: string, next = ''): LocalitySpec => ({ own, regions: { next } })

t.test('same subzone, zone, region, elsewhere: in this order', async (t) => {
  const rank = (locality: string, next = '') => rankOf(at(locality), regions('r1/z1/s1', next))
  t.equal(rank('r1/z1/s1'), 0)
  t.equal(rank('r1/z1/s2'), 1)
  t.equal(rank('r1/z1'), 1)
  t.equal(rank('r1/z2/s1'), 2)
  t.equal(rank('r2/z1/s1'), 3)
  t.equal(rank(''), 3)
  t.equal(rank('r2/z1', 'r2'), 3, 'the region that failover names')
  t.equal(rank('r3/z1', 'r2'), 4, 'comes before the others')
})

t.test('labels count from the first to the one that differs', async (t) => {
  const locality: LocalitySpec = {
    own: 'r1/z1',
    labels: [
      ['topology.kubernetes.io/region', 'r1'],
      ['tier', 'web'],
      ['kubernetes.io/hostname', 'n1'],
    ],
  }
  const rank = (place: string, tier: string, node: string) =>
    rankOf(at(place, 0, { labels: { tier }, node }), locality)
  t.equal(rank('r1/z9', 'web', 'n1'), 0)
  t.equal(rank('r1', 'web', 'n2'), 1)
  t.equal(rank('r1', 'db', 'n1'), 2, 'what comes after a difference does not count')
  t.equal(rank('r2', 'web', 'n1'), 3)
  t.equal(rankOf(at('r1'), { own: '', labels: [['tier', '']] }), 0, 'neither has it')
})

t.test('the nearest level gets everything while it is well enough', async (t) => {
  const near = [0, 1, 2, 3, 4].map((i) => at('r1/z1', i))
  const far = [0, 1].map((i) => at('r2/z1', i))
  const set = new Choice([...near, ...far], regions('r1/z1'))
  t.same(set.shares(), [200, 200, 200, 200, 200, 0, 0])
  t.same(
    set.endpoints.map(({ priority }) => priority),
    [0, 0, 0, 0, 0, 1, 1],
  )
  t.same(set.eject(0).shares(), [0, 250, 250, 250, 250, 0, 0], '80 % is enough: 1.4 times')
})

t.test('a weak level spills over to the next', async (t) => {
  const near = [0, 1, 2, 3].map((i) => at('r1/z1', i))
  const far = [0, 1].map((i) => at('r2/z1', i))
  const set = new Choice([...near, ...far], regions('r1/z1')).eject(0, 1)
  const [, , a = 0, b = 0, c = 0, d = 0] = set.shares()
  t.equal(a + b, 700, 'half of it is well: 1.4 times 50 %')
  t.equal(c + d, 300)
  t.same(set.eject(0, 1, 2, 3).shares(), [0, 0, 0, 0, 500, 500])
  t.same(set.eject(0, 1, 2, 3, 4, 5).shares(), [0, 0, 0, 0, 0, 0], 'and nobody panics')
})

t.test('endpoints that are not ready count as ill where they are', async (t) => {
  const set = new Choice([at('r1', 0), at('r1', 1, { healthy: false }), at('r2', 0)], regions('r1'))
  const [near = 0, , far = 0] = set.shares()
  t.same([near, far], [700, 300])
})

t.test('loads of levels are those of Envoy', async (t) => {
  const load = (panicPercent: number, ...levels: ReadonlyArray<readonly [number, number]>) =>
    loadOfLevels(
      levels.map(([usable, total]) => ({ usable, total })),
      panicPercent,
    ).map(({ percent, panic }) => (panic ? `${percent}!` : `${percent}`))
  // One level of ten, panic below 50 %.
  t.same(load(50, [10, 10]), ['100'])
  t.same(load(50, [8, 10]), ['100'])
  t.same(load(50, [5, 10]), ['100'], 'half is enough')
  t.same(load(50, [4, 10]), ['100!'])
  t.same(load(50, [0, 10]), ['100!'])
  t.same(load(0, [1, 10]), ['100'], 'a single level takes what it cannot take')
  t.same(load(0, [0, 10]), ['0'])
  t.same(load(0), [])
  // Several levels.
  t.same(load(50, [8, 10], [10, 10]), ['100', '0'], '80 % of the first is enough')
  t.same(load(0, [5, 10], [10, 10]), ['70', '30'])
  t.same(load(0, [0, 10], [10, 10]), ['0', '100'])
  t.same(load(0, [25, 100], [25, 100]), ['50', '50'], '35 and 35 are scaled up')
  t.same(load(0, [1, 10], [1, 10], [1, 10]), ['34', '33', '33'], 'the rest is for the first')
  t.same(load(50, [25, 100], [60, 100]), ['35', '65'], 'no panic while all can be served')
  t.same(load(50, [25, 100], [30, 100]), ['50!', '50!'], 'all in panic: by their numbers')
  t.same(
    load(50, [2, 100], [60, 100]),
    ['3!', '97'],
    'only the weak one; the first gets what rounding leaves',
  )
  t.same(load(50, [1, 30], [1, 60]), ['33!', '67!'])
})

t.test('below minHealthPercent all are used, but for those not ready', async (t) => {
  const specs = [0, 1, 2, 3].map((i) => at('r1', i)).concat(at('r1', 9, { healthy: false }))
  const set = new Choice(specs, undefined, { outlierDetection: outliers(60) })
  const [ejected, ...others] = set.eject(0).shares()
  t.equal(ejected, 0)
  t.ok(others.slice(0, 3).every((count) => count >= 333))
  t.same(set.eject(0, 1).shares(), [250, 250, 250, 250, 0], 'half is below 60 %')
  const calm = new Choice(specs, undefined, { outlierDetection: outliers(0) })
  t.same(calm.eject(0, 1).shares(), [0, 0, 500, 500, 0])
  t.same(calm.eject(0, 1, 2, 3).shares(), [0, 0, 0, 0, 0])
})

const distribute: LocalitySpec = {
  own: 'r1/z1',
  distribute: [
    ['r1/z1/*', 80],
    ['r1/z2', 20],
  ],
}

t.test('shares of localities are exact, places without a share get nothing', async (t) => {
  const set = new Choice(
    [at('r1/z1/a', 0), at('r1/z1/b', 1), at('r1/z2/a', 0), at('r1/z3', 0), at('', 0)],
    distribute,
  )
  t.same(set.shares(), [400, 400, 200, 0, 0])
  t.equal(set.endpoints[3]!.priority, -1)
})

t.test('a locality that is down gives its share to the others', async (t) => {
  const set = new Choice([at('r1/z1', 0), at('r1/z1', 1), at('r1/z2', 0), at('r9', 0)], distribute)
  t.same(set.eject(2).shares(), [500, 500, 0, 0])
  // One of two in z1: 80 x 1.4 x 50 % against 20.
  const [, b = 0, c = 0] = set.eject(0).shares()
  t.ok(Math.abs(b - (1000 * 56) / 76) <= 2, `${b}`)
  t.equal(b + c, 1000)
  t.same(set.eject(0, 1, 2).shares(), [0, 0, 0, 0], 'whatever else is well')
  t.match(set.candidates.whyNone(), /out of service|ejected/)
})

t.test('a place with a share but nobody in it is told', async (t) => {
  const set = new Choice([at('r9', 0)], distribute)
  t.equal(set.candidates.pick(firstTry), undefined)
  t.equal(set.candidates.whyNone(), 'from r1/z1 only r1/z1/*, r1/z2 may be used, and none is there')
})

t.test('a retry leaves a level or locality when all there were tried', async (t) => {
  const set = new Choice([at('r1', 0), at('r2', 0), at('r2', 1)], regions('r1'))
  const [near] = set.endpoints
  const counts = set.shares({ originalDestination: undefined, tried: [near!] })
  t.equal(counts[0], 1000, 'the next level is not used while the nearest is well')
  const shared = new Choice([at('r1/z1', 0), at('r1/z2', 0)], distribute)
  const [first] = shared.endpoints
  t.same(shared.shares({ originalDestination: undefined, tried: [first!] }), [0, 1000])
})

t.test('retryRemoteLocalities: a retry goes to the nearest level that was not tried', async (t) => {
  const set = new Choice([at('r1', 0), at('r2', 0), at('r2', 1), at('r3', 0)], regions('r1', 'r3'))
  const [near, far, further, next] = set.endpoints
  const again = (triedLevels: readonly number[], ...tried: Endpoint[]) =>
    set.shares({ originalDestination: undefined, tried, triedLevels })
  set.candidates.pick(firstTry)
  t.same(
    [near, next, far, further].map((one) => one?.priority),
    [0, 1, 2, 2],
  )
  t.same(again([0], near!), [0, 0, 0, 1000])
  const [, second = 0, third = 0] = again([0, 1], near!, next!)
  t.equal(second + third, 1000)
  t.ok(second > 400 && third > 400, 'by chance within the level')
  t.same(again([0, 1], near!, next!, far!), [0, 0, 1000, 0])
  t.same(again([0, 1, 2]), [1000, 0, 0, 0], 'all were tried: as at first')
  set.eject(3)
  const [, one = 0, other = 0, none = 0] = again([0], near!)
  t.same([one + other, none], [1000, 0], 'only those in service')
})

t.test('zones are balanced as Envoy does', async (t) => {
  const census = (...counts: readonly number[]) =>
    new Map(counts.map((count, i) => [`z${i + 1}`, count] as const).filter(([, n]) => n > 0))
  const weights = (callers: readonly number[], upstream: readonly number[], least = 6) => {
    const found = zoneWeights('z1', census(...callers), census(...upstream), least)
    return found && [...found].map(([zone, weight]) => [zone, Math.round(weight * 100)])
  }
  t.same(weights([2, 2], [3, 3]), [['z1', 100]], 'the own share is enough')
  t.same(weights([1, 3], [3, 3]), [['z1', 100]])
  // Half of the callers here, a quarter of the endpoints: half stays.
  t.same(weights([2, 2], [2, 6]), [
    ['z1', 50],
    ['z2', 50],
  ])
  t.same(
    weights([6, 2, 2], [2, 4, 4]),
    [
      ['z1', 33],
      ['z2', 33],
      ['z3', 33],
    ],
    'the rest goes where there is room',
  )
  t.equal(weights([1, 1], [2, 3]), undefined, 'too small')
  t.same(weights([1, 1], [2, 2], 4), [['z1', 100]])
  t.equal(weights([1, 1], [0, 8]), undefined, 'nobody here')
  t.equal(weights([0, 1], [4, 4]), undefined, 'no callers here')
  t.equal(weights([1, 1], [8]), undefined, 'a single zone')
})

t.test('zone balance acts in the nearest level', async (t) => {
  const locality: LocalitySpec = {
    own: 'z1',
    balance: {
      minClusterSize: 4,
      callers: [
        ['z1', 2],
        ['z2', 2],
      ],
    },
  }
  const zones = [at('z1', 0), ...[0, 1, 2].map((i) => at('z2', i))]
  const [own = 0, ...others] = new Choice(zones, locality).shares()
  t.equal(own, 500)
  t.equal(
    others.reduce((sum, count) => sum + count),
    500,
  )
})
