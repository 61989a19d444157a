import t from 'tap'
import {
  setAttemptCount,
  setExpectedTimeout,
  setForwarded,
  stripClientControls,
} from '../../proxy/http/forwarded.ts'
import { headersOf, listed } from '../filters/support.ts'
import { request } from '../routing/support.ts'

t.test('a request without id gets a random UUID, one with an id keeps it', async (t) => {
  const [first, second] = [request('GET', '/'), request('GET', '/')]
  const id = setForwarded(first)
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(first.headers.get('x-request-id'), id)
  t.not(setForwarded(second), id)
  t.equal(setForwarded(request('GET', '/', [['X-Request-Id', 'mine']])), 'mine')
  const empty = request('GET', '/', [['x-request-id', '']])
  t.equal(empty.headers.all('x-request-id').length, 1)
  t.ok(setForwarded(empty))
})

t.test('x-forwarded-proto is set where absent, x-forwarded-for never', async (t) => {
  const fresh = request('GET', '/')
  setForwarded(fresh)
  t.equal(fresh.headers.get('x-forwarded-proto'), 'http')
  t.notOk(fresh.headers.has('x-forwarded-for'))
  const known = request('GET', '/', [['x-forwarded-proto', 'gopher']])
  setForwarded(known)
  t.same(known.headers.all('x-forwarded-proto'), ['gopher'])
})

t.test("fields that steer the proxy are removed, Envoy's other ones pass", async (t) => {
  const headers = headersOf([
    ['X-Envoy-Retry-On', '5xx'],
    ['accept', 'a'],
    ['x-envoy-max-retries', '9'],
    ['x-envoy-original-path', '/p'],
    ['x-envoy-max-retries', '8'],
    ['x-envoy-upstream-rq-timeout-ms', '1'],
    ['x-envoy-peer-metadata', 'm'],
    ['x-envoy-internal', 'true'],
    ['X-Forwarded-Client-Cert', 'By=spiffe://a'],
    ['x-forwarded-client-name', 'n'],
    ['x-elsewhere', 'e'],
    ['x-envoy-max-retries', '7'],
  ])
  stripClientControls(headers, false)
  t.same(listed(headers), [
    'accept: a',
    'x-envoy-original-path: /p',
    'x-envoy-peer-metadata: m',
    'x-forwarded-client-name: n',
    'x-elsewhere: e',
  ])
})

t.test('how long the caller waits may be kept', async (t) => {
  const fields = [
    ['x-envoy-expected-rq-timeout-ms', '80'],
    ['x-envoy-retry-on', '5xx'],
  ] as const
  const [kept, dropped] = [headersOf(fields), headersOf(fields)]
  stripClientControls(kept, true)
  stripClientControls(dropped, false)
  t.same(listed(kept), ['x-envoy-expected-rq-timeout-ms: 80'])
  t.same(listed(dropped), [])
})

t.test('attempt count and timeout overwrite what a client said', async (t) => {
  const headers = headersOf([['X-Envoy-Attempt-Count', '7']])
  setAttemptCount(headers, 2)
  setExpectedTimeout(headers, 499.9)
  t.equal(headers.get('x-envoy-attempt-count'), '2')
  t.equal(headers.get('x-envoy-expected-rq-timeout-ms'), '499')
  t.equal(headers.length, 2)
})
