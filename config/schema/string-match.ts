/** Istio's StringMatch, and the conditions of one HTTP match block. */

import type { HttpMatch, StringMatch } from '../kinds.ts'
import { list, map } from './collections.ts'
import { dnsLabel, gatewayName, headerName, regex } from './formats.ts'
import { object, or } from './object.ts'
import type { Place, Verdict } from './reading.ts'
import { boolean, portNumber, string, type Type, text } from './scalars.ts'
import { labelKey, labelValue } from './shared.ts'

type Written = { readonly exact?: string; readonly prefix?: string; readonly regex?: string }

/** `present`: the regex `*` asks for presence; `emptyPrefix`: an empty prefix matches everything. */
export function stringMatch(options: { present?: boolean; emptyPrefix?: boolean } = {}): Type {
  return object<Written>(
    { exact: text, prefix: text, regex: text },
    {
      oneOf: [['exact', 'prefix', 'regex']],
      rules: [
        (value, place) => {
          if (value.prefix === '' && options.emptyPrefix !== true)
            place.error(
              ['prefix'],
              'an empty prefix matches everything',
              'Use {} to ask for presence.',
            )
          if (value.regex !== undefined && !(options.present === true && value.regex === '*'))
            place.judge(['regex'], regex(value.regex))
        },
      ],
      into: (value): StringMatch => {
        if (value.exact !== undefined) return { exact: value.exact }
        if (value.prefix !== undefined) return { prefix: value.prefix }
        if (value.regex === undefined || value.regex === '*') return { present: true }
        return { regex: value.regex }
      },
    },
  )
}

const presence: StringMatch = { present: true }
const CLAIM = /^@request\.auth\.claims(\.|\[)/

export function isClaimKey(name: string): boolean {
  return CLAIM.test(name)
}

function headerKey(name: string): Verdict {
  return isClaimKey(name) ? undefined : headerName(name)
}

const headerMatch = stringMatch({ present: true }) as Type<StringMatch>

/** A uri without condition restricts nothing: it is left out. */
const uriMatch: Type = {
  read(raw, reading) {
    const value = stringMatch({ emptyPrefix: true }).read(raw, reading) as StringMatch | undefined
    return value !== undefined && 'present' in value ? undefined : value
  },
}

export const sourceLabels = map(string(labelValue), { key: labelKey })
/** 0 stands for any port. */
export const anyPort: Type<number> = {
  read(raw, reading) {
    if (raw.kind === 'scalar' && raw.value === 0) return 0
    return portNumber.read(raw, reading)
  },
}
export const namespaceName = string((name) => (name === '' ? undefined : dnsLabel(name)))
export const gatewayNames = list(string(gatewayName))

export const httpMatch: Type = object<HttpMatch>(
  {
    name: or(text, ''),
    uri: uriMatch,
    scheme: stringMatch(),
    method: stringMatch(),
    authority: stringMatch(),
    headers: or(map(headerMatch, { key: headerKey }), {}),
    withoutHeaders: or(map(headerMatch, { key: headerKey, empty: presence }), {}),
    queryParams: or(map(headerMatch), {}),
    ignoreUriCase: or(boolean, false),
    port: or(anyPort, 0),
    sourceLabels: or(sourceLabels, {}),
    sourceNamespace: or(namespaceName, ''),
    gateways: or(gatewayNames, []),
    statPrefix: text,
  },
  { rules: [warnAboutIgnoredSource] },
)

function warnAboutIgnoredSource(match: HttpMatch, place: Place): void {
  if (match.gateways.length === 0) return
  for (const name of ['sourceLabels', 'sourceNamespace'])
    if (place.has(name))
      place.warn(
        [name],
        'has no effect beside gateways in the same block',
        'Move it to a block without gateways.',
      )
}
