import { deepStrictEqual } from 'node:assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Compiler, compile } from '../../config/compile.ts'
import type { KnownResource } from '../../config/kinds.ts'
import { Loader, load, type SourceFile } from '../../config/load.ts'
import { advance, emptyGeneration, resourcesOf } from '../../config/store.ts'
import { istio, service, workload } from './compile-support.ts'
import { EditedFolder } from './incremental-support.ts'

const folders = Number(process.env['OUTRIDER_FUZZ_FOLDERS'] ?? 6)
const edits = 60
const firstSeed = Number(process.env['OUTRIDER_FUZZ_SEED'] ?? 20_251_121)

/** Everything that is seen of a resource, its places included. */
function seen(resource: KnownResource) {
  const { kind, apiVersion, namespace, name, labels, annotations, created, origin, spec } = resource
  const places = [[], ['metadata', 'name'], ...Object.keys(spec).map((key) => ['spec', key])]
  return {
    ...{ kind, apiVersion, namespace, name, labels, annotations, created, origin, spec },
    places: places.map((path) => resource.at(path)),
  }
}

t.test('after any edits of a folder the result is that of reading all of it anew', async (t) => {
  let short = 0
  for (let seed = firstSeed; seed < firstSeed + folders; seed++) {
    const folder = new EditedFolder(seed)
    const loader = new Loader()
    const compiler = new Compiler(workload())
    let files: SourceFile[] = []
    let generation = emptyGeneration
    let clusters: unknown
    for (let edit = 0; edit < edits; edit++) {
      files = folder.read(files)
      const again = loader.load(files)
      const anew = load(files)
      const where = `seed ${seed}, edit ${edit}`
      deepStrictEqual(again.resources.map(seen), anew.resources.map(seen), where)
      const { resources: _, byTitle: names, ...rest } = again
      const { resources: __, byTitle, ...wanted } = anew
      deepStrictEqual([...names.keys()], [...byTitle.keys()], where)
      deepStrictEqual(rest, wanted, where)
      generation = advance(generation, again, [], edit)
      const resources = resourcesOf(generation)
      const compiled = compiler.compile(resources)
      deepStrictEqual(compiled, compile(resources, workload()), where)
      if (compiled.snapshot.clusters === clusters) short++
      clusters = compiled.snapshot.clusters
      folder.edit()
    }
  }
  t.ok(short > folders, `the short way was gone ${short} times`)
})

const file = (path: string, ...documents: string[]): SourceFile => {
  return { path, text: documents.join('') }
}
const web = service('web', { clusterIP: '10.96.0.1', ports: ['http:80'] })
const api = service('api', { clusterIP: '10.96.0.2', ports: ['http:80'] })

function slice(name: string, address: string, port: number): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: http, port: ${port} }]
endpoints: [{ addresses: [${address}] }]
`
}

t.test('a changed endpoint leaves everything but its set as the same objects', async (t) => {
  const loader = new Loader()
  const compiler = new Compiler(workload())
  const mesh = (port: number) => [
    file('web.yaml', web, slice('web', '10.0.0.1', port)),
    file('api.yaml', api, slice('api', '10.0.0.2', 80)),
  ]
  const { snapshot: before } = compiler.compile(loader.load(mesh(80)).resources)
  const { snapshot: after } = compiler.compile(loader.load(mesh(81)).resources)
  t.not(after.version, before.version)
  t.equal(after.outbound.listeners, before.outbound.listeners)
  t.equal(after.clusters, before.clusters)
  const same = [...after.endpointSets.keys()].filter(
    (key) => after.endpointSets.get(key) === before.endpointSets.get(key),
  )
  t.same(same, ['80|api.default.svc.cluster.local'])
})

t.test('a changed route leaves other hosts and all clusters as the same objects', async (t) => {
  const loader = new Loader()
  const compiler = new Compiler(workload())
  const route = (timeout: string) =>
    istio('VirtualService', 'web', {
      hosts: ['web'],
      http: [{ timeout, route: [{ destination: { host: 'web' } }] }],
    })
  const mesh = (timeout: string) => [file('web.yaml', web, route(timeout)), file('api.yaml', api)]
  const { snapshot: before } = compiler.compile(loader.load(mesh('1s')).resources)
  const { snapshot: after } = compiler.compile(loader.load(mesh('2s')).resources)
  const hosts = ({ outbound }: typeof before) => outbound.listeners[0]!.http!.virtualHosts
  const same = hosts(after).filter((host, at) => host === hosts(before)[at])
  t.same(
    same.map(({ name }) => name),
    ['api.default.svc.cluster.local:80'],
  )
  for (const [name, cluster] of after.clusters) t.equal(cluster, before.clusters.get(name))
})

t.test('what stayed does not keep the text of every former version of its file', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const loader = new Loader()
  const ballast = `# ${'x'.repeat(1 << 20)}\n`
  const names = Array.from({ length: 60 }, (_, i) => `service-number-${i}`)
  const version = (odd: number) =>
    names.map((name, i) =>
      service(name, { ports: ['http:80'], annotations: { odd: `a long remark: ${i === odd}` } }),
    )
  collect()
  const before = process.memoryUsage().heapUsed
  for (let odd = 0; odd < 60; odd++)
    loader.load([file('a.yaml', ...version(odd), `${ballast}# ${odd}\n`)])
  collect()
  const grown = process.memoryUsage().heapUsed - before
  t.ok(grown < 10 << 20, `${Math.round(grown / 1e6)} MB`)
})
