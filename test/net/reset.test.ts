/** A connection that is reset leaves nothing open, whatever it was about to do. */
import { readdirSync, readlinkSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { test } from 'tap'
import { Clock } from '../../proxy/base/clock.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { SocketDialer } from '../../proxy/net/dial.ts'
import { listening } from '../support/upstream.ts'

function openSockets(): number {
  let count = 0
  for (const fd of readdirSync('/proc/self/fd'))
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) count++
    } catch {
      // The listing's own descriptor is gone by now.
    }
  return count
}

const cases: ReadonlyArray<readonly [name: string, act: (connection: Connection) => void]> = [
  ['at once', (connection) => connection.reset()],
  [
    'right after its end was announced',
    (connection) => {
      connection.end()
      connection.reset()
    },
  ],
  [
    'with bytes and the end on their way',
    (connection) => {
      connection.write(Buffer.alloc(8 * 1024 * 1024))
      connection.end()
      connection.reset()
    },
  ],
]

for (const [name, act] of cases)
  test(`a reset leaves no socket open: ${name}`, {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const accepted: Socket[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      accepted.push(socket)
    })
    const port = await listening(server)
    const before = openSockets()
    const clock = new Clock()
    const target = { address: { address: '127.0.0.1', port }, timeoutMs: 10_000 }
    const closed = new Promise<void>((done, failed) => {
      new SocketDialer(new TimerWheel(clock)).dial(
        { ...target, keepalive: undefined, sourceAddress: undefined },
        {
          onConnected(connection) {
            const nothing = () => undefined
            connection.receiveWith({
              onBytes: nothing,
              onEnd: nothing,
              onWritable: nothing,
              onClose: () => done(),
            })
            act(connection)
          },
          onDialFailed: failed,
        },
      )
    })
    await closed
    for (const socket of accepted) socket.destroy()
    server.close()
    const until = Date.now() + 3_000
    while (openSockets() >= before && Date.now() < until) await new Promise(setImmediate)
    t.equal(openSockets(), before - 1, 'the listening one is closed, and nothing else was left')
  })
