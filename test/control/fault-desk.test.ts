import t from 'tap'
import type { ClusterSpec, FaultLease, OutboundListenerSpec } from '../../config/snapshot.ts'
import { FaultDesk } from '../../proxy/control/fault-desk.ts'
import { startSidecar } from './sidecar-support.ts'
import { HeardLog, snapshotOf } from './support.ts'

const snapshot = {
  ...snapshotOf('v1'),
  outbound: {
    ...snapshotOf('v1').outbound,
    listeners: [
      {
        http: { virtualHosts: [{ routes: [{ name: 'main' }, { name: 'other.block' }] }] },
      } as unknown as OutboundListenerSpec,
    ],
  },
  clusters: new Map(
    ['reviews', 'ratings'].map((name) => {
      const service = `${name}.default.svc.cluster.local`
      const subset = name === 'reviews' ? 'v1' : ''
      return [name, { service, subset, port: 80 } as ClusterSpec]
    }),
  ),
}

function desk() {
  let now = 1_000_000
  const published: Array<readonly FaultLease[]> = []
  const faults = new FaultDesk({
    snapshot: () => snapshot,
    publish: (leases) => published.push(leases),
    log: new HeardLog(),
    wall: () => now,
  })
  const wait = (ms: number) => {
    now += ms
  }
  const add = (words: string) => faults.add(new URLSearchParams(words))
  return { faults, add, wait, published }
}

t.test('a lease names service, faults and end, and is published', async (t) => {
  const { faults, add, published } = desk()
  const lease = add(
    'host=reviews&fault=abort 503 10%25; refuse 1%25&for=5m&seed=7&port=80&rule=main',
  )
  t.match(lease, {
    id: 1,
    host: 'reviews.default.svc.cluster.local',
    port: 80,
    subset: undefined,
    route: 'main',
    until: 1_300_000,
    faults: {
      seed: 7,
      beforeRetries: [{ action: { kind: 'abort', status: 503 }, share: 0.1 }],
      eachTry: [{ action: { kind: 'refuse' }, share: 0.01 }],
    },
  })
  t.same(published, [[lease]])
  t.same(faults.list(), [lease])
  t.match(add('host=*&fault=delay 1s&placement=each-try'), {
    id: 2,
    until: 1_060_000,
    faults: { beforeRetries: [], eachTry: [{ action: { kind: 'delay', ms: 1000 } }] },
  })
  faults.close()
})

t.test('leases end by themselves, or are ended', async (t) => {
  const { faults, add, wait, published } = desk()
  add('host=reviews&fault=refuse&for=10s')
  add('host=ratings&fault=refuse&for=30s')
  add('host=*&fault=refuse&for=30s')
  wait(10_000)
  t.same(
    faults.list().map(({ id }) => id),
    [2, 3],
  )
  t.equal(published.at(-1)?.length, 2)
  t.equal(faults.clear(2), 1)
  t.equal(faults.clear(2), 0)
  t.equal(faults.clear(undefined), 1)
  t.same(published.at(-1), [])
  faults.close()
})

t.test('what cannot be done is said in one sentence', async (t) => {
  const { faults, add } = desk()
  for (const [words, complaint] of [
    ['fault=refuse', /host is missing/],
    [
      'host=review&fault=refuse',
      /knows no service review\.default.*Did you mean "reviews\.default/,
    ],
    ['host=reviews', /there is no fault in it: write delay 500ms 10%/],
    ['host=reviews&fault=explode', /"explode" is no fault/],
    ['host=reviews&fault=refuse&for=soon', /"soon" is no time such as 30s/],
    ['host=reviews&fault=refuse&for=48h', /at most 24h/],
    ['host=reviews&fault=refuse&seed=x', /"x" is no whole number/],
    ['host=reviews&fault=refuse&placement=up', /neither before-retries nor each-try/],
    ['host=reviews&fault=refuse&port=http', /"http" is no port/],
    [
      'host=reviews&fault=refuse&port=81',
      /^reviews\.default\.svc\.cluster\.local has no port 81. Did you mean "80"/,
    ],
    ['host=reviews&fault=refuse&subset=v2', /has no subset v2\. Did you mean "v1"\?/],
    [
      'host=ratings&fault=refuse&subset=v1',
      /ratings\.default\.svc\.cluster\.local has no subset v1$/,
    ],
    ['host=*&fault=refuse&subset=nope', /^this proxy has no subset nope/],
    ['host=reviews&fault=refuse&rule=mian', /no rule named mian. Did you mean "main"/],
    ['host=reviews&fault=refuse&rule=mai', /no rule named mai/],
    ['host=reviews&fault=refuse&fr=5s', /there is no parameter fr: Did you mean "for"/],
  ] as const)
    t.match(add(words), complaint, words)
  t.same(faults.list(), [])
  t.match(add('host=reviews&fault=refuse&rule=other&subset=v1'), { route: 'other' })
  faults.close()
})

t.test('the page /faults lists, sets and clears', async (t) => {
  await using proxy = await startSidecar()
  await proxy.sidecar.readiness.whenReady()
  const post = (query: string) => proxy.get(`/faults?${query}`, { method: 'POST' })
  t.match(await proxy.get('/faults'), { status: 200, body: 'nothing is disturbed\n' })
  t.match(await post('host=*&fault=abort+503+10%25&for=90s'), {
    status: 200,
    body: /^1 {2}\* {2}abort 503 10% {2}\d+ s left\n$/,
  })
  t.match(await proxy.get('/faults'), { body: /^1 {2}\* {2}abort/ })
  t.match(JSON.parse((await proxy.get('/faults?format=json')).body), [
    { id: 1, text: 'abort 503 10%' },
  ])
  t.match(await post('host=*&fault=nothing'), { status: 400, body: /is no fault/ })
  t.match(await post('clear=7'), { status: 404 })
  t.match(await post('clear=x'), { status: 400 })
  t.match(await post('clear=all'), { status: 200, body: '1 ended\n' })
})
