import t from 'tap'
import type { StickyKeySpec } from '../../config/snapshot.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { stickyText } from '../../proxy/routing/explain-sticky.ts'
import { StickySplit } from '../../proxy/routing/sticky-split.ts'
import { destination, forwardTo, originAt } from './support.ts'

const users = Array.from({ length: 40_000 }, (_, index) => `user-${index}`)

/** Name of the destination of each user. */
function destinations(shares: Readonly<Record<string, number>>): string[] {
  const names = Object.keys(shares)
  const split = new StickySplit(
    names,
    Object.values(shares).map((weight) => ({ weight })),
  )
  return users.map((user) => names[split.index(user)]!)
}

const share = (of: readonly string[], name: string): number =>
  of.filter((one) => one === name).length / of.length

t.test('shares are those of the weights', async (t) => {
  const found = destinations({ v1: 70, v2: 25, v3: 5 })
  // four standard deviations over 40,000 users are at most 0.01
  for (const [name, wanted] of [
    ['v1', 0.7],
    ['v2', 0.25],
    ['v3', 0.05],
  ] as const)
    t.ok(Math.abs(share(found, name) - wanted) < 0.01, `${name} ${share(found, name)}`)
  const equal = destinations({ v1: 0, v2: 0 })
  t.ok(Math.abs(share(equal, 'v1') - 0.5) < 0.01)
  t.equal(share(destinations({ v1: 100, v2: 0 }), 'v1'), 1)
})

t.test('raising 5 % to 10 % moves only the extra 5 %, and only to the raised one', async (t) => {
  const before = destinations({ v1: 95, v2: 5 })
  const after = destinations({ v1: 90, v2: 10 })
  const moved = users.filter((_, i) => before[i] !== after[i]).length / users.length
  t.ok(Math.abs(moved - 0.05) < 0.006, `${moved} moved`)
  t.ok(
    before.every((name, i) => name !== 'v2' || after[i] === 'v2'),
    'who was there stays',
  )
  const begun = destinations({ v1: 100 })
  t.ok(begun.every((name, i) => name === before[i] || before[i] === 'v2'))
})

t.test('of three, the others keep nearly all of theirs', async (t) => {
  const before = destinations({ v1: 90, v2: 5, v3: 5 })
  const after = destinations({ v1: 85, v2: 5, v3: 10 })
  const moved = users.filter((_, i) => before[i] !== after[i]).length / users.length
  t.ok(moved < 0.062, `${moved} moved, 0.05 had to`)
})

t.test('neither the order of destinations nor equal names change a choice', async (t) => {
  t.same(destinations({ v1: 60, v2: 40 }), destinations({ v2: 40, v1: 60 }))
  const twice = new StickySplit(['a', 'a'], [{ weight: 50 }, { weight: 50 }])
  const first = users.filter((user) => twice.index(user) === 0).length / users.length
  t.ok(Math.abs(first - 0.5) < 0.01, `${first}`)
})

t.test('different services choose independently', async (t) => {
  const a = new StickySplit(['a v1', 'a v2'], [{ weight: 90 }, { weight: 10 }])
  const b = new StickySplit(['b v1', 'b v2'], [{ weight: 90 }, { weight: 10 }])
  const both = users.filter((user) => a.index(user) + b.index(user) === 2).length / users.length
  t.ok(Math.abs(both - 0.01) < 0.003, `${both}`)
})

t.test('explain names the destination of the caller', async (t) => {
  const head = new RequestHead('GET', '/?user=u7', 11, new Headers())
  head.headers.append('cookie', 'user=u7')
  head.headers.append('x-user', 'u7')
  const told = (key: StickyKeySpec): string =>
    stickyText(
      forwardTo('a', {
        destinations: [destination('a', { weight: 50 }), destination('b', { weight: 50 })],
        sticky: { key, origin: originAt(1) },
      }),
      head,
    )
  const chosen = ['a', 'b'][new StickySplit(['a', 'b'], [{ weight: 1 }, { weight: 1 }]).index('u7')]
  t.equal(told({ kind: 'header', name: 'x-user' }), `header x-user is "u7": always ${chosen}`)
  t.equal(told({ kind: 'cookie', name: 'user' }), `cookie user is "u7": always ${chosen}`)
  t.equal(told({ kind: 'query', name: 'user' }), `query user is "u7": always ${chosen}`)
  t.equal(
    told({ kind: 'header', name: 'x-none' }),
    'the request has no header x-none: the share is drawn',
  )
  t.match(told({ kind: 'source-ip' }), /address of the caller/)
})
