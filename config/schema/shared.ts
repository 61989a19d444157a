/** Types that several kinds share: selectors, exportTo, ports of routes, header operations. */

import { list, map } from './collections.ts'
import { dnsLabel, headerName } from './formats.ts'
import { headerTemplate } from './header-operators.ts'
import { named, need, object } from './object.ts'
import type { Complaint, Place, Verdict } from './reading.ts'
import { portNumber, string, type Type } from './scalars.ts'

const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_PREFIX = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

export function labelKey(key: string): Verdict {
  const slash = key.lastIndexOf('/')
  const prefix = key.slice(0, Math.max(slash, 0))
  if (LABEL_NAME.test(key.slice(slash + 1)) && (slash === -1 || LABEL_PREFIX.test(prefix)))
    return undefined
  return key === '' ? 'the label name is empty' : `"${key}" is not a valid label name`
}

export function labelValue(value: string): Verdict {
  return value === '' || LABEL_NAME.test(value)
    ? undefined
    : `"${value}" is not a valid label value`
}

/** Labels that must be equal; wildcards are a common and silent mistake. */
export const matchLabels = map(
  string((value) => (value.includes('*') ? noWildcard(value) : labelValue(value))),
  { key: (key) => (key.includes('*') ? noWildcard(key) : labelKey(key)) },
)

function noWildcard(text: string): Complaint {
  return {
    message: `"${text}" has a wildcard, which selectors do not know`,
    hint: 'Name the exact label value, or leave the label out.',
  }
}

interface Selector {
  readonly labels?: Readonly<Record<string, string>>
}

/** A workload selector to its labels; `field` is where this kind keeps them. */
export function workloadSelector(field: 'labels' | 'matchLabels'): Type {
  return object<Selector>(
    { [field]: named('labels', matchLabels) },
    {
      rules: [
        (value, place) => {
          if (Object.keys(value.labels ?? {}).length > 0) return
          place.warn([], 'the selector has no labels: it selects every workload of the namespace')
        },
      ],
      into: (value) => value.labels ?? {},
    },
  )
}

/** `*`, `.`, `~` or namespace names. */
export const exportTo: Type<string[]> = list(
  string((name) => (name === '*' || name === '.' || name === '~' ? undefined : dnsLabel(name))),
)

/** What exportTo may say, given the object's own namespace. */
export function checkExportTo(
  entries: readonly string[] | undefined,
  namespace: string,
  place: Place,
  options: { none: boolean },
): void {
  const seen = new Set<string>()
  for (const [index, entry] of (entries ?? []).entries()) {
    const at = ['exportTo', index]
    const meant = entry === '.' ? namespace : entry
    if ((entry === '*' || entry === '~') && entries!.length > 1)
      place.error(at, `"${entry}" must stand alone`, 'Remove the other entries, or this one.')
    else if (entry === '~' && !options.none)
      place.error(at, '"~" (nobody) is possible for ServiceEntry only')
    if (seen.has(meant)) place.error(at, `namespace "${meant}" is listed twice`)
    seen.add(meant)
  }
}

export const portSelector: Type = object<{ number?: number }>(
  { number: need(portNumber, 'the port number is missing') },
  { into: (value) => value.number },
)

// --- header operations ----------------------------------------------------------------------------
export function isAuthorityName(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'host' || lower === ':authority'
}

/** What a codec writes itself, from what it knows of the message and the connection. */
const ofConnection = new Set(
  'connection content-length keep-alive proxy-connection transfer-encoding upgrade'.split(' '),
)

function plainName(name: string): Verdict {
  if (ofConnection.has(name.toLowerCase()))
    return {
      message: `the header "${name}" is the connection's own: this has no effect`,
      hint: 'The proxy writes it itself, on each of the two connections.',
      warning: true,
    }
  if (!name.startsWith(':') && !isAuthorityName(name)) return headerName(name)
  return {
    message: `the header "${name}" cannot be changed here`,
    hint: 'The authority can be set in headers.request.set or rewrite.authority only.',
  }
}

function nameOrAuthority(name: string): Verdict {
  return isAuthorityName(name) ? undefined : plainName(name)
}

function operations(name: (name: string) => Verdict): Type {
  const values = map(string(headerTemplate), { key: name })
  return object({
    set: { type: values, default: {} },
    add: { type: values, default: {} },
    remove: { type: list(string(plainName)), default: [] },
  })
}

export const headerOperations: Type = object({
  request: operations(nameOrAuthority),
  response: operations(plainName),
})
