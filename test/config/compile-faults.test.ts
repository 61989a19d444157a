import t from 'tap'
import { readFaults } from '../../config/fault-text.ts'
import { load } from '../../config/load.ts'
import type { ForwardSpec } from '../../config/snapshot.ts'
import { service, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80'] })
const rules = (fault: string, annotations: Record<string, string> = {}) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, annotations: ${JSON.stringify(annotations)} }
spec:
  hosts: [a]
  http:
  - name: one
    route: [{ destination: { host: a } }]
    ${fault === '' ? '' : `fault: ${fault}`}
`

function faultsOf(fault: string, annotations: Record<string, string> = {}) {
  const { snapshot } = viewOf(mesh + rules(fault, annotations))
  const host = snapshot.outbound.listeners
    .flatMap(({ http }) => http?.virtualHosts ?? [])
    .find(({ name }) => name.startsWith('a.'))
  return (host!.routes[0]!.action as ForwardSpec).faults
}

t.test('fixedDelay, httpStatus, grpcStatus, percentage and the deprecated percent', async (t) => {
  const both = `{ delay: { fixedDelay: 1.5s, percent: 7 },
      abort: { httpStatus: 503, percentage: { value: 0.25 } } }`
  t.match(faultsOf(both), {
    seed: undefined,
    beforeRetries: [
      { action: { kind: 'delay', ms: 1500 }, share: 0.07 },
      { action: { kind: 'abort', status: 503, grpcStatus: undefined }, share: 0.0025 },
    ],
    eachTry: [],
  })
  const delay = '{ delay: { fixedDelay: 1s, percent: 7, percentage: { value: 50 } } }'
  t.equal(faultsOf(delay)?.beforeRetries[0]?.share, 0.5, 'percentage counts before percent')
  const grpc = '{ abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }'
  t.same(faultsOf(grpc)?.beforeRetries[0]?.action, { kind: 'abort', status: 200, grpcStatus: 14 })
  t.match(faultsOf(grpc)?.beforeRetries[0]?.origin, { name: 'v' })
})

t.test('a share of nothing is no fault', async (t) => {
  for (const fault of [
    '',
    '{ abort: { httpStatus: 503 } }',
    '{ abort: { httpStatus: 503, percentage: {} } }',
    '{ abort: { httpStatus: 503, percentage: { value: 0 } } }',
    '{ abort: { percentage: { value: 10 } } }',
  ])
    t.equal(faultsOf(fault), undefined, fault)
})

t.test('exponentialDelay and http2Error are refused, as in Istio', async (t) => {
  const errorsOf = (fault: string) =>
    load([{ path: 'f.yaml', text: mesh + rules(fault) }])
      .problems.filter(({ severity }) => severity === 'error')
      .map(({ message }) => message)
  t.match(errorsOf('{ delay: { exponentialDelay: 1s } }').join(), /exponential delays do not exist/)
  t.match(errorsOf('{ abort: { http2Error: x } }').join(), /HTTP\/2 errors cannot be injected/)
})

t.test('annotations: more faults, their place, their seed', async (t) => {
  const text = 'delay 20ms 10%; one: refuse; other: abort 500\n reset 1KiB 0.5%'
  t.match(faultsOf('', { 'outrider.dev/faults': text, 'outrider.dev/fault-seed': '42' }), {
    seed: 42,
    beforeRetries: [{ action: { kind: 'delay', ms: 20 }, share: 0.1 }],
    eachTry: [
      { action: { kind: 'refuse' }, share: 1 },
      { action: { kind: 'reset', afterBytes: 1024 }, share: 0.005 },
    ],
  })
  const abort = '{ abort: { httpStatus: 503, percentage: { value: 5 } } }'
  t.match(faultsOf(abort, { 'outrider.dev/fault-placement': 'each-try' }), {
    beforeRetries: [],
    eachTry: [{ action: { kind: 'abort', status: 503 } }],
  })
})

t.test('the forms in which a fault can be written', async (t) => {
  for (const [text, action, share] of [
    ['delay 1.5s', { kind: 'delay', ms: 1500 }, 1],
    ['abort 404 10%', { kind: 'abort', status: 404, grpcStatus: undefined }, 0.1],
    ['abort NOT_FOUND', { kind: 'abort', status: 200, grpcStatus: 5 }, 1],
    ['refuse 0.001%', { kind: 'refuse' }, 0.00001],
    ['reset 0', { kind: 'reset', afterBytes: 0 }, 1],
    ['truncate 64KiB 2%', { kind: 'truncate', afterBytes: 65_536 }, 0.02],
    ['slow 10KB/s 50%', { kind: 'slow', bytesPerSecond: 10_000 }, 0.5],
  ] as const)
    t.same(readFaults(text), [{ rule: '', action, share }], text)
  for (const text of [
    '',
    ' ; ',
    'delay',
    'delay soon',
    'delay 0s',
    'abort 99',
    'abort 600',
    'abort WRONG',
    'refuse now',
    'reset',
    'reset -1',
    'slow 10',
    'slow 0/s',
    'abort 503 101%',
    'abort 503 0%',
    'explode',
  ])
    t.type(readFaults(text), 'string', JSON.stringify(text))
})

t.test('annotations that cannot be read are told', async (t) => {
  const told = (annotations: Record<string, string>) =>
    load([{ path: 'f.yaml', text: mesh + rules('', annotations) }])
      .problems.filter(({ code }) => code === 'OUT-ANNOTATION')
      .map(({ message }) => message)
      .join()
  t.match(told({ 'outrider.dev/faults': 'explode 5%' }), /"explode 5%" is no fault: write one of/)
  t.match(told({ 'outrider.dev/fault-placement': 'there' }), /neither before-retries nor each-try/)
  t.match(told({ 'outrider.dev/fault-seed': 'x' }), /"x" is no whole number/)
  t.match(
    told({ 'outrider.dev/faults': 'two: refuse' }),
    /no http rule with a route is named "two"/,
  )
  const redirecting = rules('', { 'outrider.dev/faults': 'refuse' }).replace(
    'route: [{ destination: { host: a } }]',
    'redirect: { uri: /b }',
  )
  const { problems } = load([{ path: 'f.yaml', text: mesh + redirecting }])
  t.ok(problems.some(({ message }) => /none of its http rules has a route/.test(message)))
  t.equal(told({ 'outrider.dev/faults': 'one: refuse 5%', 'outrider.dev/fault-seed': '0' }), '')
})
