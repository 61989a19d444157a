/** Two connections copied into each other, without sockets: what a read that is passed on costs. */
import { clock } from '../../proxy/base/clock.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { receiveBuffers } from '../../proxy/net/receive-buffers.ts'
import { Splice } from '../../proxy/net/splice.ts'
import { measure } from './measure.ts'
import { NullConnection } from './null-connection.ts'

const down = new NullConnection()
const up = new NullConnection()
const wheel = new TimerWheel(clock)
new Splice(down, up, { onSpliceEnd() {} }, wheel, 3_600_000).start()

const { bytes } = receiveBuffers.shared
measure('100 bytes there and back', 300_000, () => {
  down.receiver.onBytes(bytes, 0, 100)
  up.receiver.onBytes(bytes, 0, 100)
})
measure('64 KiB one way', 300_000, () => {
  down.receiver.onBytes(bytes, 0, bytes.length)
})
measure('a large buffer taken and given back', 300_000, () => {
  receiveBuffers.abandon(receiveBuffers.take())
})
if (up.bytesWritten === 0) console.log('nothing was passed on')
wheel.stop()
