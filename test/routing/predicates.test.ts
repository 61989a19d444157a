import t from 'tap'
import type { RouteMatchSpec } from '../../config/snapshot.ts'
import { pathOf } from '../../proxy/http/path.ts'
import { firstParameter, RequestTest, schemeOf } from '../../proxy/routing/predicates.ts'
import { matching, request, text } from './support.ts'

type Fields = ReadonlyArray<readonly [string, string]>

function holds(match: Partial<RouteMatchSpec>, target = '/', fields: Fields = []): boolean {
  return new RequestTest(matching(match)).test(request('GET', target, fields), pathOf(target))
}

t.test('a uri condition sees the path without query, prefixes know no segments', async (t) => {
  t.ok(holds({ uri: text('prefix', '/foo') }, '/foobar?x'))
  t.notOk(holds({ uri: text('prefix', '/foo/') }, '/foo'))
  t.ok(holds({ uri: text('exact', '/foo') }, '/foo?x=1'))
  t.notOk(holds({ uri: text('regex', '.*x=1') }, '/foo?x=1'))
  t.ok(holds({ uri: text('regex', '/[a-z]+') }, '/foo?x=1'))
  t.notOk(holds({ uri: text('regex', '/f') }, '/foo'), 'regexes match in full')
})

t.test('without uri condition every path matches, but neither * nor an authority', async (t) => {
  t.ok(holds({}, '/x'))
  t.ok(new RequestTest(undefined).test(request('GET', '/x'), '/x'))
  t.notOk(holds({}, '*'))
  t.notOk(holds({}, 'db:3306'))
})

t.test(
  'a header matches when any of its lines does; a list in one line is one value',
  async (t) => {
    const headers = [{ name: 'x-user', match: text('exact', 'zed') }]
    t.ok(
      holds({ headers }, '/', [
        ['X-User', 'ann'],
        ['x-user', 'zed'],
      ]),
    )
    t.notOk(holds({ headers }, '/', [['x-user', 'ann,zed']]))
    t.notOk(holds({ headers }))
  },
)

t.test('presence holds for an empty header too', async (t) => {
  const headers = [{ name: 'x-a', match: text('present') }]
  t.ok(holds({ headers }, '/', [['x-a', '']]))
  t.notOk(holds({ headers }))
})

t.test('withoutHeaders: a missing header counts as empty, presence asks for absence', async (t) => {
  const without = (kind: 'exact' | 'regex' | 'present', value = ''): Partial<RouteMatchSpec> => ({
    withoutHeaders: [{ name: 'x', match: text(kind, value) }],
  })
  t.ok(holds(without('exact', 'a')))
  t.ok(holds(without('exact', 'a'), '/', [['x', 'b']]))
  t.notOk(holds(without('exact', 'a'), '/', [['x', 'a']]))
  t.notOk(
    holds(without('exact', 'a'), '/', [
      ['x', 'b'],
      ['x', 'a'],
    ]),
  )
  t.notOk(holds(without('exact', '')), 'missing is empty')
  t.notOk(holds(without('regex', '.*')))
  t.ok(holds(without('present')))
  t.notOk(holds(without('present'), '/', [['x', '']]))
})

t.test('host and pseudo headers stand for the parts of the request', async (t) => {
  const header = (name: string, value: string): Partial<RouteMatchSpec> => ({
    headers: [{ name, match: text('exact', value) }],
  })
  const fields: Fields = [['Host', 'shop:80']]
  t.ok(holds(header('host', 'shop:80'), '/x', fields))
  t.ok(holds(header(':authority', 'shop:80'), '/x', fields))
  t.ok(holds(header(':method', 'GET'), '/x', fields))
  t.ok(holds(header(':path', '/x?y'), '/x?y', fields))
  t.ok(holds(header(':scheme', 'http'), '/x', fields))
})

t.test('authority and method see case and port', async (t) => {
  const shop = { authority: text('exact', 'shop.default') }
  t.ok(holds(shop, '/', [['host', 'shop.default']]))
  t.notOk(holds(shop, '/', [['host', 'shop.default:80']]))
  t.notOk(holds(shop, '/', [['host', 'Shop.default']]))
  t.notOk(holds({ method: text('exact', 'get') }))
  t.ok(holds({ method: text('exact', 'GET') }))
})

t.test('a scheme condition sees x-forwarded-proto when it names http or https', async (t) => {
  const scheme = { scheme: text('exact', 'https') }
  t.notOk(holds(scheme))
  t.ok(holds(scheme, '/', [['x-forwarded-proto', 'HTTPS']]))
  t.equal(schemeOf(request('GET', '/', [['x-forwarded-proto', 'gopher']])), 'http')
})

t.test('query parameters: the first counts, not decoded, names see case', async (t) => {
  const cases: Array<[string, string, string | undefined]> = [
    ['/?e', 'e', ''],
    ['/?e=', 'e', ''],
    ['/?a=1&a=2', 'a', '1'],
    ['/?ab=1&a=2', 'a', '2'],
    ['/?a=%41', 'a', '%41'],
    ['/?A=1', 'a', undefined],
    ['/?x=a=1', 'a', undefined],
    ['/?a=b=c', 'a', 'b=c'],
    ['/a=1', 'a', undefined],
    ['/?', 'a', undefined],
    ['/?&&a=1&', 'a', '1'],
  ]
  for (const [target, name, value] of cases) t.equal(firstParameter(target, name), value, target)
  const parameter = (kind: 'exact' | 'present', value = ''): Partial<RouteMatchSpec> => ({
    queryParams: [{ name: 'e', match: text(kind, value) }],
  })
  t.ok(holds(parameter('exact'), '/?e'))
  t.notOk(holds(parameter('exact'), '/'))
  t.ok(holds(parameter('present'), '/?e=5'))
  t.notOk(holds(parameter('present'), '/?f'))
})
