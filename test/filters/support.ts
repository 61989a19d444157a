/** Facts of an exchange for header operators. */
import type { EditFacts } from '../../proxy/filters/value-template.ts'
import { Headers } from '../../proxy/http/headers.ts'
import { ExchangeRecord, Flag } from '../../proxy/telemetry/exchange-record.ts'

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
  const remote = { address: '10.0.0.7', port: 40000 }
  const local = { address: 'fd00::1', port: 9080 }
  const startedAt = Date.UTC(2026, 0, 31, 1, 43, 13, 123)
  return Object.assign(new ExchangeRecord('outbound', startedAt, 0, local, remote), {
    method: 'GET',
    path: '/a?b',
    authority: 'reviews:9080',
    version: 11,
    serverName: 'sni',
    status: 503,
    flags: Flag.UF,
    details: 'via_upstream',
    attempts: 2,
    routeName: 'all',
    cluster: 'outbound|80||a',
    upstreamHost: '10.0.0.9:9080',
    requestHeaders: headersOf(seen.request ?? []),
    responseHeaders: headersOf(seen.response ?? []),
  })
}
