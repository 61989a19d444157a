import t from 'tap'
import { clock } from '../../proxy/base/clock.ts'
import { dateText } from '../../proxy/http/date.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

t.test('the text is that of the second, and follows the clock', async (t) => {
  let now = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
  t.intercept(clock, 'wall', { value: () => now })
  t.equal(dateText(), 'Fri, 02 Jan 2026 03:04:05 GMT')
  now += 322
  t.equal(dateText(), 'Fri, 02 Jan 2026 03:04:06 GMT')
  now -= 60_000
  t.equal(dateText(), 'Fri, 02 Jan 2026 03:03:06 GMT', 'a clock that was set back is followed too')
})

t.test('a reply without Date gets one, another keeps its own', async (t) => {
  await using upstream = await Upstream.start((incoming, reply) => {
    reply.sendDate = false
    if (incoming.url === '/own') reply.setHeader('Date', 'Thu, 01 Jan 1970 00:00:00 GMT')
    reply.end()
  })
  await using sidecar = await Sidecar.start({ yaml: serviceYaml('web', [upstream.port]) })
  const before = Math.floor(Date.now() / 1_000) * 1_000
  const without = await ask(sidecar.port, { headers: { host: 'web' } })
  t.ok(Date.parse(without.headers.date ?? '') >= before)
  const own = await ask(sidecar.port, { path: '/own', headers: { host: 'web' } })
  t.equal(own.headers.date, 'Thu, 01 Jan 1970 00:00:00 GMT')
})
