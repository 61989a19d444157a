import t from 'tap'
import type { RewriteSpec } from '../../config/snapshot.ts'
import { MatchedPath, Rewrite } from '../../proxy/filters/rewrite.ts'
import { request, text } from '../routing/support.ts'

const plain: RewriteSpec = { uri: undefined, uriRegex: undefined, authority: undefined }

t.test('a new uri replaces what the condition matched, as plain text', async (t) => {
  const prefix = (value: string, ignoreCase = false) => text('prefix', value, { ignoreCase })
  const cases = [
    [prefix('/strip'), '/', '/strip/deep', '//deep'],
    [prefix('/b/'), '/c', '/b/z', '/cz'],
    [prefix('/API', true), '/v2', '/api/x?q=/api', '/v2/x?q=/api'],
    [prefix(''), '/c', '/x', '/c/x'],
    [text('exact', '/a'), '/b', '/a?q=1', '/b?q=1'],
    [text('regex', '/a.*'), '/b', '/abc?q', '/b?q'],
    [undefined, '/hdrany/', '/thing', '/hdrany/thing'],
    [undefined, '/x', '/thing?q', '/xthing?q'],
  ] as const
  for (const [uri, to, target, wanted] of cases) {
    const rewrite = new Rewrite({ ...plain, uri: to }, new MatchedPath(uri))
    t.equal(rewrite.target(target), wanted, `${target} to ${to}`)
  }
})

t.test('a pattern replaces every hit in the path only', async (t) => {
  const cases = [
    ['/a', '/b', '/a/a?x=/a', '/b/b?x=/a'],
    ['/(\\w+)/(\\w+)', '/\\2/\\1', '/one/two/three/four', '/two/one/four/three'],
    ['x', '[\\0]', '/xx', '/[x][x]'],
    ['.*', '/all', '/any/thing', '/all'],
    ['x*', '-', '/axb', '-/-a-b-'],
    ['/a(b)?', '/\\1c', '/a', '/c'],
    ['a', '\\\\$1', '/a', '/\\$1'],
  ] as const
  for (const [match, to, target, wanted] of cases) {
    const rewrite = new Rewrite(
      { ...plain, uriRegex: { match, rewrite: to } },
      new MatchedPath(undefined),
    )
    t.equal(rewrite.target(target), wanted, `${match} to ${to}`)
  }
})

t.test('upstream is told what path and host were before', async (t) => {
  const head = request('GET', '/a?q', [['Host', 'shop']])
  const spec = { ...plain, uri: '/b', authority: 'other' }
  new Rewrite(spec, new MatchedPath(text('exact', '/a'))).apply(head)
  t.equal(head.target, '/b?q')
  t.equal(head.authority, 'other')
  t.equal(head.headers.get('host'), 'other')
  t.equal(head.headers.get('x-envoy-original-path'), '/a?q')
  t.equal(head.headers.get('x-envoy-original-host'), 'shop')
})

t.test('the original path is told even when the pattern hit nothing', async (t) => {
  const head = request('GET', '/a', [['host', 'shop']])
  const uriRegex = { match: 'zzz', rewrite: 'y' }
  new Rewrite({ ...plain, uriRegex }, new MatchedPath(undefined)).apply(head)
  t.equal(head.headers.get('x-envoy-original-path'), '/a')
  t.notOk(head.headers.has('x-envoy-original-host'))
})

t.test("the rewrite's authority goes before that of header operations", async (t) => {
  const authorityAfter = (spec: RewriteSpec | undefined): string => {
    const head = request('GET', '/', [['host', 'shop']])
    new Rewrite(spec, new MatchedPath(undefined), 'by-header').apply(head)
    return head.authority
  }
  t.equal(authorityAfter({ ...plain, authority: 'by-rewrite' }), 'by-rewrite')
  t.equal(authorityAfter(undefined), 'by-header')
})
