import t from 'tap'
import type { LoadBalancerSpec, WarmupSpec } from '../../config/snapshot.ts'
import type { Cluster } from '../../proxy/upstream/cluster.ts'
import { Warmth } from '../../proxy/upstream/warmth.ts'
import { endpointSpec, pickOne, World } from './fakes.ts'

const tenSeconds: WarmupSpec = { durationMs: 10_000, minimumPercent: 10, aggression: 1 }
const specs = [0, 1, 2].map((i) => endpointSpec(`10.0.0.${i}`))

function share(cluster: Cluster, address: string, picks = 3000): number {
  let count = 0
  for (let i = 0; i < picks; i++) if (pickOne(cluster).text.startsWith(`${address}:`)) count++
  return count / picks
}

for (const kind of ['ROUND_ROBIN', 'LEAST_REQUEST'] as const) {
  const loadBalancer: LoadBalancerSpec = { kind, warmup: tenSeconds }

  t.test(`${kind}: a new endpoint begins with a tenth and grows`, async (t) => {
    const world = new World()
    const cluster = world.cluster({ loadBalancer }, specs.slice(0, 2))
    t.ok(Math.abs(share(cluster, '10.0.0.1') - 0.5) < 0.03, 'the first ones are warm')
    cluster.update(specs)
    const near = (wanted: number, what: string) => {
      const got = share(cluster, '10.0.0.2')
      t.ok(Math.abs(got - wanted) < 0.01, `${what}: ${got}, wanted ${wanted}`)
    }
    near(0.1 / 2.1, 'at once')
    world.pass(5000)
    near(0.5 / 2.5, 'after half of the time')
    world.pass(2500)
    near(0.75 / 2.75, 'after three quarters')
    world.pass(2510)
    if (kind === 'ROUND_ROBIN') t.equal(share(cluster, '10.0.0.2'), 1 / 3, 'warm')
    else t.ok(Math.abs(share(cluster, '10.0.0.2') - 1 / 3) < 0.03, 'warm')
    t.equal(world.wheel.size, 0, 'nothing more is waited for')
  })

  t.test(`${kind}: one that was not ready warms up again`, async (t) => {
    const world = new World()
    const cluster = world.cluster({ loadBalancer }, specs)
    cluster.update(specs.with(1, { ...specs[1]!, healthy: false }))
    t.equal(share(cluster, '10.0.0.1'), 0)
    world.pass(1000)
    cluster.update(specs)
    t.ok(Math.abs(share(cluster, '10.0.0.1') - 0.1 / 2.1) < 0.01)
    cluster.update([...specs])
    t.ok(Math.abs(share(cluster, '10.0.0.1') - 0.1 / 2.1) < 0.01, 'an update changes nothing')
  })
}

t.test('aggression bends the growth, the minimum lifts its beginning', async (t) => {
  const world = new World()
  const [one] = [...world.cluster({}, specs).endpoints]
  const factor = (spec: Partial<WarmupSpec>, elapsed: number) => {
    const fresh = new World()
    const warmth = new Warmth({ ...tenSeconds, ...spec }, fresh.clock)
    warmth.inService([])
    warmth.inService([one!])
    fresh.pass(elapsed)
    return Number(warmth.of(one!).toFixed(3))
  }
  t.equal(factor({}, 0), 0.1)
  t.equal(factor({}, 2500), 0.25)
  t.equal(factor({ aggression: 2 }, 2500), 0.5)
  t.equal(factor({ aggression: 0.5 }, 5000), 0.25)
  t.equal(factor({ minimumPercent: 40 }, 2500), 0.4)
  t.equal(factor({ minimumPercent: 0 }, 0), 0)
  t.equal(factor({}, 10_000), 1)
})

t.test('a cluster that is dropped waits for nothing', async (t) => {
  const world = new World()
  const cluster = world.cluster({ loadBalancer: { kind: 'ROUND_ROBIN', warmup: tenSeconds } }, [])
  cluster.update(specs)
  t.equal(world.wheel.size, 1)
  cluster.drain()
  t.equal(world.wheel.size, 0)
})
