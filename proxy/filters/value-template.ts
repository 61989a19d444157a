/**
 * Header values with Envoy's `%OPERATORS%`, compiled once: what a configured value becomes for one
 * exchange. An operator without value is empty; a value that comes out empty drops the header.
 */
import { randomUUID } from 'node:crypto'
import { forwardedScheme } from '../http/forwarded.ts'
import { wireText } from '../http/wire-text.ts'
import type { ExchangeRecord } from '../telemetry/exchange-record.ts'
import { findOperator, operatorNames } from '../telemetry/log-values.ts'
import { compileTimeFormat, unsupportedDirectives } from './time-format.ts'

/** What operators can see. */
export type EditFacts = ExchangeRecord

/** Operators of the access log that are known only when everything is over: without value in headers. */
const knownLater: ReadonlySet<string> = new Set([
  'DURATION',
  'BYTES_SENT',
  'RESPONSE_HEADERS_BYTES',
  'CONNECTION_TERMINATION_DETAILS',
])

/** Names that may stand between percent signs; config/ keeps a copy (a test compares them). */
export const supportedOperators: readonly string[] = [
  ...operatorNames().filter((name) => !knownLater.has(name)),
  'UNIQUE_ID',
].sort()

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
    if (!supportedOperators.includes(part.name) || compileOperator(part) === undefined)
      found.push(part.name)
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
  // Not supported: the configuration said so (unsupportedOperators); it counts as without value.
  const read = compileOperator(part) ?? ((): string => '')
  const { limit } = part
  return limit === Number.POSITIVE_INFINITY ? read : (facts) => read(facts).slice(0, limit)
}

/** Undefined: there is no such operator, or it does not take this argument. */
function compileOperator({ name, argument = '' }: Operator): Part | undefined {
  switch (name) {
    case 'REQ':
    case 'REQUEST_HEADER':
      return argument === '' ? undefined : compileField(argument, requestField)
    case 'RESP':
    case 'RESPONSE_HEADER':
      return argument === '' ? undefined : compileField(argument, responseField)
    case 'START_TIME': {
      const format = compileTimeFormat(argument)
      return (facts) => format(facts.startedAt)
    }
    case 'UNIQUE_ID':
      return () => randomUUID()
  }
  if (knownLater.has(name)) return undefined
  const read = findOperator(name, argument)
  return read === undefined ? undefined : (facts) => String(read(facts) ?? '')
}

type FieldReader = (facts: EditFacts, field: string) => string | undefined

/** `X?Y`: the field Y where X has no value. */
function compileField(argument: string, read: FieldReader): Part {
  const [first = '', second] = argument.toLowerCase().split('?')
  if (second === undefined) return (facts) => read(facts, first) ?? ''
  return (facts) => read(facts, first) || read(facts, second) || ''
}

function responseField(facts: EditFacts, field: string): string | undefined {
  return field === ':status' ? String(facts.status) : facts.responseHeaders?.get(field)
}

function requestField(facts: EditFacts, field: string): string | undefined {
  switch (field) {
    case ':method':
      return facts.method
    case ':path':
      // Before the rewrite, in requests, it is the client's; the reply sees what it became.
      return facts.sentPath || facts.path
    case ':authority':
    case 'host':
      return facts.sentAuthority || facts.authority
    case ':scheme':
      return (facts.requestHeaders && forwardedScheme(facts.requestHeaders)) ?? 'http'
    default:
      return facts.requestHeaders?.get(field)
  }
}
