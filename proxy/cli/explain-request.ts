/** The request that `outrider explain` is asked about, from the words of a command line. */
import { RequestHead } from '../http/head.ts'
import { Headers } from '../http/headers.ts'
import { wireText } from '../http/wire-text.ts'

export interface AskedRequest {
  /** `http`, `https` (bytes are opaque, the server name tells), `tcp`. */
  readonly scheme: 'http' | 'https' | 'tcp'
  readonly host: string
  readonly port: number
  /** As sent, target not yet canonical. */
  readonly head: RequestHead
}

/** A sentence instead, when the words make no request. */
export function readRequest(
  method: string,
  url: string,
  fields: readonly string[],
): AskedRequest | string {
  const whole = url.includes('://') ? url : `http://${url}`
  const parts = /^(https?|tcp|tls):\/\/(\[[^\]]*\]|[^/?#:]+)(?::(\d+))?([/?#].*)?$/i.exec(whole)
  if (parts === null)
    return `"${url}" is not a URL: write http://reviews:9080/path, https://host or tcp://host:port`
  const [, word = '', host = '', portText, rest = ''] = parts
  const scheme = schemeOf(word.toLowerCase())
  if (scheme === 'tcp' && portText === undefined) return `"${url}" needs a port: tcp://host:port`
  const port = portText === undefined ? (scheme === 'https' ? 443 : 80) : Number(portText)
  if (port < 1 || port > 65535) return `${port} is not a port`
  const target = rest.startsWith('/') ? rest : `/${rest}`
  const head = new RequestHead(method, wireText(target), 11, new Headers())
  head.headers.append('Host', portText === undefined ? host : `${host}:${portText}`)
  for (const field of fields) {
    const colon = field.indexOf(':', 1)
    if (colon < 0) return `"${field}" is not a header: write -H 'name: value'`
    const name = field.slice(0, colon).trim()
    const value = wireText(field.slice(colon + 1).trim())
    if (name.toLowerCase() === 'host') head.headers.set('Host', value)
    else head.headers.append(name, value)
  }
  head.authority = head.headers.get('host') ?? ''
  return { scheme, host, port, head }
}

function schemeOf(word: string): AskedRequest['scheme'] {
  return word === 'http' ? 'http' : word === 'tcp' ? 'tcp' : 'https'
}
