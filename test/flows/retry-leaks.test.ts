import { connect } from 'node:net'
import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { replayMemory } from '../../proxy/exchange/replay-buffer.ts'
import { type Script, Upstreams } from '../peers/upstream.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask } from '../support/upstream.ts'

/** Everything an endpoint can do wrong, by chance. */
function moody(random: Random): Script {
  const moods: readonly Script[] = [
    (call) => call.reply(200, 'fine'),
    (call) => call.reply(503, 'no'),
    (call) => call.reset(),
    (call) => void call.socket.end(),
    (call) => call.raw('nonsense\r\n\r\n'),
    (call) => call.raw('HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\nhalf'),
    (call) => call.raw('HTTP/1.1 200 Ok\r\ncontent-length: 9\r\n\r\nhalf'),
    () => undefined,
  ]
  return (call) => moods[random.below(moods.length)]!(call)
}

t.test('whatever endpoints, faults and clients do, nothing is held in the end', async (t) => {
  const random = new Random(4)
  const upstreams = new Upstreams()
  const ports = await Promise.all(['a', 'b', 'c'].map((name) => upstreams.add(name, moody(random))))
  await using sidecar = await Sidecar.start({
    yaml: `${serviceYaml('web', ports)}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
  annotations:
    outrider.dev/faults: 'refuse 5%; reset 2 5%; truncate 2 5%; slow 20/s 5%; abort 503 5%; delay 30ms 5%'
    outrider.dev/fault-placement: each-try
spec:
  hosts: [web]
  http:
  - route: [{ destination: { host: web } }]
    timeout: 400ms
    retries: { attempts: 3, perTryTimeout: 60ms, retryOn: 5xx, backoff: 2ms }
    fault: { delay: { fixedDelay: 20ms, percentage: { value: 20 } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: web }
spec:
  host: web
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 6 }, http: { maxRetries: 3, http1MaxPendingRequests: 8 } }
`,
  })
  const leave = (body: string) =>
    new Promise<void>((done) => {
      const head = `POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${body.length}\r\n\r\n`
      const socket = connect(sidecar.port, '127.0.0.1', () => socket.write(head + body.slice(1)))
      socket.on('error', () => undefined).on('close', () => done())
      setTimeout(() => socket.resetAndDestroy(), random.below(40))
    })
  const clients = Array.from({ length: 12 }, async () => {
    for (let i = 0; i < 10; i++) {
      const body = 'x'.repeat(random.below(3) * 30_000)
      if (random.below(6) === 0) await leave(body)
      else
        await ask(sidecar.port, { method: 'POST', headers: { host: 'web' }, body }).catch(
          () => undefined,
        )
    }
  })
  await Promise.all(clients)
  const { exchanges, wheel } = sidecar.runtime.services
  while (exchanges.size > 0) await new Promise((done) => setTimeout(done, 5))
  const cluster = sidecar.runtime.clusters.get('outbound|80||web.default.svc.cluster.local')!
  t.equal(replayMemory.bytes, 0)
  t.equal(cluster.limits.retries.own, 0)
  while (cluster.limits.requests.own > 0) await new Promise((done) => setTimeout(done, 5))
  t.equal(cluster.limits.pending.own, 0)
  t.equal(sidecar.exchanges.length > 60, true)
  t.ok(sidecar.exchanges.some(({ attempts }) => attempts > 1))
  upstreams.close()
  const { codecs } = sidecar.runtime.services
  while (codecs.size > 0 || cluster.held.connections > 0)
    await new Promise((done) => setTimeout(done, 5))
  t.ok(wheel.size <= 1, `${wheel.size} timers`)
})
