import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { HostIndex } from '../../proxy/routing/host-index.ts'
import { keepNames, namesOf } from '../../proxy/routing/host-names.ts'
import { route, virtualHost } from './support.ts'

const hosts = (...names: string[]) =>
  names.map((name) => virtualHost([name], [route(name, undefined)]))

t.test('a list with the same names in the same order shares what was made of them', async (t) => {
  const before = hosts('a', '*.b', '*')
  const made = namesOf(before)
  const after = hosts('a', '*.b', '*')
  keepNames(after, before)
  t.equal(namesOf(after), made)
  t.equal(new HostIndex(after, (spec) => spec).find('x.b'), after[1])
})

t.test('hosts may come, go, change their names and places', async (t) => {
  const random = new Random(20_251_121)
  let next = 0
  const host = () => {
    const name = `h${next++}`
    return random.below(8) === 0 ? [`*.${name}`, name] : [name, `${name}.ns`]
  }
  let lists = Array.from({ length: 40 }, host)
  let before = lists.map((domains) => virtualHost(domains, []))
  namesOf(before)
  for (let round = 0; round < 400; round++) {
    const at = random.below(lists.length + 1)
    const edits = [
      () => lists.splice(at, 1 + random.below(3)),
      () => lists.splice(at, 0, host(), host()),
      () => lists.splice(at, 1, host()),
      () => lists.push(...lists.splice(at, 1)),
      () => lists.splice(at, 0, ['*']),
      () => lists.splice(at, 0, lists[at % lists.length] ?? host()),
      () => (lists = Array.from({ length: 40 }, host)),
    ]
    edits[random.below(edits.length)]!()
    const after = lists.map((domains) => virtualHost(domains, []))
    keepNames(after, before)
    const index = new HostIndex(after, (spec) => spec)
    const plain = new HostIndex([...after], (spec) => spec)
    for (let name = 0; name < next; name++)
      for (const asked of [`h${name}`, `h${name}.ns`, `x.h${name}`])
        if (index.find(asked) !== plain.find(asked)) t.fail(`round ${round}: ${asked}`)
    before = after
  }
  t.ok(next > 400)
})

t.test('one host more among ten thousand is no reason to begin anew', async (t) => {
  const many = hosts(...Array.from({ length: 10_000 }, (_, i) => `h${i}`))
  const before = namesOf(many).exact('h9999')
  const after = [...many.slice(0, 5_000), ...hosts('fresh'), ...many.slice(5_000)]
  keepNames(after, many)
  t.equal(namesOf(after).exact('h9999'), before, 'slots stay')
  t.equal(new HostIndex(after, (spec) => spec).find('h9999'), many[9_999])
  t.equal(new HostIndex(after, (spec) => spec).find('fresh'), after[5_000])
})
