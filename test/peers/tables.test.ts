import t from 'tap'
import { allBehaviours } from './behaviours/all.ts'
import { everywhereReasons, reasons } from './differences.ts'

const all = allBehaviours.flatMap(([, rows]) => rows)

t.test('names are claims of their own, and hosts are told apart', async (t) => {
  t.ok(all.length >= 60, `${all.length} behaviours`)
  const unique = (texts: readonly string[]) => [...new Set(texts)]
  const names = all.map(({ name }) => name)
  t.same(names, unique(names))
  for (const [title, rows] of allBehaviours) {
    const hosts = rows.map(({ host }) => host)
    t.same(hosts, unique(hosts), title)
  }
})

t.test(
  'every accepted difference is seen in a behaviour, or in so many that it is general',
  async (t) => {
    const named = new Set(all.flatMap(({ differs = [] }) => differs.map(({ why }) => why)))
    const listed = new Set([...named, ...everywhereReasons])
    t.same([...listed].sort(), Object.keys(reasons).sort())
  },
)
