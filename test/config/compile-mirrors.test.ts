import t from 'tap'
import { load } from '../../config/load.ts'
import { forwarding, istio, service, viewOf } from './compile-support.ts'

const mesh = service('a', { ports: ['http:80'] }) + service('m', { ports: ['http:80'] })
const here = { route: [{ destination: { host: 'a' } }] }

/** `cluster fraction` of each mirror of a rule. */
function mirrors(rule: object): string[] {
  const view = viewOf(
    mesh + istio('VirtualService', 'x', { hosts: ['a'], http: [{ ...here, ...rule }] }),
  )
  const found = forwarding(view.routes(80, 'a')[0]).mirrors ?? []
  return found.map(({ cluster, fraction }) => `${cluster.split('.')[0]} ${fraction}`)
}

const all = ['outbound|80||m 1']
const toM = { host: 'm' }

t.test('a mirror gets every request unless a percentage says otherwise (§23 #20)', async (t) => {
  t.same(mirrors({}), [])
  t.same(mirrors({ mirror: toM }), all)
  t.same(mirrors({ mirror: toM, mirrorPercentage: { value: 12.34567 } }), [
    'outbound|80||m 0.123456',
  ])
  t.same(mirrors({ mirror: toM, mirrorPercentage: { value: 0 } }), [], '0 switches it off')
  t.same(mirrors({ mirror: toM, mirrorPercentage: {} }), [], 'without a value it is 0')
  t.same(mirrors({ mirror: toM, mirrorPercent: 30 }), ['outbound|80||m 0.3'], 'the deprecated one')
  t.same(mirrors({ mirror: toM, mirrorPercent: 0 }), [])
  t.same(mirrors({ mirror: toM, mirrorPercent: 30, mirrorPercentage: { value: 5 } }), [
    'outbound|80||m 0.05',
  ])
})

t.test('mirrors have percentages and destinations of their own', async (t) => {
  const list = [
    { destination: { host: 'm', subset: 'v2', port: { number: 81 } }, percentage: { value: 50 } },
    { destination: toM },
    { destination: toM, percentage: {} },
  ]
  t.same(mirrors({ mirrors: list }), ['outbound|81|v2|m 0.5', 'outbound|80||m 1'])
})

t.test('mirror fields that have no effect are told', async (t) => {
  const told = (rule: object): string[] =>
    load([
      {
        path: 'f.yaml',
        text: mesh + istio('VirtualService', 'x', { hosts: ['a'], http: [{ ...here, ...rule }] }),
      },
    ])
      .problems.filter(({ code }) => code !== 'IST0002')
      .map(({ severity, message }) => `${severity} ${message}`)
  t.same(told({ mirror: toM, mirrorPercentage: { value: 1 } }), [])
  t.same(told({ mirrorPercentage: { value: 1 } }), [
    'warning spec.http[0].mirrorPercentage: has no effect without mirror',
  ])
  t.same(told({ mirrors: [{ destination: toM }], mirrorPercent: 1 }), [
    'warning spec.http[0].mirrorPercent: has no effect without mirror',
  ])
  t.same(told({ mirror: toM, mirrorPercentage: { value: 1 }, mirrorPercent: 1 }), [
    'warning spec.http[0].mirrorPercent: has no effect beside mirrorPercentage',
  ])
})
