/** Listening sockets. */
import { connect } from 'node:net'
import { test } from 'tap'
import { clock } from '../../proxy/base/clock.ts'
import { Listener } from '../../proxy/net/listener.ts'

test('a connection to a thread that slept finds the clock set, so that its times are true', async (t) => {
  const options = {
    address: '127.0.0.1',
    port: 0,
    reusePort: false,
    captured: false,
    adopting: false,
  }
  const accepted = Promise.withResolvers<number>()
  const listener = await Listener.open(options, (connection) => {
    accepted.resolve(clock.now)
    connection.destroy()
  })
  const before = clock.refresh()
  clock.now = 0
  const client = connect(listener.address.port)
  client.on('error', () => undefined)
  t.ok((await accepted.promise) >= before)
  client.destroy()
  listener.close()
})
