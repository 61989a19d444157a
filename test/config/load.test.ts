import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { load, readFolder } from '../../config/load.ts'
import { byAge, orderKey } from '../../config/order.ts'

const entry = (name: string, address = '1.1.1.1') =>
  `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: ${name}}\nspec: {address: ${address}}\n`

t.test('a folder is read once per file, sorted, without dot files', async (t) => {
  const folder = t.testdir({
    b: { 'z.yaml': 'z', 'a.json': 'a' },
    'a.yml': 'y',
    'notes.txt': 'n',
    '.hidden.yaml': 'h',
    '.git': { 'x.yaml': 'x' },
  })
  symlinkSync(join(folder, 'a.yml'), join(folder, 'c.yaml'))
  symlinkSync(folder, join(folder, 'b', 'loop'))
  symlinkSync(join(folder, 'gone'), join(folder, 'dangling.yaml'))
  t.same(readFolder(folder), [
    { path: join(folder, 'a.yml'), text: 'y' },
    { path: join(folder, 'b/a.json'), text: 'a' },
    { path: join(folder, 'b/z.yaml'), text: 'z' },
  ])
  t.same(readFolder(join(folder, 'a.yml')), [{ path: join(folder, 'a.yml'), text: 'y' }])
})

t.test('a mounted ConfigMap is read through its links, under the visible names', async (t) => {
  const folder = t.testdir({
    '..2026_01': { 'mesh.yaml': 'one' },
    '..2026_02': { 'mesh.yaml': 'two' },
  })
  symlinkSync('..2026_01', join(folder, '..data'))
  symlinkSync('..data/mesh.yaml', join(folder, 'mesh.yaml'))
  t.same(readFolder(folder), [{ path: join(folder, 'mesh.yaml'), text: 'one' }])
  rmSync(join(folder, '..data'))
  t.same(readFolder(folder), [], 'in the moment of the swap')
  symlinkSync('..2026_02', join(folder, '..data'))
  t.same(readFolder(folder), [{ path: join(folder, 'mesh.yaml'), text: 'two' }])
})

t.test('what cannot be read is thrown as the system says it', async (t) => {
  const folder = t.testdir({})
  t.throws(() => readFolder(join(folder, 'nope')), { code: 'ENOENT' })
  mkdirSync(join(folder, 'empty'))
  writeFileSync(join(folder, 'empty', 'x.txt'), '')
  t.same(readFolder(folder), [])
})

t.test('a file with a broken document is listed, its other documents are used', async (t) => {
  const loaded = load([
    { path: 'a.yaml', text: `${entry('one')}---\nspec: {\n---\n${entry('two')}` },
    { path: 'b.yaml', text: entry('three') },
  ])
  t.same(loaded.unreadableFiles, ['a.yaml'])
  t.same(
    loaded.resources.map(({ name }) => name),
    ['one', 'two', 'three'],
  )
  t.same(loaded.refused, [])
})

t.test('a refused object is named as kind, namespace and name', async (t) => {
  const loaded = load([{ path: 'a.yaml', text: entry('bad', '"no address!"') }])
  t.same(loaded.refused, ['WorkloadEntry default/bad'])
  t.same(loaded.resources, [])
})

t.test(
  'a later object of the same name replaces an earlier one, and both places are told',
  async (t) => {
    const loaded = load([
      { path: 'a.yaml', text: entry('x', '1.1.1.1') },
      { path: 'b.yaml', text: `# b\n${entry('x', '2.2.2.2')}` },
    ])
    t.same(
      loaded.resources.map(({ origin }) => `${origin.file}:${origin.line}`),
      ['b.yaml:2'],
    )
    t.match(loaded.problems, [
      { file: 'b.yaml', line: 2, severity: 'warning', code: 'OUT-DUPOBJ', message: /a.yaml:1/ },
    ])
  },
)

t.test('the items of a List are objects with their own places', async (t) => {
  const text = `apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: {ports: [{name: http, port: 80}]}\n- apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n  spec:\n    ports:\n    - {name: http, port: 81}\n`
  const { resources, problems } = load([{ path: 'l.yaml', text }])
  t.same(problems, [])
  t.same(
    resources.map(({ name, origin }) => [name, origin.line]),
    [
      ['a', 4],
      ['b', 8],
    ],
  )
  t.same(resources[1]!.at(['spec', 'ports', 0, 'port']), { line: 13, column: 20 })
  t.match(resources[1]!.originAt(['spec', 'ports', 0]), {
    kind: 'Service',
    name: 'b',
    file: 'l.yaml',
    line: 13,
  })
})

t.test('objects of other tools pass by in silence, other YAML with a note', async (t) => {
  const quiet = [
    'apps/v1\nkind: Deployment',
    'v1\nkind: Secret',
    'serving.knative.dev/v1\nkind: Service',
    'v1\nkind: ConfigMap',
    'gateway.networking.k8s.io/v1\nkind: Gateway',
  ]
  for (const head of quiet)
    t.same(
      load([{ path: 'f.yaml', text: `apiVersion: ${head}\nmetadata: {name: a}` }]).problems,
      [],
      head,
    )
  t.match(load([{ path: 'values.yaml', text: 'replicas: 2' }]).problems, [
    { severity: 'info', code: 'OUT-IGNORED' },
  ])
  t.same(
    load([
      { path: 'f.yaml', text: '' },
      { path: 'g.yaml', text: '- just\n- a list' },
    ]).resources,
    [],
  )
})

t.test('kinds that have no effect yet are told once per object, never refused', async (t) => {
  const kinds = {
    Gateway: 'networking',
    EnvoyFilter: 'networking',
    AuthorizationPolicy: 'security',
    PeerAuthentication: 'security',
    Telemetry: 'telemetry',
    WasmPlugin: 'extensions',
  }
  for (const [kind, group] of Object.entries(kinds)) {
    const { problems, refused } = load([
      {
        path: 'f.yaml',
        text: `# x\napiVersion: ${group}.istio.io/v1\nkind: ${kind}\nmetadata: {name: a}\nspec: {}`,
      },
    ])
    t.match(
      problems,
      [
        {
          severity: 'warning',
          code: 'OUT-NOTYET',
          line: 2,
          column: 1,
          object: `${kind} default/a`,
        },
      ],
      kind,
    )
    t.same(refused, [])
  }
})

t.test('annotations that cannot act are told', async (t) => {
  const annotated = (annotation: string) =>
    load([
      {
        path: 'f.yaml',
        text: entry('a').replace('{name: a}', `{name: a, annotations: {${annotation}: "true"}}`),
      },
    ])
  t.match(annotated('istio.io/dry-run'), {
    refused: ['WorkloadEntry default/a'],
    problems: [{ line: 3, column: 35, severity: 'error' }],
  })
  t.match(annotated('proxy.istio.io/health-checks-enabled').problems, [
    { line: 3, severity: 'warning', code: 'OUT-NOTYET' },
  ])
  t.same(annotated('example.com/any').problems, [])
  t.match(annotated('networking.istio.io/traffic-distribution').problems, [{ code: 'OUT-NOTYET' }])
  const text = `apiVersion: v1
kind: Service
metadata: { name: a, annotations: { networking.istio.io/traffic-distribution: PreferClose } }
spec: { ports: [{ name: http, port: 80 }] }
`
  t.same(load([{ path: 'f.yaml', text }]).problems, [], 'what takes effect is not told')
})

t.test('problems come in the order of their places', async (t) => {
  const { problems } = load([
    { path: 'b.yaml', text: entry('b', '""') },
    { path: 'a.yaml', text: `${entry('a', '""')}---\n${entry('c', '""')}` },
  ])
  t.same(
    problems.map(({ file, line }) => `${file}:${line}`),
    ['a.yaml:4', 'a.yaml:9', 'b.yaml:4'],
  )
})

t.test('the oldest object comes first, then the first by name, then by namespace', async (t) => {
  const of = (created: number, name: string, namespace: string) => ({ created, name, namespace })
  const sorted = [
    of(0, 'a', 'x'),
    of(0, 'a', 'y'),
    of(0, 'b', 'a'),
    of(5, 'a', 'a'),
    of(1_700_000_000_000, 'a', 'a'),
  ]
  const shuffled = [sorted[3]!, sorted[1]!, sorted[4]!, sorted[0]!, sorted[2]!]
  t.same([...shuffled].sort(byAge), sorted)
  t.same(
    [...shuffled].sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1)),
    sorted,
  )
})

t.test('a large mesh is read whole', async (t) => {
  const services = 2_000
  let text = ''
  for (let index = 0; index < services; index++) {
    text += `---\napiVersion: v1\nkind: Service\nmetadata: {name: s${index}}\nspec: {ports: [{name: http, port: 80}]}\n`
    text += `---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s${index}}\naddressType: IPv4\nendpoints:\n`
    for (let host = 0; host < 10; host++) text += `- addresses: [10.0.${index % 250}.${host}]\n`
  }
  const { resources, problems } = load([{ path: 'f.yaml', text }])
  t.same([resources.length, problems.length], [services * 2, 0])
  const last = resources.at(-1)!
  t.equal(last.origin.line, text.slice(0, text.lastIndexOf('---')).split('\n').length + 1)
  t.equal(
    last.at(['endpoints', 9]).line,
    text.trimEnd().split('\n').length,
    'although its tree is gone',
  )
})
