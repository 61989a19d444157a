import t from 'tap'
import {
  acceptsTrailers,
  ConnectionOptions,
  keepAliveTimeoutMs,
  mayBeTrailer,
  mustNotNominate,
  removeNominated,
  upgradeToken,
} from '../../proxy/http/hop-headers.ts'
import { headersOf, lines } from '../support/recorders.ts'

t.test('Connection: known options are told, others nominate fields', async (t) => {
  const options = new ConnectionOptions()
  options.read('Keep-Alive, ,Upgrade ,X-A')
  options.read('close')
  options.read('TE, x-b')
  t.ok(options.close && options.keepAlive && options.upgrade)
  t.equal(options.count, 6)
  t.strictSame(options.nominated, ['x-a', 'x-b'])
  options.reset()
  options.read('keep-alive')
  t.strictSame([options.close, options.keepAlive, options.count], [false, true, 1])
  t.equal(options.nominated, undefined)
})

t.test('what must not be nominated', async (t) => {
  for (const name of [
    'host',
    ':path',
    'x-forwarded-for',
    'x-forwarded-client-cert',
    'forwarded',
    'x-envoy-internal',
  ])
    t.ok(mustNotNominate(name), name)
  for (const name of ['x-a', 'cookie', 'x-forward']) t.notOk(mustNotNominate(name), name)
})

t.test('nominated fields go, all of them', async (t) => {
  const headers = headersOf('X-A: 1', 'B: 2', 'x-a: 3')
  removeNominated(headers, ['x-a', 'x-none'])
  t.strictSame(lines(headers), ['B: 2'])
})

t.test('TE', async (t) => {
  for (const te of ['trailers', 'gzip, trailers', 'Trailers;q=1', 'a;b,TRAILERS ,c'])
    t.ok(acceptsTrailers(te), te)
  for (const te of ['', 'gzip', 'xtrailers', 'gzip;trailers']) t.notOk(acceptsTrailers(te), te)
})

t.test('trailers', async (t) => {
  for (const name of ['x-checksum', 'grpc-status', 'Server-Timing']) t.ok(mayBeTrailer(name), name)
  for (const name of [
    'Content-Length',
    'host',
    'Authorization',
    'set-cookie',
    'X-Forwarded-For',
    'Transfer-Encoding',
    'te',
    'via',
  ])
    t.notOk(mayBeTrailer(name), name)
})

t.test('upgrade tokens', async (t) => {
  t.equal(upgradeToken('WebSocket'), 'websocket')
  t.equal(upgradeToken('h2c, foo/2, bar'), 'foo/2')
  t.equal(upgradeToken('h2c,'), '')
})

t.test('Keep-Alive timeouts', async (t) => {
  const table: Array<[value: string, ms: number]> = [
    ['timeout=5', 5000],
    ['max=9, Timeout=10', 10_000],
    ['timeout = "3"', 3000],
    ['max=9', -1],
    ['xtimeout=4', -1],
    ['timeout=', -1],
  ]
  for (const [value, ms] of table) t.equal(keepAliveTimeoutMs(value), ms, value)
})
