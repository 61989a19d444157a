/** The race between addresses of one name, over scripted dials and a clock of its own. */
import { createServer } from 'node:net'
import { type Test, test } from 'tap'
import { Clock } from '../../proxy/base/clock.ts'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import type { Address } from '../../proxy/net/address.ts'
import type { Connection } from '../../proxy/net/connection.ts'
import { dialsUnderWay, SocketDialer } from '../../proxy/net/dial.ts'
import { DialRace } from '../../proxy/net/dial-race.ts'
import type { Dialer, DialReceiver, DialTarget } from '../../proxy/net/dialing.ts'
import { listening } from '../support/upstream.ts'

const v4 = { address: '10.0.0.1', port: 80 }
const v4b = { address: '10.0.0.2', port: 80 }
const v6 = { address: 'fd00::1', port: 80 }

function world(first: Address, others: readonly Address[]) {
  let now = 0
  const clock = new Clock(
    () => now,
    () => now,
  )
  const wheel = new TimerWheel(clock)
  const dials: Array<{ address: string; receiver: DialReceiver; cancelled: boolean }> = []
  const dialer: Dialer = {
    dial(target, receiver) {
      const dial = { address: target.address.address, receiver, cancelled: false }
      dials.push(dial)
      return {
        cancel() {
          dial.cancelled = true
        },
      }
    },
  }
  const told: string[] = []
  const receiver: DialReceiver = {
    onConnected: (connection) =>
      told.push(`connected ${(connection as unknown as { n: string }).n}`),
    onDialFailed: (error) => told.push(`${error.code}: ${error.message}`),
  }
  const target = {
    address: first,
    timeoutMs: 1_000,
    keepalive: undefined,
    sourceAddress: undefined,
  }
  const race = new DialRace(target, others, receiver, dialer, wheel)
  race.start()
  return {
    dials,
    told,
    race,
    wheel,
    pass(ms: number) {
      for (let i = 0; i < ms; i += 10) {
        now += 10
        clock.refresh()
        wheel.sweep()
      }
    },
    tried: () => dials.map(({ address }) => address),
  }
}

const failure = (message: string, code: ErrorCode = ErrorCode.ConnectFailure): ProxyError =>
  new ProxyError(code, Side.Upstream, { message })
const connection = (n: string): Connection => ({ n }) as unknown as Connection

test('a slow address is overtaken by the other family after 250 ms, and the loser given up', async (t: Test) => {
  const w = world(v6, [{ ...v6, address: 'fd00::2' }, v4])
  w.pass(240)
  t.same(w.tried(), ['fd00::1'])
  w.pass(20)
  t.same(w.tried(), ['fd00::1', '10.0.0.1'], 'the families take turns')
  w.dials[1]!.receiver.onConnected(connection('v4'))
  t.same(w.told, ['connected v4'])
  t.equal(w.dials[0]?.cancelled, true)
  w.pass(1_000)
  t.equal(w.dials.length, 2, 'nobody else is called')
  t.equal(w.wheel.size, 0)
})

test('a failed address is followed at once, and only the last failure fails the race', async (t: Test) => {
  const w = world(v4, [v4b, v6])
  w.dials[0]!.receiver.onDialFailed(failure('one'))
  t.same(w.tried(), ['10.0.0.1', 'fd00::1'])
  w.dials[1]!.receiver.onDialFailed(failure('two', ErrorCode.ConnectTimeout))
  t.same(w.told, [])
  w.dials[2]!.receiver.onDialFailed(failure('three'))
  t.same(w.told, ['connection_failure: one; two; three'])
  t.equal(w.wheel.size, 0)
})

test('a race that nobody waits for ends all of its dials', async (t: Test) => {
  const w = world(v4, [v6])
  w.pass(300)
  w.race.cancel()
  t.ok(w.dials.every(({ cancelled }) => cancelled))
  w.pass(1_000)
  t.same(w.told, [])
  t.equal(w.wheel.size, 0)
})

test('over real sockets: a name whose first address refuses is reached by the next', async (t: Test) => {
  const server = createServer()
  const port = await listening(server)
  const clock = new Clock(
    () => 0,
    () => 0,
  )
  const target: DialTarget = {
    address: { address: '127.0.0.99', port },
    timeoutMs: 10_000,
    keepalive: undefined,
    sourceAddress: undefined,
    alternatives: () => [{ address: '127.0.0.1', port }],
  }
  const got = await new Promise<Connection | ProxyError>((done) => {
    new SocketDialer(new TimerWheel(clock)).dial(target, {
      onConnected(connection) {
        connection.receiveWith({ onBytes() {}, onEnd() {}, onClose() {}, onWritable() {} })
        done(connection)
      },
      onDialFailed: done,
    })
  })
  t.equal((got as Connection).remote.address, '127.0.0.1')
  t.equal(dialsUnderWay.count, 0)
  ;(got as Connection).destroy()
  server.close()
})
