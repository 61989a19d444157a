import t from 'tap'
import { HostIndex } from '../../proxy/routing/host-index.ts'
import { keepNames, namesOf } from '../../proxy/routing/host-names.ts'
import { route, virtualHost } from './support.ts'

const hosts = (...names: string[]) => names.map((name) => virtualHost([name], [route(name, undefined)]))

t.test('a list with the same names in the same order shares what was made of them', async (t) => {
  const before = hosts('a', '*.b', '*')
  const made = namesOf(before)
  const after = hosts('a', '*.b', '*')
  keepNames(after, before)
  t.equal(namesOf(after), made)
  t.equal(new HostIndex(after, (spec) => spec).find('x.b'), after[1])
})

t.test('another name, order or length is made anew', async (t) => {
  const before = hosts('a', 'b')
  const made = namesOf(before)
  for (const after of [hosts('a', 'c'), hosts('b', 'a'), hosts('a'), hosts('a', 'b', 'c')]) {
    keepNames(after, before)
    t.not(namesOf(after), made)
    const index = new HostIndex(after, (spec) => spec)
    for (const host of after) t.equal(index.find(host.domains[0]!), host)
  }
})
