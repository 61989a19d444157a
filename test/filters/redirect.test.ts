import t from 'tap'
import type { RedirectSpec, StringMatchSpec } from '../../config/snapshot.ts'
import { Redirect } from '../../proxy/filters/redirect.ts'
import { MatchedPath } from '../../proxy/filters/rewrite.ts'
import { noEdits, request, text } from '../routing/support.ts'

interface Asked {
  readonly host?: string
  readonly target?: string
  readonly scheme?: string
  readonly uri?: StringMatchSpec
}

function location(spec: Partial<RedirectSpec>, asked: Asked = {}): string {
  const whole: RedirectSpec = {
    kind: 'redirect',
    status: 301,
    uri: undefined,
    prefixRewrite: undefined,
    authority: undefined,
    scheme: undefined,
    port: undefined,
    headers: noEdits,
    ...spec,
  }
  const redirect = new Redirect(whole, new MatchedPath(asked.uri), 9080)
  const { target = '/here?q=1', host = 'Shop' } = asked
  return redirect.location(request('GET', target, [['host', host]]), asked.scheme ?? 'http')
}

t.test('the query is kept unless the new uri brings its own', async (t) => {
  t.equal(location({ uri: '/there' }), 'http://Shop/there?q=1')
  t.equal(location({ uri: '/there?own' }), 'http://Shop/there?own')
  t.equal(location({ uri: '/there' }, { target: '/here' }), 'http://Shop/there')
  t.equal(location({ authority: 'b' }), 'http://b/here?q=1')
})

t.test('a prefix rewrite replaces what the prefix matched', async (t) => {
  const asked = { uri: text('prefix', '/old/'), target: '/old/x?y' }
  t.equal(location({ prefixRewrite: '/new/' }, asked), 'http://Shop/new/x?y')
})

t.test('ports: replaced, derived, and never written when the scheme implies them', async (t) => {
  const from = { host: 'shop:9999', target: '/' }
  t.equal(location({ scheme: 'https' }, from), 'https://shop:9999/')
  t.equal(location({ port: 8443, scheme: 'https' }, from), 'https://shop:8443/')
  t.equal(location({ port: 443, scheme: 'https' }, from), 'https://shop/')
  t.equal(location({ port: 80 }, from), 'http://shop/')
  t.equal(location({ port: 'FROM_REQUEST_PORT' }, from), 'http://shop:9080/')
  t.equal(location({ port: 'FROM_PROTOCOL_DEFAULT', uri: '/x' }, from), 'http://shop:9999/x')
  t.equal(location({ uri: '/x' }, { host: 'shop:80', target: '/' }), 'http://shop/x')
  t.equal(location({ scheme: 'https' }, { host: 'shop:80', target: '/' }), 'https://shop/')
  t.equal(
    location({ scheme: 'http' }, { host: 'shop:443', target: '/', scheme: 'https' }),
    'http://shop/',
  )
  t.equal(location({ authority: 'b:81', port: 82 }, from), 'http://b:81:82/', 'as Envoy glues them')
})

t.test('IPv6 hosts keep their brackets', async (t) => {
  t.equal(location({ port: 81 }, { host: '[::1]:9080', target: '/' }), 'http://[::1]:81/')
  t.equal(location({ port: 81 }, { host: '[::1]', target: '/' }), 'http://[::1]:81/')
})
