/**
 * Header values with Envoy's `%OPERATORS%`, compiled once: what a configured value becomes for one
 * exchange. An operator without value is empty; a value that comes out empty drops the header.
 */
import { hostname } from 'node:os'
import type { Headers } from '../http/headers.ts'
import { wireText } from '../http/wire-text.ts'
import { type Address, formatAddress } from '../net/address.ts'
import { compileTimeFormat, unsupportedDirectives } from './time-format.ts'

/** What operators can see; telemetry's ExchangeRecord is one. */
export interface EditFacts {
  readonly method: string
  readonly path: string
  readonly authority: string
  /** 10, 11, 20. */
  readonly version: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly downstreamRemote: Address
  readonly downstreamLocal: Address
  readonly serverName: string
  /** 0 before the reply. */
  readonly status: number
  /** `10.0.0.7:9080`, or ``. */
  readonly upstreamHost: string
  readonly requestHeaders: Headers | undefined
  readonly responseHeaders: Headers | undefined
}

/** Names that may stand between percent signs; config/ keeps a copy (a test compares them). */
export const supportedOperators: readonly string[] = [
  'REQ',
  'RESP',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'PROTOCOL',
  'START_TIME',
  'UPSTREAM_HOST',
  'HOSTNAME',
  'RESPONSE_CODE',
  'REQUESTED_SERVER_NAME',
]

type Part = (facts: EditFacts) => string

interface Operator {
  readonly name: string
  readonly argument: string | undefined
  /** Longest result, in characters. */
  readonly limit: number
}

/** Literal texts and operators of a value, in order. */
function split(value: string): Array<string | Operator> {
  const parts: Array<string | Operator> = []
  const pattern = /%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%/g
  let end = 0
  for (const found of value.matchAll(pattern)) {
    if (found.index > end) parts.push(value.slice(end, found.index))
    end = found.index + found[0].length
    if (found[1] === undefined) parts.push('%')
    else
      parts.push({
        name: found[1],
        argument: found[2],
        limit: found[3] === undefined ? Number.POSITIVE_INFINITY : Number(found[3]),
      })
  }
  if (end < value.length) parts.push(value.slice(end))
  return parts
}

/** Operators of a value that are not carried out, as written without their percent signs. */
export function unsupportedOperators(value: string): string[] {
  const found: string[] = []
  for (const part of split(value)) {
    if (typeof part === 'string') continue
    if (!supportedOperators.includes(part.name)) found.push(part.name)
    else if (part.name === 'START_TIME')
      for (const directive of unsupportedDirectives(part.argument ?? ''))
        found.push(`START_TIME(${directive})`)
  }
  return found
}

/** A compiled value. */
export class ValueTemplate {
  /** The value when it holds no operator. */
  private readonly fixed: string | undefined
  private readonly parts: readonly Part[]

  constructor(value: string) {
    const parts = split(value)
    const plain = parts.every((part) => typeof part === 'string')
    this.fixed = plain ? wireText(parts.join('')) : undefined
    this.parts = plain ? [] : parts.map(compilePart)
  }

  /** `` means: no such header. */
  render(facts: EditFacts): string {
    if (this.fixed !== undefined) return this.fixed
    let text = ''
    for (const part of this.parts) text += part(facts)
    return text
  }
}

function compilePart(part: string | Operator): Part {
  if (typeof part === 'string') {
    const text = wireText(part)
    return () => text
  }
  const read = compileOperator(part)
  const { limit } = part
  return limit === Number.POSITIVE_INFINITY ? read : (facts) => read(facts).slice(0, limit)
}

function compileOperator({ name, argument = '' }: Operator): Part {
  switch (name) {
    case 'REQ':
      return compileField(argument, requestField)
    case 'RESP':
      return compileField(argument, (facts, field) => facts.responseHeaders?.get(field))
    case 'DOWNSTREAM_REMOTE_ADDRESS':
      return (facts) => formatAddress(facts.downstreamRemote)
    case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
      return (facts) => facts.downstreamRemote.address
    case 'DOWNSTREAM_LOCAL_ADDRESS':
      return (facts) => formatAddress(facts.downstreamLocal)
    case 'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT':
      return (facts) => facts.downstreamLocal.address
    case 'PROTOCOL':
      return (facts) => protocolName(facts.version)
    case 'START_TIME': {
      const format = compileTimeFormat(argument)
      return (facts) => format(facts.startedAt)
    }
    case 'UPSTREAM_HOST':
      return (facts) => facts.upstreamHost
    case 'HOSTNAME':
      return () => hostname()
    case 'RESPONSE_CODE':
      return (facts) => String(facts.status)
    case 'REQUESTED_SERVER_NAME':
      return (facts) => facts.serverName
    default:
      // Not supported: the configuration said so (unsupportedOperators); it counts as without value.
      return () => ''
  }
}

type FieldReader = (facts: EditFacts, field: string) => string | undefined

/** `X?Y`: the field Y where X has no value. */
function compileField(argument: string, read: FieldReader): Part {
  const [first = '', second] = argument.toLowerCase().split('?')
  if (second === undefined) return (facts) => read(facts, first) ?? ''
  return (facts) => read(facts, first) || read(facts, second) || ''
}

function requestField(facts: EditFacts, field: string): string | undefined {
  switch (field) {
    case ':method':
      return facts.method
    case ':path':
      return facts.path
    case ':authority':
    case 'host':
      return facts.authority
    case ':scheme':
      return facts.requestHeaders?.get('x-forwarded-proto') ?? 'http'
    default:
      return facts.requestHeaders?.get(field)
  }
}

function protocolName(version: number): string {
  return version === 20 ? 'HTTP/2' : version === 10 ? 'HTTP/1.0' : 'HTTP/1.1'
}
