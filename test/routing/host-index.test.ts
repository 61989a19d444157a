import t from 'tap'
import { HostIndex, hostOf } from '../../proxy/routing/host-index.ts'
import { virtualHost } from './support.ts'

function indexOf(...hosts: string[][]): HostIndex<string> {
  const specs = hosts.map((domains) => virtualHost(domains, []))
  return new HostIndex(specs, (spec) => spec.domains[0]!)
}

t.test(
  'an exact name goes before wildcards, a longer wildcard before a shorter, * comes last',
  async (t) => {
    const index = indexOf(['*'], ['*.com'], ['*.foo.com'], ['a.foo.com'], ['*-bar.foo.com'])
    t.equal(index.find('a.foo.com'), 'a.foo.com')
    t.equal(index.find('b.foo.com'), '*.foo.com')
    t.equal(index.find('x.b.foo.com'), '*.foo.com')
    t.equal(index.find('x-bar.foo.com'), '*-bar.foo.com')
    t.equal(index.find('-bar.foo.com'), '*.foo.com', 'the star stands for at least one character')
    t.equal(index.find('foo.com'), '*.com')
    t.equal(index.find('.com'), '*')
    t.equal(index.find('elsewhere'), '*')
    t.equal(index.find(''), '*')
  },
)

t.test('case and port of the authority do not count', async (t) => {
  const index = indexOf(['shop', 'shop.default'], ['[fd00::1]'], ['10.0.0.1'])
  for (const authority of ['shop', 'SHOP', 'shop:80', 'Shop:9999', 'shop.default:1', 'shop:'])
    t.equal(index.find(authority), 'shop', authority)
  t.equal(index.find('Shop:9999'), 'shop', 'the second time too')
  t.equal(index.find('[FD00::1]:9080'), '[fd00::1]')
  t.equal(index.find('[fd00::1]'), '[fd00::1]')
  t.equal(index.find('10.0.0.1:80'), '10.0.0.1')
  t.equal(index.find('other:80'), undefined)
})

t.test('a trailing dot is known only where it is listed', async (t) => {
  const index = indexOf([
    'shop',
    'shop.default.svc.cluster.local',
    'shop.default.svc.cluster.local.',
  ])
  t.equal(index.find('shop.default.svc.cluster.local.:80'), 'shop')
  t.equal(index.find('shop.'), undefined)
})

t.test('the first host that names a domain owns it', async (t) => {
  t.equal(indexOf(['a', 'x'], ['b', 'x']).find('x'), 'a')
})

t.test('hosts are linked at first use, once', async (t) => {
  const specs = Array.from({ length: 1000 }, (_, i) => virtualHost([`h${i}`, `h${i}.ns`], []))
  const linked: string[] = []
  const index = new HostIndex(specs, (spec) => {
    linked.push(spec.domains[0]!)
    return spec
  })
  t.same(linked, [])
  index.find('h7')
  index.find('h7.ns:80')
  index.find('nobody')
  t.same(linked, ['h7'])
})

t.test('more spellings than are remembered are still found', async (t) => {
  const index = indexOf(['shop'])
  let found = 0
  for (let port = 1; port <= 5000; port++) if (index.find(`shop:${port}`) === 'shop') found++
  t.equal(found, 5000)
})

t.test('the host of an authority is lower case without port', async (t) => {
  t.equal(hostOf('A:1'), 'a')
  t.equal(hostOf('[::1]'), '[::1]')
})
