import t from 'tap'
import type { RetrySpec } from '../../config/snapshot.ts'
import { ErrorCode, ProxyError, Side } from '../../proxy/base/errors.ts'
import { Random } from '../../proxy/base/random.ts'
import { RetryPolicy } from '../../proxy/exchange/retry.ts'
import { retryAfterMs } from '../../proxy/exchange/retry-after.ts'
import { ResponseHead } from '../../proxy/http/head.ts'
import { Headers } from '../../proxy/http/headers.ts'

const policy = (parts: Partial<RetrySpec>) =>
  new RetryPolicy({
    attempts: 2,
    perTryTimeoutMs: undefined,
    retryOn: [],
    statusCodes: [],
    backoffMs: 25,
    ignorePreviousHosts: true,
    remoteLocalities: false,
    origin: undefined,
    ...parts,
  })

const reply = (status: number, fields: Record<string, string> = {}) => {
  const headers = new Headers()
  for (const [name, value] of Object.entries(fields)) headers.append(name, value)
  return new ResponseHead(status, '', 11, headers)
}

t.test('backoff: full jitter below a bound that doubles up to ten times the base', async (t) => {
  const random = new Random(11)
  const paced = policy({ backoffMs: 40 })
  const bound = (retry: number, afterMs?: number) => {
    const waits = Array.from({ length: 2000 }, () => paced.backoffMs(retry, afterMs, random))
    const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length
    return { least: Math.min(...waits), most: Math.max(...waits), mean }
  }
  for (const [retry, most] of [40, 80, 160, 320, 400, 400].entries()) {
    const found = bound(retry)
    t.ok(found.most < most && found.most > most * 0.98, `${retry}: ${found.most}`)
    t.ok(found.least < most * 0.02)
    t.ok(Math.abs(found.mean - most / 2) < most * 0.04, 'evenly')
  }
  const asked = bound(0, 1000)
  t.ok(asked.least >= 1000 && asked.most < 1500, 'behind Retry-After, and spread')
  t.ok(bound(0, 0).most < 40, 'Retry-After: 0 is no wait of its own')
})

t.test('Retry-After: seconds or a date, and nothing else', async (t) => {
  const now = Date.UTC(2026, 0, 1)
  const of = (value: string) => retryAfterMs(reply(503, { 'Retry-After': value }), now)
  t.equal(of('7'), 7000)
  t.equal(of('0'), 0)
  t.equal(of('Thu, 01 Jan 2026 00:00:30 GMT'), 30_000)
  t.equal(of('Thu, 01 Jan 2015 00:00:30 GMT'), 0, 'past')
  for (const value of ['', '-1', '1.5', 'soon', '99999999999', '1 2'])
    t.equal(of(value), undefined, value)
  t.equal(retryAfterMs(reply(503), now), undefined)
})

t.test('a request body is kept only where a condition could need it again', async (t) => {
  const needs = (retryOn: string[], grpc = false, parts: Partial<RetrySpec> = {}) =>
    policy({ retryOn, ...parts }).needsReplay(grpc)
  const byDefault = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled']
  t.notOk(needs([...byDefault, 'retriable-status-codes']))
  t.ok(needs(byDefault, true), 'a gRPC status comes behind the body')
  t.notOk(needs(['connect-failure', 'reset-before-request'], true))
  for (const one of ['5xx', 'gateway-error', 'reset', 'retriable-4xx', 'envoy-ratelimited'])
    t.ok(needs([one]), one)
  t.ok(needs([], false, { statusCodes: [503] }))
  t.notOk(needs(['5xx'], true, { attempts: 0 }))
})

t.test('conditions that need a request to be unseen hold only then', async (t) => {
  const covers = (condition: string, code: ErrorCode, retryable: boolean) =>
    policy({ retryOn: [condition] }).coversFailure(
      new ProxyError(code, Side.Upstream, { retryable }),
    )
  t.ok(covers('reset-before-request', ErrorCode.UpstreamClosed, true))
  t.notOk(covers('reset-before-request', ErrorCode.UpstreamClosed, false))
  t.ok(covers('refused-stream', ErrorCode.UpstreamReset, true))
  t.notOk(covers('refused-stream', ErrorCode.UpstreamReset, false))
  t.ok(covers('reset', ErrorCode.UpstreamReset, false))
  for (const condition of ['5xx', 'reset', 'gateway-error', 'connect-failure'])
    t.notOk(covers(condition, ErrorCode.Overflow, true), `overflow is never retried: ${condition}`)
  t.notOk(covers('5xx', ErrorCode.ResponseTimeout, false), 'nor is the end of all time')
})

t.test('a rate-limited reply is repeated only where that is asked for', async (t) => {
  const limited = reply(503, { 'x-envoy-ratelimited': 'true' })
  t.notOk(policy({ retryOn: ['5xx'], statusCodes: [503] }).coversReply(limited))
  t.ok(policy({ retryOn: ['envoy-ratelimited'] }).coversReply(limited))
  t.notOk(policy({ retryOn: ['envoy-ratelimited'] }).coversReply(reply(503)))
})
