import t from 'tap'
import { load, type SourceFile } from '../../config/load.ts'
import { ConfigReader, UnreadableConfig } from '../../config/reader.ts'
import type { ConfigSource, SourceReading, UnreadablePath } from '../../config/source.ts'
import { advance, emptyGeneration, type Generation, resourcesOf } from '../../config/store.ts'
import { istio, service, workload } from './compile-support.ts'

const start = Date.UTC(2026, 0, 1, 12)

function route(name: string, subset: string, more: unknown = {}): string {
  return istio('VirtualService', name, {
    hosts: [name],
    http: [{ route: [{ destination: { host: name, subset } }], ...(more as object) }],
  })
}

/** Broken: a number where a text belongs. */
const broken = (name: string) => route(name, 'v2', { timeout: 5 })

function reading(
  before: Generation,
  files: Record<string, string>,
  minute: number,
  unreadable: readonly UnreadablePath[] = [],
): Generation {
  const list = Object.entries(files).map(([path, text]) => ({ path, text }))
  return advance(before, load(list), unreadable, start + minute * 60_000)
}

/** Subset of each VirtualService in force. */
function subsets(generation: Generation): Record<string, string> {
  const found: Record<string, string> = {}
  for (const resource of resourcesOf(generation))
    if (resource.kind === 'VirtualService')
      found[resource.name] = resource.spec.http[0]!.route[0]!.destination.subset
  return found
}

const codes = ({ problems }: Generation) => problems.map(({ code }) => code)
const kept = (generation: Generation) =>
  generation.problems.filter(({ code }) => code === 'OUT-LASTGOOD')

t.test(
  'a refused object keeps its last good version, and the problem says which and since when',
  async (t) => {
    const first = reading(emptyGeneration, { 'a.yaml': route('a', 'v1') }, 0)
    const second = reading(first, { 'a.yaml': `# moved\n${broken('a')}` }, 1)
    t.same(subsets(second), { a: 'v1' })
    t.same(second.kept, ['VirtualService default/a'])
    const [told] = kept(second)
    t.match(told, { severity: 'warning', file: 'a.yaml', object: 'VirtualService default/a' })
    t.match(
      told?.message,
      /the one read at 2026-01-01T12:00:00\.000Z \(then a\.yaml:1\) stays in force/,
    )
    t.ok((told?.line ?? 0) > 1, 'it stands where the error is')
  },
)

t.test('while it is refused the same version stays, with the same words', async (t) => {
  let now = reading(emptyGeneration, { 'a.yaml': route('a', 'v1') }, 0)
  now = reading(now, { 'a.yaml': broken('a') }, 1)
  const before = kept(now)
  now = reading(now, { 'a.yaml': broken('a') }, 2)
  t.same(subsets(now), { a: 'v1' })
  t.same(kept(now), before)
})

t.test('a corrected object takes over', async (t) => {
  let now = reading(emptyGeneration, { 'a.yaml': route('a', 'v1') }, 0)
  now = reading(now, { 'a.yaml': broken('a') }, 1)
  now = reading(now, { 'a.yaml': route('a', 'v3') }, 2)
  t.same(subsets(now), { a: 'v3' })
  t.same(now.quarantined, [])
  t.same(kept(now), [])
})

t.test('an object that was never good is absent and named', async (t) => {
  const now = reading(emptyGeneration, { 'a.yaml': broken('a') + route('b', 'v1') }, 0)
  t.same(subsets(now), { b: 'v1' })
  t.same(now.quarantined, ['VirtualService default/a'])
  t.same(now.kept, [])
})

t.test('the others of the same file go live', async (t) => {
  const first = reading(emptyGeneration, { 'a.yaml': route('a', 'v1') + route('b', 'v1') }, 0)
  const second = reading(first, { 'a.yaml': broken('a') + route('b', 'v2') }, 1)
  t.same(subsets(second), { a: 'v1', b: 'v2' })
})

t.test('a deleted object is gone, from a file or with it', async (t) => {
  const files = { 'a.yaml': route('a', 'v1') + route('b', 'v1'), 'c.yaml': route('c', 'v1') }
  const first = reading(emptyGeneration, files, 0)
  t.same(subsets(reading(first, { 'a.yaml': route('a', 'v1') }, 1)), { a: 'v1' })
})

t.test('a file that is no YAML keeps all its objects', async (t) => {
  const files = { 'a.yaml': route('a', 'v1') + route('b', 'v1'), 'c.yaml': route('c', 'v1') }
  const first = reading(emptyGeneration, files, 0)
  const second = reading(
    first,
    { 'a.yaml': 'kind: "VirtualService\n  - {', 'c.yaml': route('c', 'v2') },
    1,
  )
  t.same(subsets(second), { a: 'v1', b: 'v1', c: 'v2' })
  t.match(kept(second), [
    { file: 'a.yaml', message: /^2 objects from here, read at 2026-01-01T12:00/ },
  ])
  t.same(second.quarantined.toSorted(), ['VirtualService default/a', 'VirtualService default/b'])
})

t.test('an object that moved out of the broken file is the new one', async (t) => {
  const first = reading(emptyGeneration, { 'a.yaml': route('a', 'v1') }, 0)
  const second = reading(first, { 'a.yaml': 'a: "', 'b.yaml': route('a', 'v2') }, 1)
  t.same(subsets(second), { a: 'v2' })
  t.same(second.kept, [])
})

t.test('a folder that cannot be read keeps everything below it, and only that', async (t) => {
  const files = {
    'x/a.yaml': route('a', 'v1'),
    'x/y/b.yaml': route('b', 'v1'),
    'xy/c.yaml': route('c', 'v1'),
  }
  const first = reading(emptyGeneration, files, 0)
  const second = reading(first, {}, 1, [{ path: 'x', reason: 'it does not exist' }])
  t.same(subsets(second), { a: 'v1', b: 'v1' })
  t.same(codes(second), ['OUT-UNREADABLE', 'OUT-LASTGOOD'])
  t.match(second.problems[0]?.message, /cannot be read: it does not exist/)
})

t.test('reading by reading', async (t) => {
  class Given implements ConfigSource {
    next: SourceReading = { files: [], unreadable: [] }
    async read(): Promise<SourceReading> {
      return this.next
    }
    watch(): { close(): void } {
      return { close() {} }
    }
    files(files: Record<string, string>): void {
      const list: SourceFile[] = Object.entries(files).map(([path, text]) => ({ path, text }))
      this.next = { files: list, unreadable: [] }
    }
  }
  const mesh = service('a', { ports: ['http:80'] })

  t.test('a bad edit changes nothing that runs', async (t) => {
    const source = new Given()
    const reader = new ConfigReader(source, workload(), {}, () => start)
    source.files({ 'm.yaml': mesh, 'a.yaml': route('a', 'v1') })
    const good = await reader.read()
    t.equal(good.files, 2)
    source.files({ 'm.yaml': mesh, 'a.yaml': broken('a') })
    const bad = await reader.read()
    t.equal(bad.snapshot.version, good.snapshot.version)
    t.same(bad.quarantined, ['VirtualService default/a'])
    t.ok(bad.problems.some(({ severity }) => severity === 'error'))
    source.files({ 'm.yaml': mesh, 'a.yaml': route('a', 'v2') })
    t.not((await reader.read()).snapshot.version, good.snapshot.version)
  })

  t.test(
    'the first reading fails when none of the folders exists, later ones do not',
    async (t) => {
      const source = new Given()
      const reader = new ConfigReader(source, workload(), {}, () => start)
      const missing = { files: [], unreadable: [{ path: '/no', reason: 'it does not exist' }] }
      source.next = missing
      await t.rejects(reader.read(), new UnreadableConfig(missing.unreadable))
      source.files({ '/no/m.yaml': mesh })
      const good = await reader.read()
      source.next = missing
      t.equal((await reader.read()).snapshot.version, good.snapshot.version)
    },
  )

  t.test('what the files and the view of the workload both show is told once', async (t) => {
    const source = new Given()
    const headless = service('a', { ports: ['http:80'], clusterIP: 'None' })
    const random = { loadBalancer: { simple: 'RANDOM' } }
    const rule = istio('DestinationRule', 'a', { host: 'a', trafficPolicy: random })
    source.files({ 'm.yaml': headless + rule })
    const { problems } = await new ConfigReader(source, workload()).read()
    t.equal(problems.filter(({ code }) => code === 'OUT-BALANCER').length, 1)
  })

  t.test('an empty folder is a configuration without services', async (t) => {
    const reader = new ConfigReader(new Given(), workload())
    const { snapshot, problems } = await reader.read()
    t.equal(snapshot.clusters.size, 0)
    t.same(problems, [])
  })
})
