import t from 'tap'
import type { FaultLease, FaultSpec } from '../../config/snapshot.ts'
import { Random } from '../../proxy/base/random.ts'
import { FilterChain } from '../../proxy/filters/chain.ts'
import { FaultLeases } from '../../proxy/filters/fault-leases.ts'
import { chanceOf, FaultPlan, shareText } from '../../proxy/filters/fault-plan.ts'
import { type ExchangeRecord, flagNames } from '../../proxy/telemetry/exchange-record.ts'

const origin = { kind: 'VirtualService', namespace: 'default', name: 'v', file: 'f.yaml', line: 1 }
const refuse = (share: number): FaultSpec => ({ action: { kind: 'refuse' }, share, origin })
const recordOf = (requestId: string, ownRequestId = false) =>
  ({ flags: 0, requestId, ownRequestId }) as ExchangeRecord

t.test('chances are spread evenly, for ids that are alike too', async (t) => {
  for (const idOf of [
    (i: number) => `request-${i}`,
    (i: number) => String(i),
    (i: number) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
  ]) {
    const buckets = new Array<number>(20).fill(0)
    for (let i = 0; i < 20_000; i++) buckets[Math.floor(chanceOf(42, idOf(i)) * 20)]!++
    for (const count of buckets) t.ok(count > 850 && count < 1150, `${idOf(1)}: ${count} of 1000`)
  }
})

t.test('seeds, rules, faults and tries decide apart from each other', async (t) => {
  const faults = [refuse(0.5), refuse(0.5)]
  const hits = (seed: number, attempt: number, index: number) => {
    const plan = new FaultPlan({ seed, beforeRetries: [], eachTry: faults })
    const drawn = Array.from({ length: 200 }, (_, i) => {
      const found = plan.draw(faults, recordOf(`r${i}`), attempt, new Random(1)) ?? []
      return Number(found.includes(faults[index]!))
    })
    return drawn.join('')
  }
  const all = [hits(1, 0, 0), hits(1, 0, 1), hits(1, 1, 0), hits(2, 0, 0)]
  t.equal(new Set(all).size, 4)
  t.equal(hits(1, 0, 0), hits(1, 0, 0))
  const agree = (a: string, b: string) => [...a].filter((bit, i) => bit === b[i]).length
  for (const other of all.slice(1)) {
    const same = agree(all[0]!, other)
    t.ok(same > 65 && same < 135, `${same} of 200 agree by chance`)
  }
})

t.test('a share is met over many requests, by seed and by chance', async (t) => {
  for (const seed of [undefined, 5])
    for (const share of [0.001, 0.1, 0.5, 1]) {
      const plan = new FaultPlan({ seed, beforeRetries: [], eachTry: [refuse(share)] })
      const random = new Random(3)
      let hits = 0
      const n = 50_000
      for (let i = 0; i < n; i++)
        if (plan.draw(plan.spec.eachTry, recordOf(`r${i}`), 1, random) !== undefined) hits++
      const slack = 4 * Math.sqrt(n * share * (1 - share)) + 1
      t.ok(Math.abs(hits - n * share) <= slack, `${hits} of ${n * share}`)
    }
  t.equal(shareText(0.001), '0.1 %')
  t.equal(shareText(0.07), '7 %')
})

t.test('what hits is noted: flag, kind and who wanted it', async (t) => {
  const delay: FaultSpec = { action: { kind: 'delay', ms: 5 }, share: 1, origin }
  const plan = new FaultPlan({ seed: undefined, beforeRetries: [delay], eachTry: [refuse(1)] })
  const record = recordOf('x')
  plan.draw(plan.spec.beforeRetries, record, 0, new Random(1))
  plan.draw(plan.spec.eachTry, record, 1, new Random(1))
  t.equal(flagNames(record.flags), 'DI,FI')
  t.same(
    record.faults?.map(({ kind }) => kind),
    ['delay', 'refuse'],
  )
})

const lease = (id: number, more: Partial<FaultLease> = {}): FaultLease => ({
  id,
  host: 'web.default.svc.cluster.local',
  port: undefined,
  subset: undefined,
  route: undefined,
  faults: { seed: undefined, beforeRetries: [], eachTry: [refuse(1)] },
  text: 'refuse',
  until: 1000,
  ...more,
})

t.test('a lease concerns its service, port, subset and rule, until its end', async (t) => {
  let now = 0
  const leases = new FaultLeases(() => now)
  const count = (cluster: string, rule = 'r') => leases.for(cluster, rule).length
  const web = 'outbound|80|v1|web.default.svc.cluster.local'
  t.notOk(leases.active)
  leases.replace([
    lease(1),
    lease(2, { host: '*', until: 2000 }),
    lease(3, { port: 81 }),
    lease(4, { subset: 'v2' }),
    lease(5, { route: 'r' }),
  ])
  t.ok(leases.active)
  t.equal(count(web), 3)
  t.equal(count(web, 'other'), 2)
  t.equal(count(web, 'r.named-block'), 3, 'a route of a match block that has a name')
  t.equal(count(web, 'rest'), 2)
  t.equal(count('outbound|81|v2|web.default.svc.cluster.local'), 5)
  t.equal(count('outbound|80||db.default.svc.cluster.local'), 1)
  t.equal(count('inbound|80||'), 0)
  t.equal(count('PassthroughCluster'), 0)
  now = 1000
  t.equal(count(web), 1, 'each worker looks at the clock itself')
  now = 2000
  t.equal(count(web), 0)
  t.notOk(leases.active)
})

t.test('leases that stay keep their count when others come', async (t) => {
  const leases = new FaultLeases(() => 0)
  leases.replace([lease(1)])
  const [before] = leases.for('outbound|80||web.default.svc.cluster.local', '')
  leases.replace([lease(1), lease(2)])
  t.equal(leases.for('outbound|80||web.default.svc.cluster.local', '')[0], before)
})

t.test('leases come before the filters of a route, with one chain for each', async (t) => {
  const leases = new FaultLeases()
  const own = FilterChain.of([{ onRequest: () => 0 }])!
  t.same(leases.before(own).filters, [leases, ...own.filters])
  t.equal(leases.before(own), leases.before(own))
  t.same(leases.before(undefined).filters, [leases])
  t.equal(leases.before(undefined), leases.before(undefined))
})
