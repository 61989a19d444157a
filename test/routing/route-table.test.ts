import t from 'tap'
import { invariant } from '../../proxy/base/invariant.ts'
import { Random } from '../../proxy/base/random.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { pathOf } from '../../proxy/http/path.ts'
import { RouteTable } from '../../proxy/routing/route-table.ts'
import { factsOf } from '../filters/support.ts'
import {
  destination,
  forwardTo,
  matching,
  noOperations,
  request,
  route,
  text,
  virtualHost,
} from './support.ts'

function tableOf(...hosts: ReturnType<typeof virtualHost>[]): RouteTable<string> {
  const context = { resolve: (d: { cluster: string }): string => d.cluster, port: 9080 }
  return new RouteTable({ name: '9080', virtualHosts: hosts }, context)
}

function nameFor(table: RouteTable<string>, target: string, host: string): string | undefined {
  return table.match(request('GET', target, [['host', host]]), pathOf(target))?.name
}

t.test(
  'the first route whose conditions hold wins, in the host that owns the authority',
  async (t) => {
    const table = tableOf(
      virtualHost(
        ['reviews'],
        [
          route('exact', matching({ uri: text('exact', '/a') })),
          route('prefix', matching({ uri: text('prefix', '/a') })),
          route('late', matching({ uri: text('exact', '/ab') })),
        ],
      ),
      virtualHost(['*'], [route('any', undefined)]),
    )
    t.equal(nameFor(table, '/a', 'reviews:9080'), 'exact')
    t.equal(nameFor(table, '/ab', 'reviews'), 'prefix')
    t.equal(nameFor(table, '/b', 'reviews'), undefined, 'no fall through to another host')
    t.equal(nameFor(table, '/b', 'elsewhere'), 'any')
  },
)

t.test('destinations are resolved when their host is first asked for', async (t) => {
  const resolved: string[] = []
  const table = new RouteTable(
    {
      name: '9080',
      virtualHosts: [
        virtualHost(['a'], [route('a', undefined)]),
        virtualHost(['b'], [route('b', undefined)]),
      ],
    },
    { resolve: (d) => resolved.push(d.cluster), port: 9080 },
  )
  t.same(resolved, [])
  t.equal(table.host('b')?.routes.length, 1)
  t.same(resolved, ['b'])
})

t.test('shares follow the weights', async (t) => {
  const split = forwardTo('x', {
    destinations: [destination('v1', { weight: 90 }), destination('v2', { weight: 10 })],
  })
  const table = tableOf(virtualHost(['*'], [route('r', undefined, split)]))
  const found = table.match(request('GET', '/'), '/')
  invariant(found?.action.kind === 'forward', 'the route forwards')
  const random = new Random(3)
  let second = 0
  for (let i = 0; i < 20_000; i++) if (found.action.split.pick(random).target === 'v2') second++
  // 99.9 % interval of a binomial with p = 0.1: 3.29 * sqrt(20000 * 0.1 * 0.9) = 140
  t.ok(Math.abs(second - 2000) < 140, `${second} of 20000`)
})

t.test("a rule's edits go after its destinations', and its authority before theirs", async (t) => {
  const setting = (...set: Array<[string, string]>) => ({
    request: { ...noOperations, set },
    response: { ...noOperations, set },
  })
  const legs = [
    destination('v1', { headers: setting(['x-both', 'leg'], ['x-leg', 'v1'], ['host', 'leg']) }),
    destination('v2'),
  ]
  const choiceOf = (action: ReturnType<typeof forwardTo>) => {
    const found = tableOf(virtualHost(['*'], [route('r', undefined, action)]))
    const { action: live } = found.match(request('GET', '/'), '/')!
    invariant(live.kind === 'forward', 'the route forwards')
    return live.split.choices
  }
  const [first, second] = choiceOf(
    forwardTo('x', { destinations: legs, headers: setting(['x-both', 'rule']) }),
  )
  const headers = new Headers()
  first!.requestEdits!.apply(headers, factsOf({}))
  t.same(
    [headers.names, headers.values],
    [
      ['x-both', 'x-leg'],
      ['rule', 'v1'],
    ],
  )
  t.ok(first!.responseEdits)
  const head = request('GET', '/', [['host', 'shop']])
  first!.rewrite!.apply(head)
  t.equal(head.authority, 'leg')
  t.equal(second!.rewrite, undefined)

  const rewrite = { uri: undefined, uriRegex: undefined, authority: 'rule' }
  const [overruled] = choiceOf(forwardTo('x', { destinations: legs, rewrite }))
  overruled!.rewrite!.apply(head)
  t.equal(head.authority, 'rule')
})

t.test('what is answered without upstream is ready to send', async (t) => {
  const headers = {
    request: noOperations,
    response: { ...noOperations, set: [['x-a', '1']] as const },
  }
  const direct = { kind: 'direct', status: 200, body: 'aGk=', base64: true, headers } as const
  const table = tableOf(virtualHost(['*'], [route('r', undefined, direct)]))
  const action = table.match(request('GET', '/'), '/')?.action
  invariant(action?.kind === 'direct', 'the route answers')
  t.equal(action.body.toString(), 'hi')
  t.equal(action.status, 200)
  t.ok(action.responseEdits)
})
