import t from 'tap'
import { load } from '../../config/load.ts'
import { service, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80', 'more:81'] })
const rule = (policy: string, annotation = '') => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: r
  annotations: { ${annotation === '' ? '' : `outrider.dev/retry-budget: "${annotation}"`} }
spec: { host: a, ${policy} subsets: [{ name: v1 }, { name: v2, trafficPolicy: { retryBudget: { percent: 5 } } }] }
`

function budgetOf(yaml: string, port = 80, subset = '') {
  const name = `outbound|${port}|${subset}|a.default.svc.cluster.local`
  return viewOf(mesh + yaml).cluster(name)?.retryBudget
}

t.test('without a word retries that fail are bounded by a fifth of the requests', async (t) => {
  t.same(budgetOf(''), { kind: 'failing', percent: 20, perSecond: 10 })
  t.same(budgetOf(rule('')), { kind: 'failing', percent: 20, perSecond: 10 })
})

t.test('retryBudget with percent, minRetryConcurrency and budgetInterval', async (t) => {
  const full =
    'trafficPolicy: { retryBudget: { percent: 30.5, minRetryConcurrency: 7, budgetInterval: 2s } },'
  t.same(budgetOf(rule(full)), {
    kind: 'concurrent',
    percent: 30.5,
    minConcurrency: 7,
    intervalMs: 2000,
  })
  t.same(budgetOf(rule('trafficPolicy: { retryBudget: {} },')), {
    kind: 'concurrent',
    percent: 20,
    minConcurrency: 3,
    intervalMs: 0,
  })
})

t.test('a subset inherits the budget or has its own; port settings lose it', async (t) => {
  const policy = `trafficPolicy: { retryBudget: { percent: 30 }, portLevelSettings: [
    { port: { number: 81 }, loadBalancer: { simple: RANDOM } }] },`
  t.match(budgetOf(rule(policy), 80, 'v1'), { kind: 'concurrent', percent: 30 })
  t.match(budgetOf(rule(policy), 80, 'v2'), { kind: 'concurrent', percent: 5 })
  t.match(budgetOf(rule(policy), 81), { kind: 'failing' })
})

t.test(
  'the annotation outrider.dev/retry-budget changes the default or switches it off',
  async (t) => {
    t.same(budgetOf(rule('', 'off')), { kind: 'off' })
    t.same(budgetOf(rule('', '50%')), { kind: 'failing', percent: 50, perSecond: 10 })
    t.same(budgetOf(rule('', '0.5% 100/s')), { kind: 'failing', percent: 0.5, perSecond: 100 })
    t.match(budgetOf(rule('trafficPolicy: { retryBudget: {} },', 'off')), { kind: 'concurrent' })
  },
)

t.test('annotations nobody reads are told where they are written', async (t) => {
  const problemsOf = (text: string) =>
    load([{ path: 'f.yaml', text: mesh + text }]).problems.filter(
      ({ code }) => code === 'OUT-ANNOTATION',
    )
  t.same(problemsOf(rule('', 'off')), [])
  const [wrong] = problemsOf(rule('', 'none'))
  t.match(wrong?.message, /has no effect: "none" is neither off nor a share/)
  const text = mesh + rule('', 'none')
  t.equal(wrong?.line, text.split('\n').findIndex((line) => line.includes('annotations:')) + 1)
  const [unknown] = problemsOf(rule('', 'off').replace('retry-budget', 'retry-budgett'))
  t.match(unknown?.message, /there is no annotation outrider.dev\/retry-budgett/)
  t.match(unknown?.hint, /Did you mean "outrider.dev\/retry-budget"/)
  const onService = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, annotations: { outrider.dev/retry-budget: 'off' } }
spec: { hosts: [a], http: [{ route: [{ destination: { host: a } }] }] }
`
  t.match(
    problemsOf(onService)[0]?.message,
    /belongs on a DestinationRule, not on a VirtualService/,
  )
})
