/** loadBalancer of a policy, with Istio's and Envoy's defaults filled in. */
import { Annotation } from './annotation-names.ts'
import type { ConsistentHash, HashCookie, LoadBalancer } from './kinds.ts'
import type {
  HashKeySpec,
  HashSpec,
  LoadBalancerSpec,
  LocalitySpec,
  WarmupSpec,
} from './snapshot.ts'

const KINDS: Readonly<Record<string, LoadBalancerSpec['kind']>> = {
  ROUND_ROBIN: 'ROUND_ROBIN',
  RANDOM: 'RANDOM',
  PASSTHROUGH: 'PASSTHROUGH',
}
const RING_SIZE = 1024
const LARGEST_RING = 8_388_608
const MAGLEV_SIZE = 65_537

/** What is wrong with the annotation that asks for Outrider's own policy. */
export function loadBalancerComplaint(value: string): string | undefined {
  return value === 'PEAK_EWMA' ? undefined : `"${value}" is not PEAK_EWMA`
}

/** Equal settings become one object. */
export class Balancing {
  private readonly known = new Map<string, LoadBalancerSpec>()

  /** `annotations`: of the DestinationRule in force. */
  for(
    written: LoadBalancer | undefined,
    annotations: Readonly<Record<string, string>>,
    locality: LocalitySpec | undefined,
  ): LoadBalancerSpec {
    const spec = { ...policyOf(written ?? {}, annotations), ...(locality && { locality }) }
    const text = JSON.stringify(spec)
    const shared = this.known.get(text) ?? spec
    this.known.set(text, shared)
    return shared
  }
}

function policyOf(
  written: LoadBalancer,
  annotations: Readonly<Record<string, string>>,
): LoadBalancerSpec {
  const { consistentHash, simple } = written
  if (consistentHash !== undefined) return hashed(consistentHash)
  const kind = KINDS[simple ?? ''] ?? 'LEAST_REQUEST'
  if (kind !== 'PASSTHROUGH' && annotations[Annotation.LoadBalancer] === 'PEAK_EWMA')
    return { kind: 'PEAK_EWMA' }
  const warmup = warmupOf(written)
  const warms = warmup !== undefined && (kind === 'ROUND_ROBIN' || kind === 'LEAST_REQUEST')
  return warms ? { kind, warmup } : { kind }
}

/** `warmup` counts before the older spelling. */
function warmupOf({ warmup, warmupDurationMs }: LoadBalancer): WarmupSpec | undefined {
  const durationMs = warmup?.durationMs ?? warmupDurationMs ?? 0
  if (durationMs === 0) return undefined
  const { minimumPercent = 10, aggression = 1 } = warmup ?? {}
  return { durationMs, minimumPercent, aggression }
}

/** A source that is switched off leaves requests without key: anybody's. */
function hashed(written: ConsistentHash): LoadBalancerSpec {
  const key = keyOf(written)
  if (key === undefined) return { kind: 'RANDOM' }
  const { maglev, ringHash, minimumRingSize } = written
  if (maglev !== undefined) return maglevSpec(key, maglev.tableSize)
  const size = ringHash?.minimumRingSize || minimumRingSize || RING_SIZE
  return { kind: 'RING_HASH', hash: { key, size: Math.min(size, LARGEST_RING) } }
}

function maglevSpec(key: HashKeySpec, tableSize: number | undefined): LoadBalancerSpec {
  const hash: HashSpec = { key, size: tableSize || MAGLEV_SIZE }
  return { kind: 'MAGLEV', hash }
}

function keyOf(written: ConsistentHash): HashKeySpec | undefined {
  const { httpCookie, httpHeaderName, httpQueryParameterName, useSourceIp } = written
  if (httpHeaderName) return { kind: 'header', name: httpHeaderName.toLowerCase() }
  if (httpCookie !== undefined) return cookieKey(httpCookie)
  if (useSourceIp === true) return { kind: 'source-ip' }
  if (httpQueryParameterName) return { kind: 'query', name: httpQueryParameterName }
  return undefined
}

/** Without ttl none is made; a ttl of 0 makes a cookie for the session. */
function cookieKey({ name, path, ttlMs, attributes }: HashCookie): HashKeySpec {
  if (ttlMs === undefined) return { kind: 'cookie', name }
  const seconds = Math.floor(ttlMs / 1000)
  const parts = [
    ...(seconds === 0 ? [] : [`Max-Age=${seconds}`]),
    ...(path === undefined || path === '' ? [] : [`Path=${path}`]),
    ...attributes.map((one) => (one.value === '' ? one.name : `${one.name}=${one.value}`)),
    'HttpOnly',
  ]
  return { kind: 'cookie', name, made: parts.map((part) => `; ${part}`).join('') }
}
