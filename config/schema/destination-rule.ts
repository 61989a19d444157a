/** DestinationRule: subsets of a service and the policy under which it is called. */
import type { DestinationRuleSpec, RetryBudget, TrafficPolicy } from '../kinds.ts'
import { type Raw, textOf, within } from '../raw.ts'
import type { Path } from '../resource.ts'
import { clientTls } from './client-tls.ts'
import { list, map } from './collections.ts'
import { connectionPool } from './connection-pool.ts'
import { dnsLabel, fqdn, isAddress, wildcardDomain } from './formats.ts'
import { loadBalancer } from './load-balancer.ts'
import { named, need, object, or } from './object.ts'
import { outlierDetection } from './outlier-detection.ts'
import { Code, type Place, type Verdict } from './reading.ts'
import { duration, enumeration, number, portNumber, string, type Type, uint32 } from './scalars.ts'
import {
  checkExportTo,
  exportTo,
  labelKey,
  labelValue,
  portSelector,
  workloadSelector,
} from './shared.ts'

const tunnel: Type = object<{ protocol: string }>(
  {
    protocol: or(
      string((name) =>
        ['', 'CONNECT', 'POST'].includes(name) ? undefined : `"${name}" is not CONNECT or POST`,
      ),
      '',
    ),
    targetHost: need(
      string((host) => (isAddress(host) ? undefined : fqdn(host))),
      'the target host is missing',
    ),
    targetPort: need(portNumber, 'the target port is missing'),
  },
  { rules: [tellPost] },
)

/** A body that never ends, both ways at once, is not for HTTP/1.1. */
function tellPost({ protocol }: { protocol: string }, place: Place): void {
  if (protocol !== 'POST') return
  const message = 'POST needs HTTP/2, not yet implemented: connections are refused'
  place.warn(['protocol'], message, 'Use CONNECT.', Code.NotYet)
}

const blocks = {
  loadBalancer,
  connectionPool,
  outlierDetection,
  tls: clientTls,
}

interface Blocks {
  readonly loadBalancer?: unknown
}

function needSome(names: readonly string[], what: string) {
  return (_: Blocks, place: Place): void => {
    if (!names.some((name) => place.has(name)))
      place.error([], `a ${what} needs at least one of ${names.join(', ')}`)
  }
}

const PORT_BLOCKS = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls']

const portLevel: Type = object<Blocks>(
  { port: need(portSelector, 'the port is missing'), ...blocks },
  { rules: [needSome(PORT_BLOCKS, 'port policy')] },
)

export const trafficPolicy: Type = object<TrafficPolicy>(
  {
    ...blocks,
    portLevelSettings: or(list(portLevel), []),
    tunnel,
    proxyProtocol: object({ version: or(enumeration(['V1', 'V2']), 'V1') }),
    retryBudget: object<RetryBudget>({
      percent: number(0, 100),
      budgetInterval: named('budgetIntervalMs', duration({ zero: true })),
      minRetryConcurrency: uint32,
    }),
  },
  {
    oneOf: [['tunnel', 'proxyProtocol']],
    rules: [
      needSome(
        [...PORT_BLOCKS, 'portLevelSettings', 'tunnel', 'proxyProtocol', 'retryBudget'],
        'traffic policy',
      ),
    ],
  },
)

const subset: Type = object({
  name: need(string(dnsLabel), 'the name of the subset is missing'),
  labels: or(map(string(labelValue), { key: labelKey }), {}),
  trafficPolicy,
})

function ruleHost(host: string): Verdict {
  return isAddress(host) ? undefined : wildcardDomain(host)
}

/** `namespace`: that of the object, which exportTo can name by `.`. */
export function destinationRule(namespace: string): Type {
  return object<DestinationRuleSpec>(
    {
      host: need(string(ruleHost), 'the host is missing'),
      trafficPolicy,
      subsets: or(list(subset), []),
      exportTo: or(exportTo, []),
      workloadSelector: workloadSelector('matchLabels'),
    },
    {
      rules: [
        checkSubsets,
        (spec, place) => checkExportTo(spec.exportTo, namespace, place, { none: false }),
        (spec, place) => checkPrivate(spec, namespace, place),
        warnUnverified,
      ],
    },
  )
}

function checkSubsets(spec: DestinationRuleSpec, place: Place): void {
  const seen = new Set<string>()
  for (const [index, { name }] of spec.subsets.entries()) {
    if (name !== undefined && seen.has(name))
      place.error(['subsets', index, 'name'], `the subset "${name}" is defined twice`)
    seen.add(name)
  }
}

function checkPrivate(spec: DestinationRuleSpec, namespace: string, place: Place): void {
  if (!place.has('workloadSelector')) return
  for (const [index, entry] of spec.exportTo.entries())
    if (entry !== '.' && entry !== namespace)
      place.error(['exportTo', index], 'a rule with workloadSelector can be exported to "." only')
}

/** Read from the tree: the parsed settings are gone, as the proxy does not act on them. */
function warnUnverified(_: DestinationRuleSpec, place: Place): void {
  const policy = within(place.raw, 'trafficPolicy')
  const ports = within(policy, 'portLevelSettings')
  warnUnverifiedTls(within(policy, 'tls'), ['trafficPolicy', 'tls'], 'IST0128', place)
  if (ports?.kind !== 'list') return
  ports.items.forEach((port, index) => {
    const at = ['trafficPolicy', 'portLevelSettings', index, 'tls']
    warnUnverifiedTls(within(port, 'tls'), at, 'IST0129', place)
  })
}

function warnUnverifiedTls(tls: Raw | undefined, at: Path, code: string, place: Place): void {
  const set = (name: string) => (textOf(within(tls, name)) ?? '') !== ''
  const mode = textOf(within(tls, 'mode'))
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return
  if (set('caCertificates') || (set('credentialName') && place.has('workloadSelector'))) return
  const message = `mode ${mode} without caCertificates: the server's identity is not verified by a CA of yours`
  place.warn([...at, 'mode'], message, 'Add caCertificates.', code)
}
