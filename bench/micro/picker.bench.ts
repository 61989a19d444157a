/** Choosing an endpoint: what balancing costs each proxied request. */
import type { HashKeySpec, LoadBalancerSpec, LocalitySpec } from '../../config/snapshot.ts'
import type { Cluster } from '../../proxy/upstream/cluster.ts'
import { endpointSpec, firstTry, World } from '../../test/upstream/fakes.ts'
import { measure } from './measure.ts'

const near: LocalitySpec = { own: 'r1/z1', regions: { next: '' } }

const world = new World()
let sum = 0

function count(pick: ReturnType<Cluster['pick']>): void {
  if (pick.kind === 'endpoint') sum += pick.endpoint.counts.active
}

for (const size of [3, 100, 10_000])
  for (const weights of ['equal', 'different'] as const)
    for (const kind of ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM'] as const) {
      const specs = Array.from({ length: size }, (_, i) =>
        endpointSpec(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, {
          weight: weights === 'equal' ? 1 : 1 + (i % 7),
        }),
      )
      const cluster = world.cluster({ loadBalancer: { kind } }, specs)
      measure(`${kind} of ${size}, ${weights} weights`, 300_000, () => {
        count(cluster.pick(firstTry))
      })
    }

const key: HashKeySpec = { kind: 'header', name: 'x-user' }
const others: ReadonlyArray<readonly [string, LoadBalancerSpec]> = [
  ['ring hash', { kind: 'RING_HASH', hash: { key, size: 1024 } }],
  ['maglev', { kind: 'MAGLEV', hash: { key, size: 65_537 } }],
  ['peak EWMA', { kind: 'PEAK_EWMA' }],
  [
    'round robin while warming up',
    { kind: 'ROUND_ROBIN', warmup: { durationMs: 1e9, minimumPercent: 10, aggression: 1 } },
  ],
  ['round robin, near ones first', { kind: 'ROUND_ROBIN', locality: near }],
]
let user = 0
const hashing = { ...firstTry, hashText: () => `user-${user++ & 1023}` }
for (const size of [10, 1000])
  for (const [name, loadBalancer] of others) {
    const specs = Array.from({ length: size }, (_, i) =>
      endpointSpec(`10.0.${i >> 8}.${i & 255}`, { locality: i % 2 === 0 ? 'r1/z1' : 'r1/z2' }),
    )
    const cluster = world.cluster({ loadBalancer }, specs.slice(1))
    cluster.update(specs)
    measure(`${name} of ${size}`, 300_000, () => {
      count(cluster.pick(hashing))
    })
    if (loadBalancer.hash === undefined) continue
    let turn = 0
    measure(`${name} of ${size}: another table`, 10, () => {
      cluster.update(turn++ % 2 === 0 ? specs.slice(1) : specs)
      count(cluster.pick(hashing))
    })
  }
if (sum !== 0) console.log('nobody should be active')

const specs = Array.from({ length: 10 }, (_, i) => endpointSpec(`10.0.0.${i}`))
let made = 0
measure('link a cluster of 10 endpoints', 20_000, () => {
  made += world.cluster({}, specs).name.length
})
const large = world.cluster(
  {},
  Array.from({ length: 10_000 }, (_, i) => endpointSpec(`10.0.${i >> 8}.${i & 255}`)),
)
const one = [...large.endpoints].map((endpoint) => endpoint.spec)
measure('update one of 10,000 endpoints', 20, () => {
  large.update(one.with(5_000, { ...one[5_000]!, weight: (made++ % 5) + 1 }))
})
