import { test } from 'tap'
import { partyValues } from '../../proxy/telemetry/parties.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

test('requests of a match block with a statPrefix are counted on their own, by status', async (t) => {
  await using web = await Upstream.start(({ url }, reply) =>
    reply.writeHead(url === '/api/no' ? 404 : 200).end(),
  )
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ uri: { prefix: /api }, statPrefix: api }, { uri: { exact: /other } }]
      route: [{ destination: { host: web } }]
    - match: [{ uri: { prefix: /made }, statPrefix: made }]
      directResponse: { status: 503 }
    - route: [{ destination: { host: web } }]
`,
  })
  for (const path of ['/api', '/api/x', '/api/no', '/other', '/', '/made'])
    await ask(sidecar.port, { path, headers: { host: 'web' } })
  await sidecar.recorded(6)
  const counted = (prefix: string, kind: string) => sidecar.value('routeRequests', [prefix, kind])
  t.equal(counted('api', '2xx'), 2)
  t.equal(counted('api', '4xx'), 1)
  t.equal(counted('made', '5xx'), 1)
})

test('what a filter answers is counted for the service it was meant for', async (t) => {
  await using web = await Upstream.start((_, reply) => reply.end())
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [web.port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ uri: { prefix: /fault } }]
      fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }
      route: [{ destination: { host: web } }]
    - corsPolicy: { allowOrigins: [{ exact: https://a }] }
      route: [{ destination: { host: web } }]
`,
  })
  await ask(sidecar.port, { path: '/fault', headers: { host: 'web' } })
  const preflight = { host: 'web', origin: 'https://a', 'access-control-request-method': 'GET' }
  await ask(sidecar.port, { method: 'OPTIONS', path: '/cors', headers: preflight })
  await sidecar.recorded(2)
  const counted = (status: string, flags: string) => {
    const cluster = sidecar.runtime.snapshot!.clusters.get(
      'outbound|80||web.default.svc.cluster.local',
    )!
    const parties = partyValues('outbound', sidecar.runtime.snapshot!.workload, cluster, undefined)
    return sidecar.value('requests', [...parties, 'http', status, '', flags])
  }
  t.equal(counted('418', 'FI'), 1)
  t.equal(counted('200', '-'), 1)
})

test('a reply that can have no body counts no bytes of one', async (t) => {
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', [9])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http: [{ directResponse: { status: 204, body: { string: xx } } }]
`,
  })
  const reply = await ask(sidecar.port, { headers: { host: 'web' } })
  t.equal(reply.status, 204)
  t.equal(reply.headers['content-type'], undefined)
  await sidecar.recorded(1)
  t.equal(sidecar.exchanges[0]!.responseBytes, 0)
})
