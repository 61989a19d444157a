/** Every field of the schema as a row for people: its path, and whether it takes effect. */
import { KINDS, meshConfigSchema, NOT_YET_KINDS } from '../../config/schema/registry.ts'
import type { Part, Type } from '../../config/schema/scalars.ts'

export interface FieldRow {
  readonly path: string
  readonly effect: string
}

/** Kinds of docs/configuration.md with the type of what a user writes. */
export function documentedKinds(): ReadonlyMap<string, Type> {
  const kinds = new Map<string, Type>()
  for (const [name, { type }] of KINDS) kinds.set(name, type({ namespace: 'default', labels: {} }))
  return kinds.set('MeshConfig', meshConfigSchema)
}

/** Where only some values take effect: by kind and path. Each such value is told by the schema or has no rival here. */
const remarks: Readonly<Record<string, string>> = {
  'Pod spec.containers[].name': 'for messages only',
  'EndpointSlice ports[].protocol': 'checked; ports are found by their name',
  'Sidecar ingress[].port.name': 'for messages only: `protocol` decides',
  'Sidecar ingress[].port.targetPort': 'refused, as by Istio: `defaultEndpoint` decides',
  'Sidecar egress[].port.name': 'for messages only: `protocol` decides',
  'Sidecar egress[].port.targetPort': 'accepted, means nothing to a sidecar',
  'VirtualService http[].retries.retryOn': 'yes; conditions that cannot be met are told',
  'VirtualService http[].fault.abort.http2Error': 'refused: HTTP/2 errors cannot be injected',
  'VirtualService http[].fault.delay.exponentialDelay': 'refused, as in Istio',
  'DestinationRule trafficPolicy.loadBalancer.simple':
    'yes: ROUND_ROBIN, LEAST_REQUEST (also as LEAST_CONN), RANDOM, PASSTHROUGH',
  'DestinationRule trafficPolicy.tls.mode':
    'yes; ISTIO_MUTUAL needs a mesh certificate, there is none yet: refused, told with file and line',
  'DestinationRule trafficPolicy.tls.credentialName':
    'yes; Secrets are not read: plain text without workloadSelector (as in Istio), else refused, told with file and line',
  'DestinationRule trafficPolicy.tunnel.protocol':
    'yes; POST needs HTTP/2: refused, told with file and line',
  'ServiceEntry endpoints[].network':
    'the address is called directly: no gateway of another network is known, told with file and line',
  'WorkloadEntry network':
    'the address is called directly: no gateway of another network is known, told with file and line',
  'Sidecar ingress[].bind': 'yes, with captureMode NONE; else told with file and line',
  'Sidecar ingress[].captureMode': 'yes; DEFAULT and IPTABLES are one',
  'Sidecar egress[].captureMode': 'yes; DEFAULT and IPTABLES are one',
  'MeshConfig outboundTrafficPolicy.mode':
    'yes; ALLOW_ANY_DYNAMIC_DNS acts as ALLOW_ANY, told with file and line',
  'MeshConfig trustDomain': 'not before mutual TLS',
}

export const remarkedFields: readonly string[] = Object.keys(remarks)

export const kindsWithoutEffect: readonly string[] = [...NOT_YET_KINDS.keys()]

export function takesEffect(effect: string): boolean {
  return effect.startsWith('yes')
}

/** In the order of the schema; a block that was listed before is referred to. */
export function fieldRows(kind: string, type: Type): FieldRow[] {
  const rows: FieldRow[] = []
  walk(type, '', new Map(), rows)
  return rows.map(({ path, effect }) => ({ path, effect: remarks[`${kind} ${path}`] ?? effect }))
}

type Seen = Map<ReadonlyMap<string, Part>, string>

function walk(type: Type, path: string, seen: Seen, rows: FieldRow[]): void {
  for (const [name, part] of type.parts ?? []) {
    const at = name.startsWith('[') ? `${path}[]` : path === '' ? name : `${path}.${name}`
    if (name === '[]' || name === '<name>') inner(part.type, at, seen, rows)
    else named(part, at, seen, rows)
  }
}

function named(part: Part, path: string, seen: Seen, rows: FieldRow[]): void {
  const { parts } = part.type
  const before = parts === undefined ? undefined : seen.get(parts)
  const effect = effectOf(part)
  if (effect !== 'yes' || isLeaf(part.type)) rows.push({ path, effect })
  else if (before !== undefined) rows.push({ path, effect: `as \`${before}\`` })
  else inner(part.type, path, seen, rows)
}

function inner(type: Type, path: string, seen: Seen, rows: FieldRow[]): void {
  if (isLeaf(type)) {
    rows.push({ path, effect: 'yes' })
    return
  }
  seen.set(type.parts!, path)
  walk(type, path, seen, rows)
}

/** Single values, and string matches: their three forms are told once. */
function isLeaf({ parts }: Type): boolean {
  if (parts === undefined || parts.size === 0) return true
  return [...parts.keys()].join() === 'exact,prefix,regex'
}

function effectOf({ deprecated, ignored, notYet }: Part): string {
  const old = deprecated === undefined ? '' : `; deprecated: ${deprecated}`
  if (notYet === true) return `not yet, told with file and line${old}`
  if (ignored === true) return `accepted, means nothing to a sidecar${old}`
  return deprecated === undefined ? 'yes' : `yes${old}`
}
