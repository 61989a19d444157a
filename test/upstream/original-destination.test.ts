import t from 'tap'
import type { ClusterSpec } from '../../config/snapshot.ts'
import { ErrorCode } from '../../proxy/base/errors.ts'
import { OriginalDestinations } from '../../proxy/upstream/original-destination.ts'
import { clusterSpec, firstTry, pickOne, Request, World } from './fakes.ts'

const passthrough: Partial<ClusterSpec> = {
  name: 'PassthroughCluster',
  discovery: 'original-destination',
  service: '',
  serviceName: '',
  serviceNamespace: '',
}
const to = (address: string, port: number) => ({
  ...firstTry,
  originalDestination: { address, port },
})

t.test('an endpoint is made for the address that the client dialed', async (t) => {
  const world = new World()
  const cluster = world.cluster(passthrough, [])
  const endpoint = pickOne(cluster, to('93.184.216.34', 443))
  t.equal(endpoint.text, '93.184.216.34:443')
  t.equal(pickOne(cluster, to('93.184.216.34', 443)), endpoint)
  t.not(pickOne(cluster, to('93.184.216.34', 80)), endpoint)
  new Request(endpoint)
  t.same(world.dialer.open[0]!.target.address, { address: '93.184.216.34', port: 443 })
})

t.test('the port can be overridden', async (t) => {
  const cluster = new World().cluster({ ...passthrough, originalPortOverride: 8443 }, [])
  t.equal(pickOne(cluster, to('10.0.0.5', 443)).text, '10.0.0.5:8443')
})

t.test('a PASSTHROUGH balancer goes to the original destination too', async (t) => {
  const cluster = new World().cluster({ loadBalancer: { kind: 'PASSTHROUGH' } })
  t.equal(pickOne(cluster, to('10.0.0.5', 80)).text, '10.0.0.5:80')
  t.equal(cluster.status().loadBalancer, 'PASSTHROUGH')
})

t.test('an endpoint is forgotten when its last connection is gone', async (t) => {
  const world = new World()
  const cluster = world.cluster(passthrough, [])
  const request = new Request(pickOne(cluster, to('10.0.0.5', 80)))
  world.dialer.connectNext()
  request.codec!.finish()
  t.equal([...cluster.endpoints].length, 1)
  world.pass(4_100)
  t.equal([...cluster.endpoints].length, 0)
  t.equal(world.wheel.size, 0)
})

t.test('a failed dial leaves nothing behind', async (t) => {
  const world = new World()
  const cluster = world.cluster(passthrough, [])
  const request = new Request(pickOne(cluster, to('10.0.0.5', 80)))
  world.dialer.open[0]!.fail()
  t.ok(request.error)
  t.equal([...cluster.endpoints].length, 0)
})

t.test('without an original destination the refusal says so', async (t) => {
  const pick = new World().cluster(passthrough, []).pick(firstTry)
  t.equal(pick.kind, 'refuse')
  if (pick.kind !== 'refuse') return
  t.equal(pick.error.code, ErrorCode.NoHealthyUpstream)
  t.match(pick.error.message, /PassthroughCluster.*not captured/)
})

t.test('the number of addresses in use is bounded, unused ones make room', async (t) => {
  const world = new World()
  const owner = world.cluster(passthrough, [])
  const destinations = new OriginalDestinations(clusterSpec(passthrough), owner, 2)
  const first = destinations.pick(to('10.0.0.1', 80))
  destinations.pick(to('10.0.0.2', 80))
  if (first.kind === 'endpoint') new Request(first.endpoint)
  t.equal(destinations.pick(to('10.0.0.3', 80)).kind, 'endpoint', 'the unused one went')
  t.same(
    [...destinations.endpoints].map((endpoint) => endpoint.text),
    ['10.0.0.1:80', '10.0.0.3:80'],
  )
  const third = destinations.pick(to('10.0.0.3', 80))
  if (third.kind === 'endpoint') new Request(third.endpoint)
  const refused = destinations.pick(to('10.0.0.4', 80))
  t.equal(refused.kind === 'refuse' && refused.error.code, ErrorCode.Overflow)
})
