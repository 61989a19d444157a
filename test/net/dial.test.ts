import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { Clock } from '../../proxy/base/clock.ts'
import type { ProxyError } from '../../proxy/base/errors.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { dialsUnderWay, SocketDialer } from '../../proxy/net/dial.ts'
import type { DialTarget } from '../../proxy/net/dialing.ts'
import { listening } from '../support/upstream.ts'

let now = 0
const clock = new Clock(
  () => now,
  () => now,
)
const wheel = new TimerWheel(clock)
const dialer = new SocketDialer(wheel)

function target(port: number, parts: Partial<DialTarget> = {}): DialTarget {
  const address = { address: '127.0.0.1', port }
  return { address, timeoutMs: 10_000, keepalive: undefined, sourceAddress: undefined, ...parts }
}

function dial(to: DialTarget): Promise<Connection | ProxyError> {
  return new Promise((done) => {
    dialer.dial(to, {
      onConnected(connection) {
        connection.receiveWith({ onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} })
        done(connection)
      },
      onDialFailed: done,
    })
  })
}

test('a dial binds the source address it is given', async (t) => {
  const server = createServer()
  const port = await listening(server)
  const accepted = new Promise<string | undefined>((done) =>
    server.once('connection', (socket) => done(socket.remoteAddress)),
  )
  const connection = (await dial(target(port, { sourceAddress: '127.0.0.6' }))) as Connection
  t.equal(await accepted, '127.0.0.6')
  t.equal(connection.local.address, '127.0.0.6')
  connection.destroy()
  server.close()
  t.equal(dialsUnderWay.count, 0)
})

test('a refused dial is a retryable failure that names the place and the reason', async (t) => {
  const server = createServer()
  const port = await listening(server)
  await new Promise((done) => server.close(done))
  const error = (await dial(target(port))) as ProxyError
  t.equal(error.code, 'connection_failure')
  t.equal(error.retryable, true)
  t.equal(
    error.message,
    `cannot connect to 127.0.0.1:${port}: connection refused (nothing listens there), ECONNREFUSED`,
  )
  t.equal(wheel.size, 0)
})

test('a dial that takes too long is a timeout, and one that was cancelled says nothing', async (t) => {
  const server = createServer()
  const port = await listening(server)
  // The deadline passes before this turn ends, in which no handshake can be seen.
  const late = new Promise<ProxyError>((done) =>
    dialer.dial(target(port, { timeoutMs: 50 }), {
      onConnected: () => t.fail('the deadline was before'),
      onDialFailed: done,
    }),
  )
  now += 60
  clock.refresh()
  wheel.sweep()
  const error = await late
  t.equal(error.code, 'connection_timeout')
  t.equal(error.message, `no connection to 127.0.0.1:${port} within 50 ms`)
  const cancelled = dialer.dial(target(port), {
    onConnected: () => t.fail('it was cancelled'),
    onDialFailed: () => t.fail('it was cancelled'),
  })
  cancelled.cancel()
  await new Promise((done) => setImmediate(done))
  t.equal(dialsUnderWay.count, 0)
  server.close()
})

test('unix sockets are dialed by path', async (t) => {
  const path = join(tmpdir(), `outrider-dial-${process.pid}`)
  const server = createServer((socket) => socket.end())
  await new Promise<void>((done) => server.listen(path, done))
  const connection = (await dial(target(0, { address: { address: path, port: 0 } }))) as Connection
  t.equal(typeof connection.write, 'function')
  connection.destroy()
  server.close()
})

test('keep-alive probes are as the rule says', async (t) => {
  if (spawnSync('ss', ['-V']).status !== 0) {
    t.plan(0, 'ss (package iproute2) is not installed')
    return
  }
  const server = createServer()
  const port = await listening(server)
  const keepalive = { timeMs: 77_000, intervalMs: 5_000, probes: 3 }
  const connection = (await dial(target(port, { keepalive }))) as Connection
  const { stdout } = spawnSync('ss', ['-tno', 'dst', `127.0.0.1:${port}`], { encoding: 'utf8' })
  t.match(stdout, /timer:\(keepalive,1min1[67]sec,0\)/)
  connection.destroy()
  server.close()
})
