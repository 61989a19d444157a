/** Facts of an exchange for header operators. */
import type { EditFacts } from '../../proxy/filters/value-template.ts'
import { Headers } from '../../proxy/http/headers.ts'

type Fields = ReadonlyArray<readonly [name: string, value: string]>

export function headersOf(fields: Fields): Headers {
  const headers = new Headers()
  for (const [name, value] of fields) headers.append(name, value)
  return headers
}

/** Fields as `name: value`, in order. */
export function listed(headers: Headers): string[] {
  return headers.names.map((name, index) => `${name}: ${headers.values[index]}`)
}

export function factsOf(seen: { request?: Fields; response?: Fields }): EditFacts {
  return {
    method: 'GET',
    path: '/a?b',
    authority: 'reviews:9080',
    version: 11,
    startedAt: Date.UTC(2026, 0, 31, 1, 43, 13, 123),
    downstreamRemote: { address: '10.0.0.7', port: 40000 },
    downstreamLocal: { address: 'fd00::1', port: 9080 },
    serverName: 'sni',
    status: 503,
    upstreamHost: '10.0.0.9:9080',
    requestHeaders: headersOf(seen.request ?? []),
    responseHeaders: headersOf(seen.response ?? []),
  }
}
