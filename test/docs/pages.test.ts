/**
 * The pages say what the source says, no more and no less.
 *   OUTRIDER_UPDATE_DOCS=1 node test/docs/pages.test.ts     writes the generated parts anew
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { documentedKinds, fieldRows, remarkedFields, takesEffect } from './fields.ts'
import { blockOf, generatedBlocks } from './pages.ts'
import { ownName, proofOf } from './proofs.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const pages = await generatedBlocks()

if (process.env['OUTRIDER_UPDATE_DOCS'] === '1') update()

t.test('the generated parts of docs/ are those of the source', async (t) => {
  for (const [file, blocks] of pages) {
    const page = read(file)
    for (const [title, wanted] of blocks) {
      const found = blockOf(title).exec(page)
      t.equal(found?.[2], wanted, `${file}: ${title} (OUTRIDER_UPDATE_DOCS=1 rewrites it)`)
    }
    const titles = [...page.matchAll(/<!-- (?!end)(.*?) -->/g)].map(([, title]) => title)
    t.same(titles.sort(), [...blocks.keys()].sort(), `${file}: every part is one of these`)
  }
})

t.test('every code of a problem is explained', async (t) => {
  const page = read('docs/explain.md')
  const codes = new Set<string>()
  for (const file of globSync('config/**/*.ts', { cwd: root }))
    for (const [, code] of read(file).matchAll(/'((?:OUT|IST)-?[A-Z0-9][-A-Z0-9]*)'/g))
      codes.add(code!)
  t.ok(codes.size > 30, 'the codes were found')
  for (const code of codes) t.ok(page.includes(code), code)
  const explained = page
    .slice(page.indexOf('| Code | Means |'))
    .matchAll(/\b((?:OUT-|IST)[-A-Z0-9]+)/g)
  for (const [, code] of explained) t.ok(codes.has(code!), `${code} exists`)
})

t.test('links between the pages lead somewhere', async (t) => {
  const files = ['README.md', 'proxy/README.md', ...globSync('docs/*.md', { cwd: root })]
  for (const file of files)
    for (const [, target = ''] of read(file).matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue
      t.ok(existsSync(join(root, dirname(file), target)), `${file}: ${target}`)
    }
})

t.test('files and folders that proxy/README.md names exist', async (t) => {
  const page = read('proxy/README.md')
  const places = ['proxy', '.', ...folders()]
  for (const [, name = ''] of page.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g))
    t.ok(
      places.some((place) => existsSync(join(root, place, name))),
      name,
    )
})

function folders(): string[] {
  return globSync('proxy/*/', { cwd: root }).concat('config')
}

t.test('every remark about a field is about one that exists', async (t) => {
  const known = new Set(
    [...documentedKinds()].flatMap(([kind, type]) =>
      fieldRows(kind, type).map(({ path }) => `${kind} ${path}`),
    ),
  )
  for (const remarked of remarkedFields) t.ok(known.has(remarked), remarked)
})

t.test('every field that takes effect names its file and a test that speaks of it', async (t) => {
  for (const [kind, type] of documentedKinds())
    for (const { path, effect } of fieldRows(kind, type)) {
      if (!takesEffect(effect)) continue
      const { where = '', test = '' } = proofOf(kind, path) ?? {}
      const there = existsSync(join(root, where)) && existsSync(join(root, test))
      const speaks = there && test !== '' && new RegExp(`\\b${ownName(path)}`).test(read(test))
      t.ok(speaks, `${kind} ${path}: ${where} ${test} (test/docs/proofs.ts)`)
    }
})

t.test(
  'the schema shows its inside: fields of objects, items, what is not there yet',
  async (t) => {
    const effects = (kind: string) => {
      const rows = fieldRows(kind, documentedKinds().get(kind)!)
      return new Map(rows.map(({ path, effect }) => [path, effect]))
    }
    const routes = effects('VirtualService')
    t.equal(routes.get('http[].route[].destination.port.number'), 'yes')
    t.equal(routes.get('http[].match[].headers.<name>'), 'yes')
    const policies = effects('DestinationRule')
    t.match(policies.get('trafficPolicy.connectionPool.http.h2UpgradePolicy'), /^not yet/)
    t.equal(policies.get('subsets[].trafficPolicy'), 'as `trafficPolicy`')
    t.match(effects('Service').get('sessionAffinity'), /^accepted/)
  },
)

function update(): void {
  for (const [file, blocks] of pages) {
    let page = read(file)
    for (const [title, text] of blocks)
      page = page.replace(blockOf(title), (_, begin, __, end) => `${begin}${text}${end}`)
    writeFileSync(join(root, file), page)
  }
}

t.test('scenarios that docs/performance.md names are there', async (t) => {
  const source = globSync('bench/scenarios/*.ts', { cwd: root }).map(read).join('\n')
  const named = [...read('docs/performance.md').matchAll(/--only ([\w-]+)/g)].map(
    ([, name = '']) => name,
  )
  t.ok(named.length > 10, 'the page was read')
  for (const name of named) t.match(source, new RegExp(`'${name}'|\`${name}`), name)
})
