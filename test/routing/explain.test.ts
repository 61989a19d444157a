import t from 'tap'
import type {
  NamedMatchSpec,
  RouteMatchSpec,
  RouteTableSpec,
  StringMatchSpec,
} from '../../config/snapshot.ts'
import { Random } from '../../proxy/base/random.ts'
import type { RequestHead } from '../../proxy/http/head.ts'
import { canonicalTarget, pathOf } from '../../proxy/http/path.ts'
import { explainRoute } from '../../proxy/routing/explain.ts'
import { RouteTable } from '../../proxy/routing/route-table.ts'
import { matching, originAt, request, route, text, virtualHost } from './support.ts'

/** Few names and values, so that random rules and requests meet. */
class Draw {
  private readonly random: Random

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.random.below(items.length)]!
  }

  some<Item>(most: number, make: () => Item): Item[] {
    return Array.from({ length: this.random.below(most + 1) }, make)
  }

  chance(share: number): boolean {
    return this.random.fraction() < share
  }
}

const values = [
  '',
  'a',
  'b',
  'ab',
  '/a',
  '/ab',
  '/a/b',
  'A',
  'é',
  'http',
  'https',
  'GET',
  'shop:80',
]
const regexes = [
  '.*',
  '.+',
  'a.*',
  '.*b',
  'a|ab',
  '/a(/b)?',
  '[a-z]+',
  'é.*',
  '(?i)A',
  'https?',
  '/.b?',
]
const domains = [
  'shop',
  'shop.default',
  'shop.',
  '*',
  '*.com',
  '*.foo.com',
  'a.foo.com',
  '*-x.foo.com',
  '[fd00::1]',
  '10.0.0.1',
]
const authorities = [
  'shop',
  'SHOP:80',
  'shop.default:9',
  'shop.',
  'b.com',
  'x.foo.com',
  'A.foo.com:1',
  'b-x.foo.com',
  '-x.foo.com',
  '[FD00::1]:80',
  '10.0.0.1:80',
  '',
  'other',
  '.com',
]

function randomMatch(draw: Draw, kinds: ReadonlyArray<StringMatchSpec['kind']>): StringMatchSpec {
  const kind = draw.of(kinds)
  const value = kind === 'regex' ? draw.of(regexes) : draw.of(values)
  return text(kind, value, { ignoreCase: kind !== 'regex' && draw.chance(0.2) })
}

function randomConditions(draw: Draw): RouteMatchSpec | undefined {
  if (draw.chance(0.15)) return undefined
  const plain = ['exact', 'prefix', 'regex'] as const
  const named = (names: readonly string[]): NamedMatchSpec[] =>
    draw.some(1, () => ({
      name: draw.of(names),
      match: randomMatch(draw, [...plain, 'present']),
    }))
  const maybe = (): StringMatchSpec | undefined =>
    draw.chance(0.15) ? randomMatch(draw, plain) : undefined
  return matching({
    uri: draw.chance(0.5) ? randomMatch(draw, plain) : undefined,
    method: maybe(),
    scheme: maybe(),
    authority: maybe(),
    headers: named(['x-a', 'x-b', 'host', ':method', ':path']),
    withoutHeaders: named(['x-a', 'x-b']),
    queryParams: named(['a', 'b', 'é']),
  })
}

function randomTable(draw: Draw): RouteTableSpec {
  const hosts = draw.some(4, () => {
    let number = 0
    const routes = draw.some(6, () => route(`r${number++}`, randomConditions(draw)))
    const skipped = draw.some(2, () => ({
      path: 'http[9]',
      origin: originAt(9),
      reason: 'it is for port 80',
      before: Math.min(2, routes.length),
    }))
    return virtualHost([draw.of(domains), ...draw.some(2, () => draw.of(domains))], routes, {
      skipped,
    })
  })
  return { name: '80', virtualHosts: hosts }
}

function randomRequest(draw: Draw): RequestHead {
  const wire = (value: string): string => Buffer.from(value).toString('latin1')
  const pair = (): string =>
    `${draw.of(['a', 'b', 'A', 'é', ''])}${draw.of(['', '=', '=a', '=b=a'])}`
  const query = draw.chance(0.5) ? '' : `?${draw.some(3, pair).join('&')}`
  const path = draw.of(['/', '/a', '/ab', '/a/b', '/A', '/b', '*', '/%61', '/a/../ab', '/é'])
  const fields = draw.some(3, () => {
    const name = draw.of(['x-a', 'X-A', 'x-b', 'x-forwarded-proto'])
    return [name, wire(draw.of(values))] as const
  })
  const method = draw.of(['GET', 'POST', 'a'])
  const head = request(method, wire(path + query), [['Host', draw.of(authorities)], ...fields])
  head.target = canonicalTarget(head.target, 'BASE')
  return head
}

t.test(
  'the rule explained is the rule that is followed, on random tables and requests',
  async (t) => {
    const draw = new Draw(Number(process.env['SEED'] ?? 5))
    let followed = 0
    for (let i = 0; i < 1500; i++) {
      const spec = randomTable(draw)
      const table = new RouteTable(spec, { resolve: (d) => d.cluster, port: 80 })
      for (let k = 0; k < 12; k++) {
        const head = randomRequest(draw)
        const explained = explainRoute(spec, head)
        const host = table.host(head.authority)?.spec
        const found = table.match(head, pathOf(head.target))?.spec
        if (host !== explained.host?.virtualHost || found !== explained.winner)
          t.fail('they differ', { head, spec, explained, found: found?.name })
        if (found !== undefined) followed++
      }
    }
    t.ok(followed > 1000, `${followed} requests followed a rule`)
  },
)

t.test('every rule is told in order, with the condition that failed and its line', async (t) => {
  const jason = [{ name: 'end-user', match: text('exact', 'jason', { line: 12 }) }]
  const spec: RouteTableSpec = {
    name: '9080',
    virtualHosts: [
      virtualHost(
        ['reviews'],
        [
          route('first', matching({ headers: jason })),
          route('second', matching({ uri: text('prefix', '/r', { line: 20 }) })),
          route('third', undefined),
        ],
        {
          skipped: [
            { path: 'http[1]', origin: originAt(15), reason: 'it is for port 80', before: 1 },
          ],
        },
      ),
    ],
  }
  const head = request('GET', '/ratings/1', [
    ['host', 'Reviews:9080'],
    ['end-user', 'ann'],
  ])
  const { host, rules, winner } = explainRoute(spec, head)
  t.match(host, { domain: 'reviews', how: 'exact' })
  t.equal(winner?.name, 'second')
  t.match(rules, [
    {
      verdict: 'fails',
      reason: 'header end-user wants exactly "jason", the request has "ann"',
      failed: { file: 'routes.yaml', line: 12, seen: 'ann' },
    },
    { verdict: 'skipped', rule: 'http[1]', reason: 'it is for port 80', origin: { line: 15 } },
    { verdict: 'wins', reason: 'all its conditions hold' },
    { verdict: 'unreached', reason: 'http[0] has won before' },
  ])
})

t.test('what is missing is told as missing', async (t) => {
  const reasonFor = (match: Partial<RouteMatchSpec>, target = '/x'): string | undefined => {
    const virtualHosts = [virtualHost(['*'], [route('r', matching(match))])]
    return explainRoute({ name: '80', virtualHosts }, request('GET', target, [['x-a', '1']]))
      .rules[0]?.reason
  }
  const present = text('present')
  t.equal(
    reasonFor({ headers: [{ name: 'x-b', match: present }] }),
    'header x-b wants to be present, the request has none',
  )
  t.equal(
    reasonFor({ withoutHeaders: [{ name: 'x-a', match: present }] }),
    'without header x-a wants to be absent, the request has "1"',
  )
  t.equal(
    reasonFor({ queryParams: [{ name: 'q', match: text('regex', 'a.*') }] }),
    'query parameter q wants a match of the regex "a.*", the request has none',
  )
  t.equal(
    reasonFor({ uri: text('prefix', '/Y', { ignoreCase: true }) }),
    'uri wants a value that starts with "/Y" in any case, the request has "/x"',
  )
  t.equal(reasonFor({}, '*'), 'uri wants a value that starts with "/", the request has "*"')
  t.equal(explainRoute({ name: '80', virtualHosts: [] }, request('GET', '/')).host, undefined)
})
