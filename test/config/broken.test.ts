/** Fifty and more ways to break a configuration, each with the place and the words it must get. */
import t from 'tap'
import { load } from '../../config/load.ts'
import { duplicates, references, syntax, types, unknown } from './broken-cases.ts'
import { policy, rule, svc, values } from './broken-values.ts'

for (const [group, cases] of Object.entries({
  syntax,
  types,
  unknown,
  values,
  duplicates,
  references,
}))
  t.test(`${group}: what is wrong is told where it is`, async (t) => {
    for (const [name, yaml, expected, says] of cases) {
      const { problems } = load([{ path: 'f.yaml', text: yaml }])
      const found = problems.map((one) => `${one.line}:${one.column} ${one.severity} ${one.code}`)
      const index = found.indexOf(expected)
      t.not(
        index,
        -1,
        `${name}: ${expected}, found ${problems.map((one, at) => `${found[at]} ${one.message}`).join(' | ')}`,
      )
      if (index !== -1)
        t.match(
          problems
            .filter((_, at) => found[at] === expected)
            .map((one) => one.message)
            .join('\n'),
          says,
          name,
        )
    }
  })

t.test('the table names at least fifty kinds of broken YAML', async (t) => {
  const all = [syntax, types, unknown, values, duplicates, references].flat()
  t.ok(all.length >= 50, String(all.length))
  t.equal(new Set(all.map(([name]) => name)).size, all.length)
})

t.test('a typing mistake comes with a guess', async (t) => {
  const hintFor = (yaml: string) =>
    load([{ path: 'f.yaml', text: yaml }]).problems.find((one) =>
      one.hint.startsWith('Did you mean'),
    )?.hint
  t.equal(hintFor(rule('    timeOut: 5s')), 'Did you mean "timeout"?')
  t.equal(hintFor(rule('    retrys: {}')), 'Did you mean "retries"?')
  t.equal(
    hintFor(policy('    loadBalancer: {simple: ROUND_ROBBIN}')),
    'Did you mean "ROUND_ROBIN"?',
  )
  t.equal(hintFor(policy('    loadBalancer: {simple: random}')), 'Did you mean "RANDOM"?')
  t.equal(
    hintFor('apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: a}'),
    'Did you mean "VirtualService"?',
  )
})

t.test('a broken object is refused and the others of the file stay', async (t) => {
  const good = svc('  ports: [{name: http, port: 80}]')
  for (const [name, yaml, expected] of [...types, ...unknown, ...values]) {
    if (!expected.includes('error')) continue
    const { resources, refused } = load([{ path: 'f.yaml', text: `${good}---\n${yaml}` }])
    t.equal(refused.length, 1, name)
    t.same(
      resources.map(({ kind }) => kind),
      ['Service'],
      name,
    )
  }
})
