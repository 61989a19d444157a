/** Checks of text: hosts, addresses, header names, durations, regular expressions. */
import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import type { Verdict } from './reading.ts'

const UNIT_NS = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
])

/** Go's time.ParseDuration in milliseconds; undefined: not a duration. */
export function goDurationMs(text: string): number | undefined {
  const [, sign, rest] = /^([-+]?)(.*)$/s.exec(text)!
  if (rest === '0') return 0
  if (rest === undefined || !/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(rest))
    return undefined
  let ns = 0
  for (const [, count, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    ns += Number(count) * UNIT_NS.get(unit!)!
  const ms = Math.round(ns) / 1e6
  return sign === '-' ? -ms : ms
}

const LABEL = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/

/** A DNS label, as in names of subsets, ports and namespaces. */
export function dnsLabel(name: string): Verdict {
  if (LABEL.test(name)) return undefined
  return {
    message: `"${name}" is not a valid name`,
    hint: 'Use up to 63 letters, digits and "-", beginning and ending with a letter or digit.',
  }
}

/** Istio's ValidateFQDN. */
export function fqdn(name: string): Verdict {
  return domain(name, false)
}

/** A host name that may begin with a wildcard: `*`, `*.example.com`, `*example.com`. */
export function wildcardDomain(name: string): Verdict {
  return domain(name, true)
}

function domain(name: string, wildcard: boolean): Verdict {
  if (name === '') return 'the host name is empty'
  if (name.length > 255) return `the host name is ${name.length} characters long, 255 are allowed`
  const parts = name.split('.')
  if (parts.length > 1 && parts.at(-1) === '') parts.pop()
  const [first, ...others] = parts
  const rest = wildcard && first !== undefined ? [first.replace(/^\*-?/, ''), ...others] : parts
  for (const [index, label] of rest.entries()) {
    if (index === 0 && wildcard && label === '') {
      if (first === '*' || first === '*-') continue
    }
    if (!LABEL.test(label)) return badLabel(name, parts[index]!)
  }
  if (parts.length > 1 && /^\d+$/.test(parts.at(-1)!))
    return `host name "${name}" ends in a number: it looks like an IP address`
  return undefined
}

function badLabel(name: string, label: string): Verdict {
  const hint = label.includes('*')
    ? 'Only a single * at the very beginning is a wildcard.'
    : /[:/]/.test(label)
      ? 'Write the host name only, without port or path.'
      : 'Use letters, digits and "-" between the dots.'
  return { message: `"${name}" is not a valid host name: "${label}" is not allowed`, hint }
}

export function isAddress(text: string): boolean {
  return isIP(text) !== 0
}

export function ipAddress(text: string): Verdict {
  return isAddress(text) ? undefined : `"${text}" is not an IP address`
}

export function isCidr(text: string): boolean {
  const [address, bits, ...more] = text.split('/')
  if (bits === undefined || more.length > 0 || !/^\d{1,3}$/.test(bits)) return false
  const version = isIP(address!)
  return version !== 0 && Number(bits) <= (version === 4 ? 32 : 128)
}

export function addressOrCidr(text: string): Verdict {
  if (isAddress(text) || isCidr(text)) return undefined
  return {
    message: `"${text}" is neither an IP address nor a CIDR`,
    hint: 'For example 10.0.0.1 or 10.0.0.0/16.',
  }
}

const TOKEN = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/

export function headerName(name: string): Verdict {
  if (name === '') return 'the header name is empty'
  const plain = name.startsWith(':') ? name.slice(1) : name
  if (!TOKEN.test(plain)) return `"${name}" is not a valid header name`
  return undefined
}

/** `%NAME(argument)%` and `%%` are the only uses of a percent sign. */
export function headerValue(value: string): Verdict {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if ((code < 32 && code !== 9) || code === 127) return 'the header value has a control character'
  }
  const rest = value.replaceAll('%%', '').replaceAll(/%[A-Z0-9_]+(\([^)]*\))?%/g, '')
  if (!rest.includes('%')) return undefined
  if (/\):\d+%/.test(rest))
    return {
      message: `"${value}" limits a length, which headers cannot`,
      hint: 'Leave out the :N.',
    }
  return {
    message: `the % in "${value}" is not closed or not a known expression`,
    hint: 'Write %% for a percent sign, or a whole expression such as %REQ(x-name)%.',
  }
}

export function unixPath(path: string): Verdict {
  const plain = path.startsWith('@') ? path.slice(1) : path
  if (path.startsWith('@') ? plain === '' : !path.startsWith('/') || path.endsWith('/'))
    return `"${path}" is not an absolute path of a socket`
  return undefined
}

// --- regular expressions --------------------------------------------------------------------------
type Engine = typeof import('re2js')
let engine: Engine | undefined
const verdicts = new Map<string, Verdict>()
const MAX_REGEX = 1024

/** RE2 syntax; the engine is loaded when the first regular expression is met. */
export function regex(pattern: string): Verdict {
  if (pattern === '') return 'the regular expression is empty'
  if (pattern.length > MAX_REGEX)
    return `the regular expression is ${pattern.length} characters long, ${MAX_REGEX} are allowed`
  if (!verdicts.has(pattern)) {
    if (verdicts.size > 10_000) verdicts.clear()
    verdicts.set(pattern, compiled(pattern))
  }
  return verdicts.get(pattern)
}

function compiled(pattern: string): Verdict {
  engine ??= createRequire(import.meta.url)('re2js') as Engine
  try {
    engine.RE2JS.compile(pattern)
    return undefined
  } catch (error) {
    const reason =
      error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : ''
    return {
      message: `"${pattern}" is not a regular expression: ${reason}`,
      hint: 'RE2 syntax: no lookahead, no backreferences; see github.com/google/re2/wiki/Syntax.',
    }
  }
}

// --- Istio's own names ----------------------------------------------------------------------------
/** `mesh`, `name`, `namespace/name`, or the old form `name.namespace.svc...`. */
export function gatewayName(name: string): Verdict {
  const parts = name.split('/')
  if (parts.length > 2) return `"${name}" is not a gateway name: namespace/name has one slash`
  if (parts.length === 1) return name === 'mesh' ? undefined : (fqdn(name) ?? legacyGateway(name))
  const [namespace, gateway] = parts as [string, string]
  if (namespace !== '.' && !LABEL.test(namespace))
    return `"${namespace}" in "${name}" is not a valid namespace`
  if (fqdn(gateway) !== undefined) return `"${gateway}" in "${name}" is not a valid gateway name`
  return undefined
}

function legacyGateway(name: string): Verdict {
  const [gateway, namespace] = name.split('.')
  if (namespace === undefined) return undefined
  return {
    warning: true,
    message: `"${name}" is the old form of a gateway name`,
    hint: `Write ${namespace}/${gateway}.`,
  }
}

const PROTOCOLS = [
  'HTTP',
  'HTTPS',
  'GRPC',
  'GRPC-WEB',
  'HTTP2',
  'MONGO',
  'TCP',
  'TLS',
  'UDP',
  'HTTP_PROXY',
  'REDIS',
  'MYSQL',
]

/** Protocol names of ServiceEntry, Sidecar and Gateway ports, any case. */
export function protocolName(name: string): Verdict {
  if (name === '' || PROTOCOLS.includes(name.toUpperCase())) return undefined
  return { message: `"${name}" is not a protocol`, hint: `Known: ${PROTOCOLS.join(', ')}.` }
}
