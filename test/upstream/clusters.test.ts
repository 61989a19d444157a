import t from 'tap'
import type { ClusterSpec, EndpointSpec, Snapshot } from '../../config/snapshot.ts'
import { Clusters } from '../../proxy/upstream/clusters.ts'
import { clusterSpec, endpointSpec, pickOne, Request, World } from './fakes.ts'

const one = [endpointSpec('10.0.0.1')]

function snapshot(
  clusters: readonly ClusterSpec[],
  endpointSets: Record<string, readonly EndpointSpec[]> = { web: one },
): Snapshot {
  return {
    clusters: new Map(clusters.map((spec) => [spec.name, spec])),
    endpointSets: new Map(Object.entries(endpointSets)),
  } as unknown as Snapshot
}

function setup() {
  const world = new World()
  const clusters = new Clusters(world.context)
  return { world, clusters }
}

t.test('a cluster is linked when it is first asked for', async (t) => {
  const { clusters } = setup()
  t.equal(clusters.get('web'), undefined)
  clusters.adopt(snapshot([clusterSpec({ name: 'web' }), clusterSpec({ name: 'other' })]))
  t.equal([...clusters.all()].length, 0)
  const web = clusters.get('web')!
  t.equal(clusters.get('web'), web)
  t.equal([...clusters.all()].length, 1)
  t.equal(pickOne(web).text, '10.0.0.1:8080')
  t.equal(clusters.get('nowhere'), undefined)
})

t.test('a cluster whose rule only moved in its file says the new line', async (t) => {
  const { clusters } = setup()
  clusters.adopt(snapshot([clusterSpec({ name: 'web' })]))
  const web = clusters.get('web')!
  const { origin } = web.spec
  clusters.adopt(snapshot([clusterSpec({ name: 'web', origin: { ...origin, line: 77 } })]))
  t.equal(clusters.get('web'), web)
  t.equal(web.spec.origin.line, 77)
})

t.test('a cluster with the same spec survives a reload with its connections', async (t) => {
  const { clusters, world } = setup()
  clusters.adopt(snapshot([clusterSpec({ name: 'web' })]))
  const web = clusters.get('web')!
  const endpoint = pickOne(web)
  const request = new Request(endpoint)
  world.dialer.connectNext()
  request.codec!.finish()
  const more = { web: [...one, endpointSpec('10.0.0.2')] }
  clusters.adopt(snapshot([clusterSpec({ name: 'web' })], more))
  t.equal(clusters.get('web'), web)
  t.equal([...web.endpoints].length, 2)
  t.equal(new Request(endpoint).codec, request.codec)
})

t.test('a changed or removed cluster finishes what runs and is replaced', async (t) => {
  const { clusters, world } = setup()
  clusters.adopt(snapshot([clusterSpec({ name: 'web' })]))
  const before = clusters.get('web')!
  const request = new Request(pickOne(before))
  world.dialer.connectNext()
  clusters.adopt(snapshot([clusterSpec({ name: 'web', hash: '2' })]))
  t.not(clusters.get('web'), before)
  t.equal(clusters.held().connections, 1, 'still told of')
  t.notOk(request.codec!.destroyed)
  t.equal(pickOne(before).text, '10.0.0.1:8080', 'exchanges that began before may still pick')
  world.pass(10_020)
  t.notOk(request.codec!.destroyed)
  request.codec!.finish()
  t.ok(request.codec!.destroyed)
  clusters.adopt(snapshot([]))
  t.equal(clusters.get('web'), undefined)
  world.pass(10_020)
  t.same(clusters.held(), { connections: 0, dials: 0, waiters: 0 })
})

t.test('an endpoint update reaches all clusters of the set, linked before or after', async (t) => {
  const { clusters } = setup()
  const early = clusterSpec({ name: 'early' })
  const late = clusterSpec({ name: 'late' })
  const apart = clusterSpec({ name: 'apart', endpointSet: 'apart' })
  clusters.adopt(snapshot([early, late, apart], { web: one, apart: one }))
  clusters.get('early')
  clusters.get('apart')
  clusters.updateEndpoints('web', [endpointSpec('10.0.0.9')])
  t.equal(pickOne(clusters.get('early')!).text, '10.0.0.9:8080')
  t.equal(pickOne(clusters.get('late')!).text, '10.0.0.9:8080')
  t.equal(pickOne(clusters.get('apart')!).text, '10.0.0.1:8080')
})

t.test('fixed clusters survive every snapshot', async (t) => {
  const { clusters } = setup()
  const spec = clusterSpec({ name: 'PassthroughCluster', hash: 'fixed:1' })
  const fixed = clusters.fixed(spec, one)
  clusters.adopt(snapshot([]))
  t.equal(clusters.get('PassthroughCluster'), fixed)
  t.equal(clusters.fixed(spec, one), fixed)
  t.not(clusters.fixed({ ...spec, hash: 'fixed:2' }, one), fixed)
})

t.test('closing ends everything of all clusters', async (t) => {
  const { clusters, world } = setup()
  clusters.adopt(snapshot([clusterSpec({ name: 'web' })]))
  const running = new Request(pickOne(clusters.get('web')!))
  world.dialer.connectNext()
  clusters.adopt(snapshot([clusterSpec({ name: 'web', hash: '2' })]))
  const waiting = new Request(pickOne(clusters.get('web')!))
  clusters.close()
  t.ok(running.codec!.destroyed)
  t.ok(waiting.error)
  t.same(clusters.held(), { connections: 0, dials: 0, waiters: 0 })
})
