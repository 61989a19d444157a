/** A server codec on a scripted connection, with a clock that the test moves. */
import { Clock } from '../../proxy/base/clock.ts'
import { TimerWheel } from '../../proxy/base/timer-wheel.ts'
import { type Http1ServerOptions, serverDefaults } from '../../proxy/http1/options.ts'
import { Http1ServerCodec } from '../../proxy/http1/server-codec.ts'
import { FakeConnection } from './fake-connection.ts'
import { RecordingServer, type ServedStream } from './recorders.ts'

export interface ServerRig {
  readonly connection: FakeConnection
  readonly server: RecordingServer
  readonly codec: Http1ServerCodec
  readonly wheel: TimerWheel
  /** Lets time pass; deadlines fire. */
  pass(ms: number): void
}

export function serverRig(
  onRequest?: (served: ServedStream) => void,
  options?: Partial<Http1ServerOptions>,
): ServerRig {
  const connection = new FakeConnection()
  const server = new RecordingServer(onRequest)
  let now = 1000
  const clock = new Clock(() => now)
  const wheel = new TimerWheel(clock, 10)
  const codec = new Http1ServerCodec(connection, server, {
    ...serverDefaults,
    clock,
    wheel,
    ...options,
  })
  codec.start()
  const pass = (ms: number): void => {
    now += ms
    clock.refresh()
    for (let i = 0; i < Math.ceil(ms / 5000) + 2; i++) wheel.sweep()
    connection.settle()
  }
  return { connection, server, codec, wheel, pass }
}

/** Reads the body and answers `ok` when the request is complete. */
export function answering(served: ServedStream): void {
  served.stream.body.flowInto(served.sink)
  const { onRequestEnd } = served
  served.onRequestEnd = () => {
    onRequestEnd.call(served)
    served.answer('ok')
  }
}

export const get = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n'
