/** What outlier detection decides holds in all workers of a proxy. */
import { Agent } from 'node:http'
import { test } from 'tap'
import { serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'
import { startWorkers } from '../support/workers.ts'

const web = { headers: { host: 'web' } }
const rules = (settings: string): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web, namespace: default }
spec: { host: web, trafficPolicy: { outlierDetection: ${settings} } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: default }
spec:
  hosts: [web]
  http: [{ route: [{ destination: { host: web } }], retries: { attempts: 0 } }]
`

test('errors in a row are counted over all workers, and all of them leave the endpoint out', async (t) => {
  let errors = 0
  await using bad = await Upstream.start((_, reply) => {
    errors++
    reply.statusCode = 503
    reply.end()
  })
  await using good = await Upstream.start((_, reply) => reply.end('ok'))
  const settings = '{ consecutive5xxErrors: 6, maxEjectionPercent: 50, baseEjectionTime: 60s }'
  const yaml = serviceYaml('web', [bad.port, good.port]) + rules(settings)
  await using mesh = await startWorkers(yaml, 3)
  const { outliers } = mesh.supervisor.sharing
  const clients = Array.from({ length: 18 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  // One at a time, on connections that the kernel spreads over the workers.
  for (let i = 0; outliers.status().length === 0; i++)
    await ask(mesh.outbound, { ...web, agent: clients[i % clients.length]! })
  t.equal(errors, 6)
  t.match(outliers.journal.entries, [{ action: 'ejected', endpoint: `127.0.0.1:${bad.port}` }])
  t.equal(mesh.log.count('warn outlier detection of outbound|80||web'), 1)
  for (const agent of clients)
    for (let i = 0; i < 4; i++) t.equal((await ask(mesh.outbound, { ...web, agent })).status, 200)
  const before = errors
  mesh.supervisor.seats[1]?.kill()
  await mesh.until(() => mesh.supervisor.seats[1]?.restarts === 1 && mesh.supervisor.settled)
  for (let i = 0; i < 40; i++) await ask(mesh.outbound, { ...web, agent: new Agent() })
  t.equal(errors, before, 'a new worker knows it from its beginning')
  for (const agent of clients) agent.destroy()
})
