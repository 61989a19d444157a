/** The rows that say who is captured and what comes of it; how one is tried. */
import type { Test } from 'tap'
import type { OptionName } from '../../iptables/options.ts'
import { at, type CallerName, type Pod } from './pod.ts'

export type Given = Partial<Record<OptionName, string>>

/** The sample of every option whose effect a row shows. */
export const sample: Given = {
  excludeInboundPorts: '9000',
  excludeOutboundPorts: '9999',
  excludeOutboundIpRanges: `${at.excluded},${at.excluded6}`,
  excludeOutboundUids: '2000',
  dnsCapture: 'all',
}

export interface Row {
  readonly row: string
  readonly by: CallerName
  readonly to: readonly [string, number]
  /** What the proxy sees; none: the connection is not captured. */
  readonly captured?: readonly string[]
  /** In the answer: who answered, whom it saw. */
  readonly answer?: { readonly name?: string; readonly peer?: string }
  /** What the caller gets instead of an answer. */
  readonly error?: string
}

export const out = (address: string, port: number, outcome = 'forwarded') =>
  `out ${address} ${port}: ${outcome}`
export const inn = (address: string, port: number, outcome = 'forwarded') =>
  `in ${address} ${port}: ${outcome}`
export const fromServer = { name: 'server', peer: `::ffff:${at.pod}` }
export const fromServer6 = { name: 'server', peer: at.pod6 }
export const delivered = { name: 'app', peer: '127.0.0.6' }
export const delivered6 = { name: 'app', peer: '::6' }

export const outgoing: Row[] = [
  {
    row: '1 app to server',
    by: 'app',
    to: [at.server, 80],
    captured: [out(at.server, 80)],
    answer: fromServer,
  },
  {
    row: '2 app to server, IPv6',
    by: 'app',
    to: [at.server6, 80],
    captured: [out(at.server6, 80)],
    answer: fromServer6,
  },
  {
    row: '3 root in the application container',
    by: 'root',
    to: [at.server, 80],
    captured: [out(at.server, 80)],
    answer: fromServer,
  },
  { row: '4 the proxy itself', by: 'proxy', to: [at.server, 80], answer: fromServer },
  { row: '5 the proxy itself, IPv6', by: 'proxy', to: [at.server6, 80], answer: fromServer6 },
  {
    row: '6 primary group of the proxy',
    by: 'primary group',
    to: [at.server, 80],
    answer: fromServer,
  },
  {
    row: '7 supplementary group counts not',
    by: 'supplementary group',
    to: [at.server, 80],
    captured: [out(at.server, 80)],
    answer: fromServer,
  },
  { row: '31 excluded prefix', by: 'app', to: [at.excluded, 80], answer: fromServer },
  { row: '32 excluded prefix, IPv6', by: 'app', to: [at.excluded6, 80], answer: fromServer6 },
  { row: '33 excluded port', by: 'app', to: [at.server, 9999], answer: fromServer },
  {
    row: '35 closed port',
    by: 'app',
    to: [at.server, 81],
    captured: [out(at.server, 81, 'ECONNREFUSED')],
    error: 'ECONNRESET',
  },
  {
    row: '36 no such service',
    by: 'app',
    to: ['10.97.0.99', 80],
    captured: [out('10.97.0.99', 80, 'ENETUNREACH')],
    error: 'ECONNRESET',
  },
  { row: '50 excluded user', by: 'excluded user', to: [at.server, 80], answer: fromServer },
]

export const incoming: Row[] = [
  {
    row: '8 client to wildcard socket',
    by: 'client',
    to: [at.pod, 8080],
    captured: [inn(at.pod, 8080)],
    answer: delivered,
  },
  {
    row: '9 client to loopback socket',
    by: 'client',
    to: [at.pod, 8081],
    captured: [inn(at.pod, 8081, 'ECONNREFUSED')],
    error: 'ECONNRESET',
  },
  {
    row: '10 client to socket on the pod address',
    by: 'client',
    to: [at.pod, 8082],
    captured: [inn(at.pod, 8082)],
    answer: delivered,
  },
  {
    row: '11 client to loopback socket, IPv6',
    by: 'client',
    to: [at.pod6, 8084],
    captured: [inn(at.pod6, 8084, 'ECONNREFUSED')],
    error: 'ECONNRESET',
  },
  {
    row: '12 client to socket on the pod address, IPv6',
    by: 'client',
    to: [at.pod6, 8085],
    captured: [inn(at.pod6, 8085)],
    answer: delivered6,
  },
  {
    row: '13 client to dual-stack socket',
    by: 'client',
    to: [at.pod, 8086],
    captured: [inn(at.pod, 8086)],
    answer: { name: 'app', peer: '::ffff:127.0.0.6' },
  },
  {
    row: '14 client to dual-stack socket, IPv6',
    by: 'client',
    to: [at.pod6, 8086],
    captured: [inn(at.pod6, 8086)],
    answer: delivered6,
  },
  {
    row: '15 excluded port',
    by: 'client',
    to: [at.pod, 9000],
    answer: { name: 'app', peer: `::ffff:${at.client}` },
  },
  {
    row: '16 excluded port, IPv6',
    by: 'client',
    to: [at.pod6, 9000],
    answer: { name: 'app', peer: at.client6 },
  },
  { row: '17 probe by the node', by: 'node', to: [at.pod, 15021], answer: { name: 'health' } },
  {
    row: '18 node to application',
    by: 'node',
    to: [at.pod, 8080],
    captured: [inn(at.pod, 8080)],
    answer: delivered,
  },
  {
    row: '19 client to the outbound port',
    by: 'client',
    to: [at.pod, 15001],
    captured: [inn(at.pod, 15001, 'loop')],
    error: 'ECONNRESET',
  },
  {
    row: '20 client to the inbound port',
    by: 'client',
    to: [at.pod, 15006],
    captured: [inn(at.pod, 15006, 'loop')],
    error: 'ECONNRESET',
  },
  {
    row: '21 nothing listens',
    by: 'client',
    to: [at.pod, 7777],
    captured: [inn(at.pod, 7777, 'ECONNREFUSED')],
    error: 'ECONNRESET',
  },
]

export const within: Row[] = [
  {
    row: '22 own loopback',
    by: 'app',
    to: ['127.0.0.1', 8081],
    answer: { name: 'app', peer: '127.0.0.1' },
  },
  {
    row: '23 own pod address',
    by: 'app',
    to: [at.pod, 8080],
    answer: { name: 'app', peer: at.pod },
  },
  {
    row: '24 own loopback, IPv6',
    by: 'app',
    to: ['::1', 8084],
    answer: { name: 'app', peer: '::1' },
  },
  {
    row: '25 own pod address, IPv6',
    by: 'app',
    to: [at.pod6, 8085],
    answer: { name: 'app', peer: at.pod6 },
  },
  {
    row: '26 own service',
    by: 'app',
    to: [at.ownVip, 8080],
    captured: [out(at.ownVip, 8080), inn(at.pod, 8080)],
    answer: delivered,
  },
  {
    row: '27 own service, IPv6',
    by: 'app',
    to: [at.ownVip6, 8085],
    captured: [out(at.ownVip6, 8085), inn(at.pod6, 8085)],
    answer: delivered6,
  },
  {
    row: '28 own service, port excluded inbound',
    by: 'app',
    to: [at.ownVip, 9000],
    captured: [out(at.ownVip, 9000)],
    answer: { name: 'app', peer: `::ffff:${at.pod}` },
  },
  {
    row: '29 the proxy to its own workload',
    by: 'proxy',
    to: [at.pod, 8080],
    captured: [inn(at.pod, 8080)],
    answer: delivered,
  },
  {
    row: '29 the proxy to its own workload, IPv6',
    by: 'proxy',
    to: [at.pod6, 8085],
    captured: [inn(at.pod6, 8085)],
    answer: delivered6,
  },
  {
    row: '30 the proxy to loopback',
    by: 'proxy',
    to: ['127.0.0.1', 8081],
    answer: { name: 'app', peer: '127.0.0.1' },
  },
  {
    row: '34 app to the outbound port',
    by: 'app',
    to: ['127.0.0.1', 15001],
    captured: [out('127.0.0.1', 15001, 'loop')],
    error: 'ECONNRESET',
  },
]

export async function checkRow(t: Test, pod: Pod, row: Row): Promise<void> {
  const result = await (await pod.agent(row.by)).call(...row.to)
  t.same(await pod.seen(), row.captured ?? [], `row ${row.row}: what the proxy sees`)
  const shown = result.text === '' ? {} : JSON.parse(result.text)
  if (row.answer) t.match(shown, row.answer, `row ${row.row}: the answer`)
  t.equal(result.error, row.error, `row ${row.row}: ${row.error ?? 'no error'}`)
}
