import { createServer } from 'node:net'
import t from 'tap'
import { load } from '../../config/load.ts'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { type Script, statuses, Upstreams } from '../peers/upstream.ts'
import { Sidecar } from '../support/sidecar.ts'
import { ask, listening } from '../support/upstream.ts'

const own = '127.0.80.1'
const mesh = (policy: string) =>
  policy === '' ? '' : `kind: MeshConfig\ndefaultInboundHttpRetryPolicy: ${policy}\n---\n`
const service = (port: number, name: string) => `apiVersion: v1
kind: Service
metadata: { name: me, namespace: default }
spec: { selector: { app: me }, ports: [{ name: ${name}, port: 80, targetPort: ${port} }] }
---
apiVersion: v1
kind: Pod
metadata: { name: me-1, namespace: default, labels: { app: me } }
spec: {}
status: { phase: Running, podIP: ${own} }
`

async function inbound(policy: string, script: Script, name = 'http') {
  const upstreams = new Upstreams()
  const appPort = await upstreams.add('app', script)
  const server = createServer()
  const port = await listening(server, own)
  await new Promise((done) => server.close(done))
  await using sidecar = await Sidecar.start({
    yaml: mesh(policy) + service(port, name),
    labels: { app: 'me' },
    addresses: [own],
    app: { address: '127.0.0.1', port: appPort },
  })
  // Through the outbound side, which does not repeat statuses, and then through the inbound one.
  const { status } = await ask(sidecar.port, { headers: { host: 'me' } })
  await sidecar.recorded(2)
  upstreams.close()
  const record = sidecar.exchanges.find(({ direction }) => direction === 'inbound')
  return { status, attempts: upstreams.seen.length, flags: flagNames(record?.flags ?? 0) }
}

t.test(
  'requests to the application are repeated where defaultInboundHttpRetryPolicy says so',
  async (t) => {
    t.match(await inbound('', statuses(503, 200)), { status: 503, attempts: 1, flags: '-' })
    const policy = '{ attempts: 2, retryOn: "503", backoff: 1ms }'
    t.match(await inbound(policy, statuses(503, 503, 200)), { status: 200, attempts: 3 })
    t.match(await inbound(policy, statuses(503)), { status: 503, attempts: 3, flags: 'URX' })
    t.match(await inbound('{ attempts: 0 }', statuses(503)), { status: 503, attempts: 1 })
    t.match(
      await inbound('{ attempts: 2 }', statuses(503, 200)),
      { attempts: 1 },
      'only before a request',
    )
  },
)

t.test('what has no meaning there is told', async (t) => {
  const text = mesh('{ attempts: 2, retryOn: 5xx, perTryTimeout: 1s, retryRemoteLocalities: true }')
  const told = load([{ path: 'f.yaml', text: text + service(80, 'http') }]).problems
  const messages = told.map(({ message }) => message).filter((one) => one.includes('Inbound'))
  t.match(messages, [
    /perTryTimeout: has no effect on requests/,
    /retryRemoteLocalities: has no effect/,
  ])
})
