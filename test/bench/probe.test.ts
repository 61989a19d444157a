import t from 'tap'
import { Asker, Probe, quantile } from '../../bench/load/probe.ts'
import { Upstream } from '../support/upstream.ts'

t.test('a quantile is the value that the share does not exceed', async (t) => {
  const values = Array.from({ length: 1000 }, (_, i) => 1000 - i)
  t.equal(quantile(values, 0.5), 501)
  t.equal(quantile(values, 0.999), 1000)
  t.equal(quantile([7], 0.999), 7)
})

t.test('an asker reads a reply that comes in pieces, and asks again', async (t) => {
  await using upstream = await Upstream.start((_, reply) => {
    reply.setHeader('content-length', 4)
    reply.write('ab')
    setImmediate(() => reply.end('cd'))
  })
  using asker = new Asker(upstream.port, 'web:8080')
  t.equal((await asker.ask()).body, 'abcd')
  t.equal((await asker.ask()).body, 'abcd')
  t.same(
    upstream.requests.map(({ headers }) => headers.host),
    ['web:8080', 'web:8080'],
  )
})

t.test('a probe times every request until it is ended', async (t) => {
  let third: () => void
  const seen = new Promise<void>((done) => {
    third = done
  })
  await using upstream = await Upstream.start((_, reply) => {
    reply.setHeader('content-length', 0)
    reply.end()
    if (upstream.requests.length === 3) third()
  })
  const probe = new Probe(upstream.port, 'web')
  await seen
  await probe[Symbol.asyncDispose]()
  t.ok(probe.tookMs.length >= 3)
  t.equal(probe.tookMs.length, upstream.requests.length, 'none was cut off')
})
