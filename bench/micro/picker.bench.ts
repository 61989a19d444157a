/** Choosing an endpoint: what balancing costs each proxied request. */
import { endpointSpec, firstTry, World } from '../../test/upstream/fakes.ts'
import { measure } from './measure.ts'

const world = new World()
let sum = 0

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
        const pick = cluster.pick(firstTry)
        if (pick.kind === 'endpoint') sum += pick.endpoint.counts.active
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
