import t from 'tap'
import type { ProxyError } from '../../proxy/base/errors.ts'
import { type Delivering, Delivery } from '../../proxy/exchange/delivery.ts'
import type { BodySource } from '../../proxy/http/body.ts'
import { RequestHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { Route } from '../../proxy/routing/route.ts'
import { ExchangeRecord } from '../../proxy/telemetry/exchange-record.ts'
import { forwardTo, route } from '../routing/support.ts'
import { World } from '../upstream/fakes.ts'

t.test('a retry that waits when the time of the rule runs out is not sent any more', async (t) => {
  const world = new World()
  const cluster = world.cluster()
  const spec = forwardTo('a', {
    timeoutMs: 100,
    retries: { ...forwardTo('a').retries, attempts: 1, backoffMs: 100_000 },
  })
  const { action } = new Route(route('r', undefined, spec), { resolve: () => cluster, port: 80 })
  if (action.kind !== 'forward') throw new TypeError('not a forward')
  const here = { address: '10.0.0.1', port: 1 }
  const failed: ProxyError[] = []
  const exchange = {
    stream: {
      head: new RequestHead('GET', '/', 11, new Headers()),
      body: { length: 0 },
      replied: false,
    },
    scope: {
      direction: 'outbound',
      services: {
        wheel: world.wheel,
        random: { fraction: () => 0.5 },
        recorder: world.recorder,
        faults: { active: false },
      },
    },
    record: new ExchangeRecord('outbound', 0, 0, here, here),
    originalDestination: undefined,
    // A client that reads slowly: the reply is not out yet, the exchange not over.
    fail: (error: ProxyError) => failed.push(error),
    finish: () => undefined,
  } as unknown as Delivering
  const delivery = new Delivery(exchange, cluster, action, { length: 0 } as BodySource)
  delivery.onRequestEnd()
  delivery.tryOnce()
  world.dialer.open[0]!.fail()
  world.pass(120)
  t.match(failed, [{ code: 'response_timeout' }])
  world.pass(100_000)
  t.equal(world.dialer.dials.length, 1)
  delivery.end()
  t.equal(world.wheel.size, 0, 'no timer is left')
})
