/** Expectations are what Envoy 1.x answered to the same requests with the configuration Istio makes of these rules. */
import t from 'tap'
import { load } from '../../config/load.ts'
import { Flag } from '../../proxy/telemetry/exchange-record.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, type Reply, Upstream } from '../support/upstream.ts'

const rules = (
  port: number,
  dead: number,
): string => `${serviceYaml('web', [port])}${serviceYaml('dead', [dead])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ uri: { prefix: /star } }]
      route: [{ destination: { host: web } }]
      corsPolicy: { allowOrigins: [{ exact: "*" }], allowMethods: ["*"], allowHeaders: ["*"], exposeHeaders: ["*"] }
    - match: [{ uri: { prefix: /ignore } }]
      route: [{ destination: { host: web } }]
      corsPolicy: &named
        allowOrigins: [{ exact: http://a.test }, { prefix: http://b. }, { regex: "https?://c[0-9]+[.]test" }]
        allowMethods: [GET, POST]
        allowHeaders: [x-a, x-b]
        exposeHeaders: [x-e]
        maxAge: 600s
        allowCredentials: true
        unmatchedPreflights: IGNORE
    - match: [{ uri: { prefix: /down } }]
      route: [{ destination: { host: dead } }]
      corsPolicy: { allowOrigins: [{ exact: http://a.test }], allowCredentials: true, exposeHeaders: [x-e] }
    - match: [{ uri: { prefix: /old } }]
      route: [{ destination: { host: web } }]
      corsPolicy: { allowOrigin: [http://a.test], allowMethods: [GET] }
    - match: [{ uri: { prefix: /none } }]
      route: [{ destination: { host: web } }]
      corsPolicy: { allowMethods: [GET] }
    - name: all
      route: [{ destination: { host: web } }]
      headers: { request: { remove: [origin] }, response: { set: { x-edit: "1", access-control-allow-origin: edited } } }
      corsPolicy:
        allowOrigins: [{ exact: http://a.test }, { prefix: http://b. }, { regex: "https?://c[0-9]+[.]test" }]
        allowMethods: [GET, POST]
        allowHeaders: [x-a, x-b]
        exposeHeaders: [x-e]
        maxAge: 600s
        allowCredentials: true
`

async function mesh(): Promise<{ sidecar: Sidecar; upstream: Upstream } & AsyncDisposable> {
  const upstream = await Upstream.start((_, reply) => {
    reply.setHeader('access-control-allow-origin', 'http://up')
    reply.setHeader('access-control-expose-headers', 'up-e')
    reply.end('ok')
  })
  const gone = await Upstream.start(() => undefined)
  const dead = gone.port
  await gone[Symbol.asyncDispose]()
  const yaml = rules(upstream.port, dead)
  const sidecar = await Sidecar.start({ yaml })
  return {
    sidecar,
    upstream,
    async [Symbol.asyncDispose]() {
      await sidecar[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

const preflight = {
  'access-control-request-method': 'PUT',
  'access-control-request-headers': 'x-q,x-r',
}

/** `access-control-` fields and x-edit of a reply. */
function told({ headers }: Reply): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith('access-control-') || name === 'x-edit')
      .map(([name, value]) => [name.replace('access-control-', ''), value]),
  )
}

t.test(
  'preflights of allowed origins are answered here, without edits, whatever method they ask for',
  async (t) => {
    await using live = await mesh()
    const asked = (path: string, origin: string, more: object = preflight) =>
      ask(live.sidecar.port, { method: 'OPTIONS', path, headers: { host: 'web', origin, ...more } })
    for (const origin of ['http://a.test', 'http://b.any', 'https://c12.test']) {
      const reply = await asked('/', origin)
      t.equal(reply.status, 200)
      t.equal(reply.body, '')
      t.same(told(reply), {
        'allow-origin': origin,
        'allow-credentials': 'true',
        'allow-methods': 'GET,POST',
        'allow-headers': 'x-a,x-b',
        'max-age': '600',
        'expose-headers': 'x-e',
      })
    }
    t.same(told(await asked('/star', 'http://z.test')), {
      'allow-origin': 'http://z.test',
      'allow-methods': 'PUT',
      'allow-headers': 'x-q,x-r',
      'expose-headers': '*',
    })
    t.same(
      told(await asked('/star', 'http://z.test', { 'access-control-request-method': 'PUT' })),
      {
        'allow-origin': 'http://z.test',
        'allow-methods': 'PUT',
        'expose-headers': '*',
      },
    )
    t.same(told(await asked('/old', 'http://a.test')), {
      'allow-origin': 'http://a.test',
      'allow-methods': 'GET',
    })
    t.equal(live.upstream.requests.length, 0, 'nothing was sent on')
    await live.sidecar.recorded(6)
    t.match(live.sidecar.exchanges[0], {
      status: 200,
      flags: 0,
      details: 'cors_response',
      routeName: 'all',
      cluster: 'outbound|80||web.default.svc.cluster.local',
      attempts: 0,
    })
  },
)

t.test(
  'preflights of other origins are sent on, or answered without allowing anything',
  async (t) => {
    await using live = await mesh()
    const asked = (path: string, headers: object) =>
      ask(live.sidecar.port, { method: 'OPTIONS', path, headers: { host: 'web', ...headers } })
    for (const origin of [
      'http://z.test',
      'http://a.test.evil',
      'xhttp://a.test',
      'https://c1xtest',
    ]) {
      const reply = await asked('/', { origin, ...preflight })
      t.equal(reply.body, 'ok', origin)
      t.match(told(reply), { 'allow-origin': 'edited', 'expose-headers': 'up-e', 'x-edit': '1' })
    }
    t.equal(
      (await asked('/none', { origin: 'http://a.test', ...preflight })).body,
      'ok',
      'no origin is allowed',
    )
    t.equal((await asked('/', { origin: '', ...preflight })).body, 'ok', 'an empty Origin is none')
    const simple = { origin: 'http://a.test' }
    t.equal(
      (await asked('/', simple)).body,
      'ok',
      'OPTIONS that asks for no method is no preflight',
    )
    const sent = live.upstream.requests.length
    const ignored = await asked('/ignore', { origin: 'http://z.test', ...preflight })
    t.equal(ignored.status, 200)
    t.same(told(ignored), {
      'allow-credentials': 'true',
      'allow-methods': 'GET,POST',
      'allow-headers': 'x-a,x-b',
      'max-age': '600',
    })
    t.equal(live.upstream.requests.length, sent)
  },
)

t.test(
  'replies to allowed origins say so over what upstream and rule say; others stay as they are',
  async (t) => {
    await using live = await mesh()
    const asked = (path: string, origin?: string) =>
      ask(live.sidecar.port, {
        path,
        headers: { host: 'web', ...(origin === undefined ? {} : { origin }) },
      })
    t.same(told(await asked('/', 'http://a.test')), {
      'allow-origin': 'http://a.test',
      'allow-credentials': 'true',
      'expose-headers': 'x-e',
      'x-edit': '1',
    })
    t.equal(
      live.upstream.requests[0]?.headers.origin,
      undefined,
      'although the rule removes Origin',
    )
    for (const origin of ['http://z.test', undefined])
      t.same(told(await asked('/', origin)), {
        'allow-origin': 'edited',
        'expose-headers': 'up-e',
        'x-edit': '1',
      })
    const down = await asked('/down', 'http://a.test')
    t.equal(down.status, 503)
    t.same(
      told(down),
      { 'allow-origin': 'http://a.test', 'allow-credentials': 'true', 'expose-headers': 'x-e' },
      'the proxy’s own replies too',
    )
    await live.sidecar.recorded(4)
    t.equal(live.sidecar.exchanges[3]!.flags & Flag.UF, Flag.UF)
  },
)

t.test('a policy that can do nothing is told with its line', async (t) => {
  const problems = (http: string): string[] =>
    load([
      {
        path: 'v.yaml',
        text: `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: default }
spec:
  hosts: [web]
  http:
${http}`,
      },
    ])
      .problems.filter(({ message }) => message.includes('corsPolicy'))
      .map(({ severity, line, message }) => `${severity} ${line} ${message}`)
  t.same(
    problems(
      '    - route: [{ destination: { host: web } }]\n      corsPolicy: { allowMethods: [GET] }',
    ),
    ['warning 8 spec.http[0].corsPolicy: allows no origin: it changes nothing for browsers'],
  )
  t.same(
    problems('    - redirect: { uri: /x }\n      corsPolicy: { allowOrigins: [{ exact: a }] }'),
    ['warning 8 spec.http[0].corsPolicy: has no effect on a redirect, in Istio neither'],
  )
})
