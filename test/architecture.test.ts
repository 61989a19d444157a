import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import {
  benchBreaches,
  cycles,
  httpStackBreaches,
  layerBreaches,
  layers,
  lengthBreaches,
  topLevelBreaches,
} from './support/architecture-rules.ts'
import { readModules } from './support/source-tree.ts'

const root = resolve(import.meta.dirname, '..')
const modules = readModules(root)

t.test('the project keeps the rules of the house', async (t) => {
  t.ok(
    modules.some(({ file }) => file === 'config/snapshot.ts'),
    'the whole tree was read',
  )
  t.same(layerBreaches(modules), [], 'every import follows the layer table')
  t.same(httpStackBreaches(modules), [], 'the traffic path uses no HTTP stack but ours')
  t.same(cycles(modules), [], 'no imports run in a ring')
  t.same(lengthBreaches(modules), [], 'no file and no function is too long')
  t.same(topLevelBreaches(readdirSync(root)), [], 'the top level holds only what it should')
})

t.test('the bench that a hot file names is there', async (t) => {
  const text = (file: string) => readFileSync(join(root, file), 'utf8')
  t.same(
    benchBreaches(modules, text, (file) => existsSync(join(root, file))),
    [],
  )
  const planted = benchBreaches(
    modules.filter(({ file }) => file === 'proxy/net/splice.ts'),
    () => '/** Hot: bench/micro/gone.bench.ts. */',
    (file) => existsSync(join(root, file)),
  )
  t.same(planted, ['proxy/net/splice.ts: bench/micro/gone.bench.ts does not exist'])
})

t.test('every folder of the proxy is in the layer table', async (t) => {
  const folders = readdirSync(join(root, 'proxy'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `proxy/${entry.name}`)
  t.same(
    folders.filter((folder) => !layers.has(folder)),
    [],
  )
})

const page = readFileSync(join(root, 'proxy/README.md'), 'utf8')

/** Rows `| \`folder\` \`folder\` | what it may import |`, in words as people read them. */
function writtenLayers(): Map<string, Set<string>> {
  const table = page.slice(page.indexOf('## Who may import whom'))
  const found = new Map<string, Set<string>>()
  const names = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  for (const [, folders = '', may = ''] of table.matchAll(/^\| (`.*?) \| (.*) \|$/gm)) {
    const allowed = new Set(may.startsWith('all of the above') ? found.keys() : [])
    for (const folder of names(folders))
      found.set(folder.replace('../', ''), new Set([...allowed, ...names(may)]))
    if (found.has('iptables')) break
  }
  return found
}

t.test('proxy/README.md shows the layer table that is enforced', async (t) => {
  const written = writtenLayers()
  const short = (place: string) => place.replace('proxy/', '')
  for (const [folder, { may, types = [] }] of layers) {
    if (['proxy', 'proxy/cli', 'examples'].includes(folder) || !existsSync(join(root, folder)))
      continue
    const allowed = [...may, ...types]
      .filter((place) => existsSync(join(root, place)) && place !== folder)
      .map(short)
    const said = [...(written.get(short(folder)) ?? [])].filter((name) => name !== short(folder))
    t.same(said.sort(), allowed.sort(), folder)
  }
})

t.test('the files that proxy/README.md names are there', async (t) => {
  const named = [...page.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.ts)`/g)].map(([, path]) => path!)
  t.ok(named.length > 60, `${named.length} are named`)
  const gone = named.filter(
    (path) => !existsSync(join(root, 'proxy', path)) && !existsSync(join(root, path)),
  )
  t.same(gone, [])
})

const lines = (count: number) => '  seen()\n'.repeat(count)
const planted = {
  'tsconfig.json': '{ "compilerOptions": { "allowImportingTsExtensions": true, "noEmit": true } }',
  config: { 'snapshot.ts': 'export interface Spec { name: string }\n', 'ports.ts': 'export {}\n' },
  test: { 'a.test.ts': `function long() {\n${lines(90)}}\n` },
  proxy: {
    base: { 'one.ts': "export type { Two } from './two.ts'\n", 'two.ts': twoOf('./one.ts') },
    net: {
      'breach.ts': "import net from 'node:net'\nimport type { X } from '../http/head.ts'\n",
      'dynamic.ts': "export const late = () => import('../worker/main.ts')\n",
      'type.ts': "export type Y = import('../tcp/forward.ts').Y\n",
    },
    http1: { 'stack.ts': "import http from 'node:http'\n" },
    routing: {
      'typed.ts': "import type { Spec } from '../../config/snapshot.ts'\n",
      'valued.ts': "import { Spec } from '../../config/snapshot.ts'\n",
    },
    control: { 'admin.ts': "import http from 'node:http'\nimport '../upstream/pool.ts'\n" },
    cli: {
      'long.ts': `// one\nclass A {\n  method() {\n${lines(59)}  }\n}\nconst fits = () => {\n${lines(58)}}\n`,
      'longer.ts': lines(351),
    },
  },
}

function twoOf(file: string): string {
  return `import type { One } from '${file}'\nexport interface Two { one: One }\n`
}

t.test('a planted breach is found', async (t) => {
  const found = readModules(t.testdir(planted))
  t.same(layerBreaches(found), [
    'proxy/control/admin.ts:2: proxy/control may not import proxy/upstream/pool.ts',
    'proxy/net/breach.ts:2: proxy/net may not import proxy/http/head.ts',
    'proxy/net/dynamic.ts:1: proxy/net may not import proxy/worker/main.ts',
    'proxy/net/type.ts:1: proxy/net may not import proxy/tcp/forward.ts',
    'proxy/routing/valued.ts:1: proxy/routing may not import config/snapshot.ts',
  ])
  t.same(httpStackBreaches(found), [
    'proxy/http1/stack.ts:1: node:http is not for the traffic path',
  ])
  t.same(cycles(found), ['proxy/base/one.ts -> proxy/base/two.ts -> proxy/base/one.ts'])
  t.same(lengthBreaches(found), [
    'proxy/cli/long.ts:3: method has 61 lines, at most 60',
    'proxy/cli/longer.ts: 351 lines, at most 350',
  ])
  t.same(topLevelBreaches(['proxy', '.ci', 'scripts']), [
    'scripts does not belong on the top level',
  ])
})
