import t from 'tap'
import { load } from '../../config/load.ts'

/** `line severity code message` of everything said about these documents, in one file. */
function said(...documents: readonly string[]): string[] {
  return load([{ path: 'f.yaml', text: documents.join('---\n') }]).problems.map(
    ({ line, severity, code, message }) => `${line} ${severity} ${code} ${message}`,
  )
}

function object(kind: string, name: string, body: string): string {
  const version = kind === 'Service' ? 'v1' : 'networking.istio.io/v1'
  return `apiVersion: ${version}\nkind: ${kind}\nmetadata: {name: ${name}}\n${body}\n`
}
const service = (name: string, ports = '[{name: http, port: 80}]') =>
  object('Service', name, `spec: {selector: {app: ${name}}, ports: ${ports}}`)

t.test('failover without outlierDetection is told, wherever that may be written', async (t) => {
  const near = 'loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}'
  const outliers = 'outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}'
  const rule = (spec: string, name = 'a') =>
    object('DestinationRule', name, `spec: {host: a, ${spec}}`)
  const mesh = (policy: string) =>
    `kind: MeshConfig\nmetadata: {name: m}\ndefaultTrafficPolicy: {${policy}}\n`
  const told = (...documents: string[]) =>
    said(service('a'), ...documents).filter((line) => line.includes('without outlierDetection'))
  const subset = (policy: string) => `subsets: [{name: v1, trafficPolicy: {${policy}}}]`
  const path = 'loadBalancer.localityLbSetting.failover: has no effect without outlierDetection'
  const line = `9 warning OUT-LOCALITY spec.`
  const place = ', here or in the MeshConfig'
  t.same(told(rule(`trafficPolicy: {${near}}`)), [`${line}trafficPolicy.${path}${place}`])
  t.same(told(rule(`trafficPolicy: {${near}, ${outliers}}`)), [])
  t.same(told(rule(`trafficPolicy: {${near}}`), mesh(outliers)), [], 'the mesh has it')
  t.equal(
    told(rule(`trafficPolicy: {${near}}`), mesh('connectionPool: {tcp: {maxConnections: 5}}'))
      .length,
    1,
  )
  t.same(told(rule(`${subset(near)}`)), [`${line}subsets[0].trafficPolicy.${path}${place}`])
  t.same(told(rule(`trafficPolicy: {${outliers}}, ${subset(near)}`)), [], 'the rule has it')
  t.same(told(rule(`trafficPolicy: {${outliers}}`), rule(subset(near), 'b')), [], 'they are merged')
  t.same(told(rule(`trafficPolicy: {${near}}, ${subset(outliers)}`)), [], 'the subset uses both')
  const port = (policy: string) => `portLevelSettings: [{port: {number: 80}, ${policy}}]`
  t.equal(told(rule(`trafficPolicy: {${outliers}, ${port(near)}}`)).length, 1, 'replaced whole')
  const off = near.replace('{failover', '{enabled: false, failover')
  t.same(told(rule(`trafficPolicy: {${off}}`)), [])
})

t.test('balancing that no client can follow is told by the line of loadBalancer', async (t) => {
  const rule = (balancer: string, more = '') =>
    object(
      'DestinationRule',
      'a',
      `spec: {host: a, trafficPolicy: {loadBalancer: {${balancer}}${more}}}`,
    )
  const told = (...documents: string[]) =>
    said(...documents).filter((line) => line.includes('OUT-BALANCER'))
  const ports = '[{name: tcp, port: 80}, {name: http, port: 81}]'
  const bytes = service('a', ports)
  const headless = bytes.replace('spec: {', 'spec: {clusterIP: None, ')
  t.match(told(headless, rule('simple: RANDOM')), [
    /^9 warning OUT-BALANCER loadBalancer has no effect on a.default.svc.cluster.local: it is head/,
  ])
  t.same(told(headless, rule('simple: PASSTHROUGH')), [])
  t.same(told(bytes, rule('simple: RANDOM')), [])
  const hash = 'consistentHash: {httpHeaderName: x}'
  t.match(told(bytes, rule(hash)), [/connections to port 80 of a.* go to any endpoint/])
  t.same(told(bytes, rule('consistentHash: {useSourceIp: true}')), [])
  const port = ', portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]'
  t.same(told(bytes, rule(hash, port)), [], 'the port has its own')
})
