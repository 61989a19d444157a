/** A request takes an idle connection and gives it back: what the pool costs each proxied request. */

import type { ClientCodec } from '../../proxy/http/codec.ts'
import type { StreamWaiter } from '../../proxy/upstream/waiting.ts'
import type { FakeCodec } from '../../test/upstream/fakes.ts'
import { Request, World } from '../../test/upstream/fakes.ts'
import { measure } from './measure.ts'

const world = new World()
world.wheel.stop()
const { endpoint, cluster } = world.endpoint()
for (let i = 0; i < 64; i++) {
  const request = new Request(endpoint)
  world.dialer.connectNext()
  if (i === 63) request.codec!.finish()
}

/** Opens at once, answers at once. */
const waiter: StreamWaiter = {
  onStream(codec: ClientCodec) {
    const fake = codec as unknown as FakeCodec
    fake.capacity = 0
    fake.opened++
    fake.capacity = 1
    fake.owner.onCapacity(codec)
  },
  onNoStream(error) {
    throw error
  },
}
const { pool } = endpoint

measure('acquire an idle connection and give it back', 1_000_000, () => {
  pool.acquire(waiter)
})

const declining: StreamWaiter = { onStream() {}, onNoStream() {} }
const full = world.endpoint({ maxConnections: 1 })
new Request(full.endpoint)
measure('wait for a connection and give up', 300_000, () => {
  full.endpoint.pool.acquire(declining)!.cancel()
})
if (cluster.held.waiters !== 0) console.log('somebody still waits')
world.wheel.stop()
