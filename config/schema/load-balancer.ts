/** loadBalancer of a traffic policy: the simple ones act, the others are checked only. */

import { list, map } from './collections.ts'
import { later, need, object } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import {
  boolean,
  duration,
  enumeration,
  integer,
  number,
  string,
  type Type,
  text,
} from './scalars.ts'

const size = integer(0, Number.MAX_SAFE_INTEGER)
const MAX_MAGLEV_TABLE = 5_000_011

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false
  return true
}

function tableSize(value: number): Verdict {
  if (value >= MAX_MAGLEV_TABLE) return `${value} is not below ${MAX_MAGLEV_TABLE}`
  return isPrime(value)
    ? undefined
    : { message: `${value} is not a prime number`, hint: 'For example 65537.' }
}

const notEmpty = string((value) => (value === '' ? 'is empty' : undefined))

interface Cookie {
  readonly attributes?: ReadonlyArray<{ readonly name: string }>
}

const httpCookie: Type = object<Cookie>(
  {
    name: need(notEmpty, 'the name of the cookie is missing'),
    path: text,
    ttl: duration({ zero: true }),
    attributes: list(object({ name: need(notEmpty, 'the name is missing'), value: text })),
  },
  {
    rules: [
      (value, place) => {
        const seen = new Set<string>()
        for (const [index, { name }] of (value.attributes ?? []).entries()) {
          if (name !== undefined && seen.has(name))
            place.error(['attributes', index], `the attribute "${name}" appears twice`)
          seen.add(name)
        }
      },
    ],
  },
)

const HASH_KEYS = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName']

const consistentHash: Type = object<object>(
  {
    httpHeaderName: text,
    httpCookie,
    useSourceIp: boolean,
    httpQueryParameterName: text,
    ringHash: object({ minimumRingSize: size }),
    maglev: object({ tableSize: integer(0, Number.MAX_SAFE_INTEGER, tableSize) }),
    minimumRingSize: { type: size, deprecated: 'Use ringHash.minimumRingSize.' },
  },
  {
    oneOf: [
      HASH_KEYS,
      ['ringHash', 'maglev'],
      ['minimumRingSize', 'ringHash'],
      ['minimumRingSize', 'maglev'],
    ],
    rules: [
      (_, place) => {
        if (!HASH_KEYS.some((name) => place.has(name)))
          place.error([], `nothing to hash: one of ${HASH_KEYS.join(', ')} is needed`)
      },
    ],
  },
)

interface Failover {
  readonly from?: string
  readonly to?: string
}
interface Locality {
  readonly distribute?: ReadonlyArray<{
    readonly from?: string
    readonly to?: Record<string, number>
  }>
  readonly failover?: readonly Failover[]
  readonly failoverPriority?: readonly string[]
}

const region = string((name) =>
  name.includes('*') ? `"${name}" has a wildcard: name a region` : undefined,
)
const failover = list(object({ from: region, to: region }))

function locality(value: string): Verdict {
  const parts = value.split('/')
  const star = parts.indexOf('*')
  if (parts.includes('') || parts.length > 3)
    return `"${value}" is not a locality such as region/zone/subzone`
  if (star !== -1 && star < parts.length - 1) return `"${value}" has * before its last part`
  return undefined
}

const localityLbSetting: Type = object<Locality>(
  {
    enabled: boolean,
    failover,
    failoverPriority: list(text),
    distribute: list(
      object({ from: string(locality), to: map(integer(1, 100), { key: locality }) }),
    ),
  },
  {
    oneOf: [
      ['distribute', 'failover'],
      ['distribute', 'failoverPriority'],
    ],
    rules: [checkDistribute, checkFailover],
  },
)

function checkDistribute(value: Locality, place: Place): void {
  for (const [index, { from, to }] of (value.distribute ?? []).entries()) {
    const total = Object.values(to ?? {}).reduce((sum, share) => sum + share, 0)
    const at = ['distribute', index]
    if (total !== 100) place.error([...at, 'to'], `the shares add up to ${total}, not 100`)
    const first = (value.distribute ?? []).findIndex(
      (other, before) => before < index && localitiesMeet(other.from ?? '', from ?? ''),
    )
    if (first !== -1) place.error([...at, 'from'], `"${from}" overlaps distribute[${first}]`)
  }
}

function localitiesMeet(a: string, b: string): boolean {
  const left = a.split('/')
  const right = b.split('/')
  const shared = Math.min(left.length, right.length)
  for (let index = 0; index < shared; index++) {
    if (left[index] === '*' || right[index] === '*') return true
    if (left[index] !== right[index]) return false
  }
  return true
}

const PLACES = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]

function checkFailover(value: Locality, place: Place): void {
  for (const [index, { from, to }] of (value.failover ?? []).entries())
    if (from !== undefined && from === to)
      place.error(['failover', index], `fails over from ${from} to itself`)
  if (value.failover === undefined) return
  for (const [index, label] of (value.failoverPriority ?? []).entries())
    if (PLACES.includes(label.split('=')[0]!))
      place.error(['failoverPriority', index], `"${label}" cannot be combined with failover`)
}

const warmup: Type = object({
  duration: need(duration(), 'the duration is missing'),
  minimumPercent: number(0, 100),
  aggression: {
    type: {
      read(raw, reading) {
        const value = number().read(raw, reading)
        if (value === undefined || value > 0) return value
        reading.error(raw.at, `${value} is not greater than 0`)
        return undefined
      },
    } satisfies Type<number>,
  },
})

export const loadBalancer: Type = object<{ simple?: string }>(
  {
    simple: enumeration([
      'UNSPECIFIED',
      'LEAST_CONN',
      'RANDOM',
      'PASSTHROUGH',
      'ROUND_ROBIN',
      'LEAST_REQUEST',
    ]),
    consistentHash: later(consistentHash),
    localityLbSetting: later(localityLbSetting),
    zoneAwareLbSetting: later(
      object({
        enabled: boolean,
        failover,
        failoverPriority: list(text),
        minClusterSize: integer(1),
      }),
    ),
    warmup: later(warmup),
    warmupDurationSecs: { type: duration(), notYet: true, deprecated: 'Use warmup.duration.' },
  },
  {
    oneOf: [
      ['simple', 'consistentHash'],
      ['localityLbSetting', 'zoneAwareLbSetting'],
    ],
  },
)
