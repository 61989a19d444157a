/**
 * One worker's socket path: 200 bytes in, 200 bytes back, over loopback, received through `onread` and
 * through `data`, written straight to the handle and through Node's stream.
 */
import { connect } from 'node:net'
import { clock } from '../../proxy/base/clock.ts'
import { checkAdoption } from '../../proxy/net/adopt.ts'
import { directWrites } from '../../proxy/net/direct-write.ts'
import { Listener } from '../../proxy/net/listener.ts'
import type { SocketConnection } from '../../proxy/net/socket-connection.ts'

const exchanges = 20_000
const connections = 16
const message = Buffer.alloc(200, 'x')

function echo(connection: SocketConnection): void {
  connection.receiveWith({
    onBytes(buffer, start, end) {
      clock.refresh()
      connection.write(buffer.subarray(start, end))
    },
    onEnd: () => connection.end(),
    onClose() {},
    onWritable() {},
  })
}

/** CPU nanoseconds per exchange of both ends; the client is the same for both rows. */
async function round(adopting: boolean): Promise<number> {
  const options = { address: '127.0.0.1', port: 0, reusePort: false, captured: false, adopting }
  const listener = await Listener.open(options, echo)
  const { user, system } = process.threadCpuUsage()
  await Promise.all(Array.from({ length: connections }, () => client(listener.address.port)))
  const after = process.threadCpuUsage()
  listener.close()
  return ((after.user + after.system - user - system) * 1000) / (exchanges * connections)
}

function client(port: number): Promise<void> {
  return new Promise((done, failed) => {
    let left = exchanges
    let missing = message.length
    const socket = connect(port, '127.0.0.1', () => socket.write(message))
    socket.setNoDelay(true)
    socket.on('error', failed)
    socket.on('close', () => done())
    socket.on('data', (chunk) => {
      missing -= chunk.length
      if (missing > 0) return
      missing = message.length
      if (--left === 0) socket.end()
      else socket.write(message)
    })
  })
}

await checkAdoption()
const { works } = directWrites
for (const [name, adopting, direct] of [
  ['echo, onread, straight to the handle', true, works],
  ['echo, onread, through the stream', true, false],
  ['echo, data events, through the stream', false, false],
] as const) {
  directWrites.works = direct
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 4; i++) least = Math.min(least, await round(adopting))
  console.log(`${name.padEnd(56)} ${least.toFixed(0).padStart(8)} ns`)
}
