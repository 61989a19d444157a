/** Cookies of a request (RFC 6265 5.4), read leniently as browsers and Envoy write them. */
import type { Headers } from './headers.ts'

/** Value of the first cookie of that name, without quotes; undefined: there is none, or it is empty. */
export function cookieValue(headers: Headers, name: string): string | undefined {
  for (let i = headers.indexOf('cookie'); i >= 0; i = headers.indexOf('cookie', i + 1)) {
    const value = valueIn(headers.values[i]!, name)
    if (value !== '') return value
  }
  return undefined
}

function valueIn(line: string, name: string): string {
  for (const pair of line.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue
    const value = pair.slice(equals + 1).trim()
    return value.length > 1 && value.startsWith('"') && value.endsWith('"')
      ? value.slice(1, -1)
      : value
  }
  return ''
}
