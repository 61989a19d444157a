import { test } from 'tap'
import { load } from '../../config/load.ts'
import { Sidecar, serviceYaml } from '../support/sidecar.ts'
import { ask, Upstream } from '../support/upstream.ts'

const mesh = (a: number, b: number, share: number, key: string): string =>
  `${serviceYaml('a', [a])}${serviceYaml('b', [b])}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, annotations: { outrider.dev/sticky-weights: "${key}" } }
spec:
  hosts: [a]
  http:
    - route:
        - { destination: { host: a }, weight: ${100 - share} }
        - { destination: { host: b }, weight: ${share} }
`

test('callers keep their destination, and only the extra share moves when weights change', async (t) => {
  await using a = await Upstream.start((_, reply) => reply.end('a'))
  await using b = await Upstream.start((_, reply) => reply.end('b'))
  const yaml = (share: number, key: string) => mesh(a.port, b.port, share, key)
  await using sidecar = await Sidecar.start({ yaml: yaml(20, 'header:X-User') })
  const users = Array.from({ length: 60 }, (_, i) => `u${i}`)
  const seen = async (headers: (user: string) => Record<string, string>): Promise<string> => {
    let row = ''
    for (const user of users)
      row += (await ask(sidecar.port, { headers: { host: 'a', ...headers(user) } })).body
    return row
  }
  const byHeader = (user: string) => ({ 'x-user': user })
  const before = await seen(byHeader)
  t.match(before, /a.*b|b.*a/, 'both are in use')
  t.equal(await seen(byHeader), before, 'the same again')
  sidecar.reload(yaml(50, 'header:X-User'))
  const after = await seen(byHeader)
  t.not(after, before)
  t.ok(
    [...before].every((one, i) => one === 'a' || after[i] === 'b'),
    'nobody left b',
  )
  sidecar.reload(yaml(50, 'cookie:user'))
  t.equal(
    await seen((user) => ({ cookie: `x=1; user=${user}` })),
    after,
    'whatever carries the text',
  )
  t.not(await seen(byHeader), await seen(byHeader), 'without it each request is drawn')
})

test('a key that is none is told with its line', async (t) => {
  for (const key of ['header:', 'x-user', 'cookie:a b', 'session']) {
    const { problems } = load([{ path: 'f.yaml', text: mesh(1, 2, 5, key) }])
    const told = problems.filter(({ code }) => code === 'OUT-ANNOTATION')
    t.match(told, [{ severity: 'warning', message: /neither header:NAME, cookie:NAME/ }], key)
  }
})
