import { test } from 'tap'
import { flagNames } from '../../proxy/telemetry/exchange-record.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const rules = (port: number): string => `${serviceYaml('web', [port])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web }
spec:
  hosts: [web]
  http:
    - match: [{ headers: { x-word: { regex: "[a-z]+[0-9]" } } }]
      route: [{ destination: { host: web } }]
    - match: [{ uri: { prefix: /rewritten } }]
      route: [{ destination: { host: web } }]
      rewrite: { uriRegexRewrite: { match: "(.*a.{200})+b", rewrite: "\\\\1" } }
    - match: [{ uri: { regex: "/.*a.{300}b" } }]
      directResponse: { status: 403 }
    - route: [{ destination: { host: web } }]
`

test('a path that an expression cannot judge within its bound is refused, and says why', async (t) => {
  await using web = await Upstream.start((_, reply) => reply.end('web'))
  await using sidecar = await Sidecar.start({ yaml: rules(web.port) })
  let seed = 1
  const hostile = Array.from({ length: 50_000 }, () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >> 16) & 1 ? 'a' : 'b'
  }).join('')
  const ask1 = (path: string) => ask(sidecar.port, { path, headers: { host: 'web' } })
  t.equal((await ask1(`/a${'x'.repeat(300)}b`)).status, 403, 'the rule works')
  t.equal((await ask1('/abc')).body, 'web')
  for (const path of [`/${hostile}`, `/rewritten/${hostile}`]) {
    const reply = await ask1(path)
    t.equal(reply.status, 400)
    t.match(
      reply.body,
      /holding this request against the expression ".*a\.\{\d+\}.*" takes more work/i,
    )
  }
  t.equal((await ask1('/abc')).body, 'web', 'the next request has a fresh allowance')
  await sidecar.recorded(5)
  const refused = sidecar.exchanges[2]!
  t.equal(refused.details, 'regex_work_exceeded')
  t.equal(flagNames(refused.flags), 'DPE')
  t.equal(refused.origin?.name, 'web')
  t.equal(web.requests.length, 2)
})
