import t from 'tap'
import type { Cluster } from '../../proxy/upstream/cluster.ts'
import type { Endpoint } from '../../proxy/upstream/endpoint.ts'
import { ReplyTime } from '../../proxy/upstream/reply-time.ts'
import { endpointSpec, pickOne, World } from './fakes.ts'

function counts(cluster: Cluster, picks = 1000): number[] {
  const endpoints = [...cluster.endpoints]
  const got = endpoints.map(() => 0)
  for (let i = 0; i < picks; i++) got[endpoints.indexOf(pickOne(cluster))]!++
  return got
}

const specs = (count: number, weight: (i: number) => number = () => 1) =>
  Array.from({ length: count }, (_, i) => endpointSpec(`10.0.0.${i}`, { weight: weight(i) }))

t.test('a peak counts at once, what is faster only slowly', async (t) => {
  const world = new World()
  const time = new ReplyTime(world.clock)
  t.equal(time.ms, 30, 'nothing was measured')
  time.answered(200)
  t.equal(time.ms, 200)
  time.answered(10)
  t.equal(time.ms, 200, 'no time has passed')
  world.pass(10_000)
  t.ok(Math.abs(time.ms - 200 / Math.E) < 0.1, 'it fades while nothing is asked')
  time.answered(10)
  t.ok(Math.abs(time.ms - (200 / Math.E + 10 * (1 - 1 / Math.E))) < 0.1)
  world.pass(200_000)
  t.equal(time.ms, 1, 'and is at least 1 ms')
})

t.test('a failure is as slow as 5 s, or as long as the endpoint asks for', async (t) => {
  const time = new ReplyTime(new World().clock)
  time.failed(0)
  t.equal(time.ms, 5000)
  time.failed(20_000)
  t.equal(time.ms, 20_000)
  time.failed(0)
  t.equal(time.ms, 20_000, 'not less than before')
  time.failed(900_000)
  t.equal(time.ms, 300_000)
  const cut = new ReplyTime(new World().clock)
  cut.atLeast(10)
  t.equal(cut.ms, 30)
  cut.atLeast(400)
  t.equal(cut.ms, 400)
})

t.test('the faster of two gets the request, the number of running ones counts', async (t) => {
  const world = new World()
  const cluster = world.cluster({ loadBalancer: { kind: 'PEAK_EWMA' } }, specs(2))
  const [a, b] = [...cluster.endpoints] as [Endpoint, Endpoint]
  a.replyTime!.answered(40)
  b.replyTime!.answered(100)
  t.same(counts(cluster), [1000, 0])
  a.counts.active = 2
  t.same(counts(cluster), [0, 1000], '3 times 40 is more than 100')
})

t.test('weights say how often an endpoint is one of the two', async (t) => {
  const world = new World()
  const cluster = world.cluster(
    { loadBalancer: { kind: 'PEAK_EWMA' } },
    specs(3, (i) => [1, 1, 8][i]!),
  )
  const [first, second, third] = counts(cluster, 20_000)
  t.ok(Math.abs(third! / 20_000 - 0.8) < 0.02, String(third))
  t.ok(first! > 1500 && second! > 1500)
})

t.test('one of ten endpoints that fails at once gets less than 1 % within a second', async (t) => {
  const world = new World()
  const cluster = world.cluster({ loadBalancer: { kind: 'PEAK_EWMA' } }, specs(10))
  const all = [...cluster.endpoints]
  const bad = all[4]!
  let toBad = 0
  const second = (): number => {
    toBad = 0
    // A thousand requests; good ones take 20 ms, the bad one answers 503 in the same millisecond.
    const running: Array<{ until: number; endpoint: Endpoint }> = []
    for (let ms = 0; ms < 1000; ms++) {
      while (running[0] !== undefined && running[0].until <= world.clock.now) {
        const { endpoint } = running.shift()!
        endpoint.counts.active--
        endpoint.replyTime!.answered(20)
      }
      const endpoint = pickOne(cluster)
      if (endpoint === bad) {
        toBad++
        endpoint.replyTime!.failed(0)
      } else {
        endpoint.counts.active++
        running.push({ until: world.clock.now + 20, endpoint })
      }
      world.pass(1)
    }
    for (const { endpoint } of running) endpoint.counts.active--
    return toBad
  }
  t.ok(second() <= 10, `first second: ${toBad} of 1000`)
  t.equal(second(), 0)
})

t.test('a single endpoint is picked whatever it costs', async (t) => {
  const cluster = new World().cluster({ loadBalancer: { kind: 'PEAK_EWMA' } }, specs(1))
  const [one] = [...cluster.endpoints]
  one!.replyTime!.failed(0)
  t.equal(pickOne(cluster), one)
})
