import { test } from 'tap'
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
