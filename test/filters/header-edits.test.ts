import t from 'tap'
import type { HeaderOperationsSpec } from '../../config/snapshot.ts'
import { authorityOf, HeaderEdits } from '../../proxy/filters/header-edits.ts'
import { factsOf, headersOf, listed } from './support.ts'

function operations(spec: Partial<HeaderOperationsSpec>): HeaderOperationsSpec {
  return { remove: [], set: [], add: [], ...spec }
}

function edited(
  fields: ReadonlyArray<readonly [string, string]>,
  ...blocks: Array<Partial<HeaderOperationsSpec>>
): string[] {
  const headers = headersOf(fields)
  HeaderEdits.of(blocks.map(operations))?.apply(headers, factsOf({ request: fields }))
  return listed(headers)
}

t.test('remove runs before set, set before add', async (t) => {
  const both = { remove: ['x-a'], set: [['x-a', 'new']] } as const
  t.same(edited([['X-A', 'old']], both), ['x-a: new'])
  t.same(edited([['x-a', '1']], { set: [['x-a', '2']], add: [['x-a', '3']] }), ['x-a: 2', 'x-a: 3'])
})

t.test('set replaces every line, add appends one', async (t) => {
  const twice = [
    ['x-a', '1'],
    ['x-a', '2'],
  ] as const
  t.same(edited(twice, { set: [['x-a', '3']] }), ['x-a: 3'])
  t.same(edited(twice, { add: [['x-a', '3']] }), ['x-a: 1', 'x-a: 2', 'x-a: 3'])
})

t.test('a later block overrules and removes what an earlier one did', async (t) => {
  const first = { set: [['x-a', 'destination']], add: [['x-b', 'destination']] } as const
  t.same(edited([], first, { set: [['x-a', 'rule']], remove: ['x-b'] }), ['x-a: rule'])
})

t.test('a value that comes out empty changes nothing', async (t) => {
  const empty = { set: [['x-a', '%REQ(x-none)%']], add: [['x-b', '%REQ(x-none)%']] } as const
  t.same(edited([['x-a', 'old']], empty), ['x-a: old'])
})

t.test('operators see the request', async (t) => {
  t.same(edited([['x-user', 'ann']], { add: [['x-copy', 'is %REQ(x-user)%']] }), [
    'x-user: ann',
    'x-copy: is ann',
  ])
})

t.test('the authority is left to the rewrite', async (t) => {
  const host = operations({ set: [['Host', 'b']], add: [[':authority', 'c']], remove: ['host'] })
  t.equal(HeaderEdits.of([host]), undefined)
  t.equal(authorityOf(host), 'b')
  t.equal(authorityOf(operations({ add: [[':authority', 'c']] })), 'c')
  t.equal(authorityOf(operations({ set: [['x', 'c']] })), undefined)
})
