import t from 'tap'
import { meshFiles, podAddress } from '../../bench/peers/mesh-yaml.ts'
import { mainHost, meshPlan, type Plan, sinkHost } from '../../bench/peers/peer.ts'
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { Sidecar } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const yamlOf = (plan: Plan, port: number, sinkPort: number) =>
  [...meshFiles(plan, { port, sinkPort }).values()].join('---\n')

t.test('requests for the measured hosts reach backend and sink through the mesh', async (t) => {
  await using backend = await Upstream.start((_, reply) => reply.end('backend'))
  await using sink = await Upstream.start((_, reply) => reply.end('sink'))
  const yaml = yamlOf({ ...meshPlan, hosts: 3 }, backend.port, sink.port)
  await using sidecar = await Sidecar.start({ yaml })
  const bodyOf = async (host: string) =>
    (await ask(sidecar.port, { path: '/', headers: { host } })).body
  t.equal(await bodyOf(mainHost), 'backend')
  t.equal(await bodyOf(sinkHost), 'sink')
  t.equal(await bodyOf('host-2:8080'), 'backend', 'the other hosts are real too')
})

t.test('the mesh is as large as planned and has no problem', async (t) => {
  const plan = { ...meshPlan, hosts: 600, endpointsPerHost: 2 }
  const files = [...meshFiles(plan, { port: 1, sinkPort: 2 })]
  const { resources, problems } = load(files.map(([path, text]) => ({ path, text })))
  const addresses = ['127.0.0.1']
  const workload = { name: 'w', namespace: 'default', serviceAccount: 'default', labels: {} }
  const compiled = compile(resources, { ...workload, addresses })
  t.same([...problems, ...compiled.problems], [])
  const named = (kind: string) => resources.filter((each) => each.kind === kind).length
  t.equal(named('Service'), 602)
  t.equal(named('EndpointSlice'), 602)
})

t.test('every endpoint of the large mesh has an address of its own', async (t) => {
  const seen = new Set<string>()
  for (let host = 0; host < 10_000; host++)
    for (let index = 0; index < 10; index++) seen.add(podAddress(host, index))
  t.equal(seen.size, 100_000)
  t.notOk([...seen].some((address) => address.split('.').some((part) => Number(part) > 255)))
})
