import t from 'tap'
import { type Member, Roster } from '../../proxy/base/roster.ts'

class One implements Member {
  place = -1
}

t.test('a roster holds what a Set would, whatever the order of coming and going', async (t) => {
  const all = Array.from({ length: 50 }, () => new One())
  const roster = new Roster<One>()
  const twin = new Set<One>()
  let seed = 7
  for (let step = 0; step < 5_000; step++) {
    seed = (seed * 48_271) % 2_147_483_647
    const one = all[seed % all.length]!
    if ((seed >> 8) % 2 === 0) {
      roster.add(one)
      twin.add(one)
    } else {
      roster.delete(one)
      twin.delete(one)
    }
    if (roster.size !== twin.size) t.fail(`step ${step}: ${roster.size} instead of ${twin.size}`)
  }
  t.same(new Set(roster), twin)
  t.ok(twin.size > 0)
})

t.test('all can leave while they are gone through', async (t) => {
  const roster = new Roster<One>()
  for (let i = 0; i < 5; i++) roster.add(new One())
  let met = 0
  for (const one of roster) {
    roster.delete(one)
    met++
  }
  t.equal(met, 5)
  t.equal(roster.size, 0)
})
