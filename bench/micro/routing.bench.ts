/** Finding a request's route: host, conditions, canonical path, and the cost of linking large tables. */
import type { RouteTableSpec } from '../../config/snapshot.ts'
import { Random } from '../../proxy/base/random.ts'
import { regexWork } from '../../proxy/filters/regex.ts'
import { RegexReplacer } from '../../proxy/filters/regex-replacer.ts'
import type { RequestHead } from '../../proxy/http/head.ts'
import { canonicalTarget, pathOf } from '../../proxy/http/path.ts'
import { RouteTable } from '../../proxy/routing/route-table.ts'
import { TextTest } from '../../proxy/routing/text-test.ts'
import { TrafficSplit } from '../../proxy/routing/traffic-split.ts'
import { matching, request, route, text, virtualHost } from '../../test/routing/support.ts'
import { measure } from './measure.ts'

let used = 0

/** A string as it comes off the wire: new each time, not yet hashed. */
const bytes = (value: string): Buffer => Buffer.from(value, 'latin1')
const fresh = (from: Buffer): string => from.toString('latin1')

function linked(spec: RouteTableSpec): RouteTable<string> {
  return new RouteTable(spec, { resolve: (d) => d.cluster, port: 9080 })
}

const one = bytes('reviews:9080')
measure('(a fresh string alone, part of the rows below)', 300_000, () => {
  used += fresh(one).length
})

const jason = [{ name: 'end-user', match: text('exact', 'jason') }]
const reviews = virtualHost(
  ['reviews.default.svc.cluster.local', 'reviews', 'reviews.default'],
  [route('jason', matching({ headers: jason })), route('rest', undefined)],
)
const bookinfo = linked({ name: '9080', virtualHosts: [reviews] })

function browser(method: string, target: string, host: string): RequestHead {
  const fields = [
    'accept',
    'user-agent',
    'cookie',
    'x-request-id',
    'x-forwarded-proto',
    'x-b3-traceid',
  ]
  return request(method, target, [
    ['Host', host],
    ...fields.map((name) => [name, `a value of ${name}`] as const),
  ])
}

for (const host of [
  'reviews',
  'reviews:9080',
  'REVIEWS:9080',
  'reviews.default.svc.cluster.local:9080',
]) {
  const head = browser('GET', '/reviews/1', host)
  const wire = bytes(host)
  measure(`bookinfo: one header rule, Host ${host}`, 300_000, () => {
    head.authority = fresh(wire)
    if (bookinfo.match(head, '/reviews/1')?.name === 'rest') used++
  })
}

const large: RouteTableSpec = {
  name: '80',
  virtualHosts: Array.from({ length: 10_000 }, (_, i) => {
    const name = `service-${i}.team-${i % 50}`
    return virtualHost(
      [
        `${name}.svc.cluster.local`,
        `${name}.svc.cluster.local.`,
        name,
        `${name}.svc`,
        `10.${i >> 8}.${i & 255}.1`,
      ],
      [route('default', undefined)],
    )
  }),
}
measure('link 10,000 hosts of 5 names', 2, () => {
  // What was made of the same list would be used again.
  const another = { ...large, virtualHosts: [...large.virtualHosts] }
  used += linked(another).host('service-77.team-27') === undefined ? 0 : 1
})
const cluster = linked(large)
const wires = Array.from({ length: 1000 }, (_, i) =>
  bytes(`service-${i * 10}.team-${(i * 10) % 50}`),
)
const caller = browser('GET', '/x', '')
measure('10,000 hosts: default route', 300_000, () => {
  caller.authority = fresh(wires[used++ % 1000]!)
  if (cluster.match(caller, '/x') === undefined) throw new RangeError('no route')
})

const manyRules = linked({
  name: '80',
  virtualHosts: [
    virtualHost(
      ['shop'],
      Array.from({ length: 100 }, (_, i) =>
        route(`r${i}`, matching({ uri: text('prefix', `/api/v1/resource-${i}/`) })),
      ),
    ),
  ],
})
const last = browser('GET', '/api/v1/resource-99/1', 'shop')
measure('100 prefix rules, the last one wins', 50_000, () => {
  if (manyRules.match(last, last.target)?.name === 'r99') used++
})

for (const target of [
  '/reviews/1',
  '/api/v1/products/1/reviews?limit=10&offset=20',
  '/%65xact',
  '/a/../b',
]) {
  const wire = bytes(target)
  measure(`canonical form of ${target}`, 200_000, () => {
    used += pathOf(canonicalTarget(fresh(wire), 'BASE')).length
  })
}

const agents = Array.from(
  { length: 64 },
  (_, i) => `Mozilla/5.0 (Linux; Android ${i}; Pixel) AppleWebKit/537.36`,
)
for (const pattern of [
  '.*(Android).*',
  '(GET|HEAD|OPTIONS)',
  '/api/v[0-9]+/.*',
  '^(.*?;)?(user=jason)(;.*)?$',
]) {
  const test = TextTest.ofRegex(pattern)
  measure(`regex ${pattern}${test.needsEngine ? ', by the engine' : ''}`, 300_000, () => {
    regexWork.renew()
    if (test.test(agents[used++ & 63]!)) used++
  })
}

const letters = new Random(7)
const hostile = `/${Array.from({ length: 60 * 1024 }, () => 'abc'[letters.below(3)]).join('')}`
for (const pattern of ['/[\\w/.-]+', '/.*a.{300}d']) {
  const test = TextTest.ofRegex(pattern)
  const name = (): string =>
    `regex ${pattern} on 60 KiB${regexWork.gaveUp === '' ? '' : ', given up'}`
  test.test(hostile)
  measure(name(), 20, () => {
    regexWork.renew()
    if (test.test(hostile)) used++
  })
}

const deep = `/api/v1/${'abcdefg-12/'.repeat(5_580)}`
for (const [pattern, parts, target] of [
  ['^/api/v1/(.*)$', ['/v2/', 1], '/api/v1/products/1/reviews'],
  ['^/api/v1/(.*)$', ['/v2/', 1], deep],
  ['/([a-z]+)', ['/<', 1, '>'], deep],
  ['.*a.{300}d', ['x'], hostile],
] as const) {
  const replacer = new RegexReplacer(pattern, parts)
  const change = (): void => {
    regexWork.renew()
    used += replacer.replaceAll(target)?.length ?? 0
  }
  change()
  const place = target.length > 100 ? ' of 60 KiB' : ''
  const end = regexWork.gaveUp === '' ? '' : ', given up'
  measure(`rewrite by ${pattern}${place}${end}`, target.length > 100 ? 20 : 100_000, change)
}

const random = new Random(1)
const split = new TrafficSplit([{ weight: 90 }, { weight: 10 }], ['v1', 'v2'])
measure('90/10 split', 1_000_000, () => {
  if (split.pick(random) === 'v2') used++
})

/** Bytes of heap a match leaves behind, without the head itself. */
const quiet = browser('GET', '/reviews/1', 'reviews:9080')
for (let i = 0; i < 20_000; i++) if (bookinfo.match(quiet, quiet.target) !== undefined) used++
const before = process.memoryUsage().heapUsed
for (let i = 0; i < 200_000; i++) if (bookinfo.match(quiet, quiet.target) !== undefined) used++
const grown = (process.memoryUsage().heapUsed - before) / 200_000
console.log(`${'heap per match'.padEnd(56)} ${grown.toFixed(1).padStart(8)} bytes`)
if (used === 0) console.log('nothing was used')
