/**
 * docs/configuration.md says what the schema knows, no more and no less.
 *   OUTRIDER_UPDATE_DOCS=1 node test/docs/fields.test.ts     writes the tables anew
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { documentedKinds, fieldRows, kindsWithoutEffect, remarkedFields } from './fields.ts'

const file = resolve(import.meta.dirname, '../../docs/configuration.md')
const kinds = documentedKinds()

/** What stands between `<!-- title -->` and `<!-- end -->`. */
const blocks = new Map<string, string>([['kinds without effect', withoutEffect()]])
for (const [kind, type] of kinds)
  if (kind !== 'Namespace') blocks.set(`fields ${kind}`, table(kind, type))

if (process.env['OUTRIDER_UPDATE_DOCS'] === '1') update()

t.test('the tables of docs/configuration.md are those of the schema', async (t) => {
  const page = readFileSync(file, 'utf8')
  for (const [title, wanted] of blocks) {
    const found = between(title).exec(page)
    t.equal(found?.[2], wanted, `${title} (OUTRIDER_UPDATE_DOCS=1 rewrites it)`)
  }
  const titles = [...page.matchAll(/<!-- (?!end)(.*?) -->/g)].map(([, title]) => title)
  t.same(titles.sort(), [...blocks.keys()].sort(), 'every table is one of these')
})

t.test('every remark is about a field that exists', async (t) => {
  const known = new Set(
    [...kinds].flatMap(([kind, type]) =>
      fieldRows(kind, type).map(({ path }) => `${kind} ${path}`),
    ),
  )
  for (const remarked of remarkedFields) t.ok(known.has(remarked), remarked)
})

t.test(
  'the schema shows its inside: fields of objects, items, what is not there yet',
  async (t) => {
    const effects = (kind: string) =>
      new Map(fieldRows(kind, kinds.get(kind)!).map(({ path, effect }) => [path, effect]))
    const routes = effects('VirtualService')
    t.equal(routes.get('http[].route[].destination.port.number'), 'yes')
    t.equal(routes.get('http[].match[].headers.<name>'), 'yes')
    t.match(routes.get('http[].fault'), /^not yet/)
    t.equal(effects('DestinationRule').get('subsets[].trafficPolicy'), 'as `trafficPolicy`')
    t.match(effects('Service').get('sessionAffinity'), /^accepted/)
  },
)

function between(title: string): RegExp {
  return new RegExp(`(<!-- ${title} -->\n)([^]*?)(<!-- end -->)`)
}

function update(): void {
  let page = readFileSync(file, 'utf8')
  for (const [title, text] of blocks)
    page = page.replace(between(title), (_, begin, __, end) => `${begin}${text}${end}`)
  writeFileSync(file, page)
}

function table(kind: string, type: Parameters<typeof fieldRows>[1]): string {
  const rows = fieldRows(kind, type).map(({ path, effect }) => `| \`${path}\` | ${effect} |\n`)
  return `| Field | Takes effect |\n|---|---|\n${rows.join('')}`
}

function withoutEffect(): string {
  return `Known, read by nobody yet, and told once per object: ${kindsWithoutEffect.join(', ')}.\n`
}
