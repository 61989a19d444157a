/** loadBalancer of a traffic policy, and the locality settings that MeshConfig has too. */

import type { HashCookie, LocalityLb } from '../kinds.ts'
import { list, map } from './collections.ts'
import { type Field, named, need, object, or } from './object.ts'
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
/** Larger rings take the better part of a second to make. */
const LARGE_RING = 262_144

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

const httpCookie: Type = object<HashCookie>(
  {
    name: need(notEmpty, 'the name of the cookie is missing'),
    path: text,
    ttl: named('ttlMs', duration({ zero: true })),
    attributes: or(
      list(object({ name: need(notEmpty, 'the name is missing'), value: or(text, '') })),
      [],
    ),
  },
  {
    rules: [
      (value, place) => {
        const seen = new Set<string>()
        for (const [index, { name }] of value.attributes.entries()) {
          if (name !== undefined && seen.has(name))
            place.error(['attributes', index], `the attribute "${name}" appears twice`)
          seen.add(name)
        }
      },
    ],
  },
)

const HASH_KEYS = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName']

interface Rings {
  readonly ringHash?: { readonly minimumRingSize?: number }
  readonly minimumRingSize?: number
}

function tellLargeRing({ minimumRingSize, ringHash }: Partial<Rings>, place: Place): void {
  const size = ringHash?.minimumRingSize ?? minimumRingSize ?? 0
  if (size <= LARGE_RING) return
  place.warn(
    ringHash === undefined ? ['minimumRingSize'] : ['ringHash', 'minimumRingSize'],
    `a ring of ${size} points is made anew whenever endpoints change, and requests wait for it: seconds, beyond a million`,
    'The default, 1024, spreads keys well; 65536 does for thousands of endpoints.',
  )
}

const consistentHash: Type = object<Rings>(
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
      tellLargeRing,
    ],
  },
)

const region = string((name) =>
  name.includes('*') ? `"${name}" has a wildcard: name a region` : undefined,
)
const failover = or(list(object({ from: or(region, ''), to: or(region, '') })), [])
const failoverPriority = or(list(text), [])

function locality(value: string): Verdict {
  const parts = value.split('/')
  const star = parts.indexOf('*')
  if (parts.includes('') || parts.length > 3)
    return `"${value}" is not a locality such as region/zone/subzone`
  if (star !== -1 && star < parts.length - 1) return `"${value}" has * before its last part`
  return undefined
}

export const localityLbSetting: Type = object<LocalityLb>(
  {
    enabled: boolean,
    failover,
    failoverPriority,
    distribute: or(
      list(
        object({
          from: or(string(locality), ''),
          to: or(map(integer(1, 100), { key: locality }), {}),
        }),
      ),
      [],
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

function checkDistribute(value: LocalityLb, place: Place): void {
  for (const [index, { from, to }] of value.distribute.entries()) {
    const total = Object.values(to).reduce((sum, share) => sum + share, 0)
    const at = ['distribute', index]
    if (total !== 100) place.error([...at, 'to'], `the shares add up to ${total}, not 100`)
    const first = value.distribute.findIndex(
      (other, before) => before < index && localitiesMeet(other.from, from),
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

function checkFailover(value: LocalityLb, place: Place): void {
  for (const [index, { from, to }] of value.failover.entries())
    if (from !== '' && from === to)
      place.error(['failover', index], `fails over from ${from} to itself`)
  if (value.failover.length === 0) return
  for (const [index, label] of value.failoverPriority.entries())
    if (PLACES.includes(label.split('=')[0]!))
      place.error(['failoverPriority', index], `"${label}" cannot be combined with failover`)
}

const warmupDuration: Field = {
  type: duration(),
  as: 'durationMs',
  required: 'the duration is missing',
}

const warmup: Type = object({
  duration: warmupDuration,
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

export const zoneAwareLbSetting: Type = object({
  enabled: boolean,
  failover,
  failoverPriority,
  minClusterSize: integer(1),
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
    consistentHash,
    localityLbSetting,
    zoneAwareLbSetting,
    warmup,
    warmupDurationSecs: {
      type: duration(),
      as: 'warmupDurationMs',
      deprecated: 'Use warmup.duration.',
    },
  },
  {
    oneOf: [
      ['simple', 'consistentHash'],
      ['localityLbSetting', 'zoneAwareLbSetting'],
    ],
    rules: [warnCold],
  },
)

/** Other policies do not know shares that grow. */
function warnCold({ simple }: { simple?: string }, place: Place): void {
  const policy = place.has('consistentHash') ? 'consistentHash' : simple
  if (policy !== 'consistentHash' && policy !== 'RANDOM' && policy !== 'PASSTHROUGH') return
  for (const name of ['warmup', 'warmupDurationSecs'])
    if (place.has(name))
      place.warn([name], `has no effect with ${policy}: only with ROUND_ROBIN and LEAST_REQUEST`)
}
