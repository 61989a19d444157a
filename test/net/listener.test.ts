/** Listening sockets. */
import { connect } from 'node:net'
import { test } from 'tap'
import { clock } from '../../proxy/base/clock.ts'
import { bareAccepts } from '../../proxy/net/adopt.ts'
import { Listener } from '../../proxy/net/listener.ts'

for (const adopting of [false, true])
  test(`a connection to a thread that slept finds the clock set, so that its times are true (adopting: ${adopting})`, async (t) => {
    bareAccepts.works = true
    const options = {
      address: '127.0.0.1',
      port: 0,
      reusePort: false,
      captured: false,
      adopting,
    }
    const accepted = Promise.withResolvers<number>()
    const gone = Promise.withResolvers<void>()
    const listener = await Listener.open(options, (connection) => {
      accepted.resolve(clock.now)
      const onClose = () => gone.resolve()
      connection.receiveWith({ onBytes() {}, onEnd() {}, onWritable() {}, onClose })
      connection.destroy()
    })
    const before = clock.refresh()
    clock.now = 0
    const client = connect(listener.address.port)
    client.on('error', () => undefined)
    t.ok((await accepted.promise) >= before)
    client.destroy()
    await gone.promise
    listener.close()
  })
